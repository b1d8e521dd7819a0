"""What is measured of a run before its first step: K_0, the conditions, the data, the Hessian."""

from __future__ import annotations

from ntkbound.core.outcome import Terms
from ntkbound.theorems.encoder_only.conditions import Facts
from ntkbound.theorems.encoder_only.hessian import hessian_norm
from ntkbound.theorems.encoder_only.limit import distances
from ntkbound.theorems.encoder_only.similarity import similarity
from ntkbound.theorems.encoder_only.start import Start
from ntkbound.theorems.encoder_only.tangent import Tangent


def opening_terms(start: Start, facts: Facts) -> Terms:
    """Numbers of K_0 (its distance to the limit under NTK initialisation alone), conditions, data
    and, where asked for, the Hessian; one that does not exist is absent."""
    initial = of_kernel(start.kernel)
    if start.config.init == "ntk":
        initial |= distances(start.problem, start.kernel.whole)
    found: Terms = {
        "kernel": {"initial": initial},
        "condition": {probe: one.numbers for probe, one in facts.choices().items()},
        "similarity": {"data": similarity(start.problem, start.workers)},
    }
    if start.config.hessian:
        norm = hessian_norm(start.problem, start.initial, start.workers.ranks)
        found["hessian"] = {"initial": {"norm": norm}}
    return found


def of_kernel(kernel: Tangent) -> dict[str, float]:
    """Its extremes, α², traces, the share of the trace that Q and K have, and its rank."""
    traces = {block: float(one.trace()) for block, one in kernel.blocks.items()}
    whole = sum(traces.values())
    found = {
        "lambda_min": kernel.smallest,
        "lambda_max": kernel.largest,
        "alpha_squared": kernel.alpha_squared,
        "trace": whole,
        "rank": kernel.rank,
        **{f"trace_{block}": trace for block, trace in traces.items()},
    }
    return found | ({"share_QK": (traces["Q"] + traces["K"]) / whole} if whole > 0 else {})
