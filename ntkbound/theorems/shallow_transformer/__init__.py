"""Finite-time analysis of projected gradient descent for shallow Transformers, arXiv 2601.16514.

``statement`` is the theorem as a page; ``bounds`` and ``certificates/`` prove numbers; ``run``
trains and measures; ``judge`` puts one beside the other. Each command of the theorem has a folder.
"""

from ntkbound.core.theorem import Command, Theorem, deferred
from ntkbound.theorems.shallow_transformer import schedule, statement
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.follows import follows
from ntkbound.theorems.shallow_transformer.show import facts, headline
from ntkbound.theorems.shallow_transformer.statement import (
    CERTIFIED,
    CLAIMS,
    NAME,
    QUANTITIES,
    needs,
)

RECORD = "results/st-m256-tau4000-n512-s0-0123456789ab"

THEOREM = Theorem(
    name=NAME,
    source="Arda, Cayci, Eryilmaz: Finite-Time Analysis of Gradient Descent for Shallow "
    "Transformers, arXiv 2601.16514",
    version=8,
    config=Config,
    quantities=QUANTITIES,
    claims=CLAIMS,
    statement=statement.__doc__ or "",
    needs=needs,
    uses=frozenset({"threads", "device", "ranks"}),
    run=deferred(f"{__name__}.run", "run"),
    prepare=deferred(f"{__name__}.data", "prepare"),
    run_together=deferred(f"{__name__}.run", "run_together"),
    together=schedule.together,
    cost=schedule.cost,
    ready=schedule.ready,
    verify=deferred(f"{__name__}.verify", "verify"),
    headline=headline,
    facts=facts,
    prefix=schedule.prefix,
    follows=follows,
    axes=("m", "tau", "n", "T", "d", "lag", "omega", "rho", "nu"),
    symbols={
        "step": "s",
        "tau": "τ",
        "eta": "η",
        "eta_scale": "η√τ",
        "rho": "ρ",
        "nu": "ν",
        "omega": "ω",
        "delta": "δ",
        "input_norm": "B_x",
        "lag": "L",
    },
    certified=CERTIFIED,
    studies=f"{__name__}.studies",
    commands=(
        Command("audit", f"{__name__}.audit.command", "ntkbound audit --m 256 --figure slack.pdf"),
        Command("bench", f"{__name__}.bench.command", "ntkbound bench --only kernel,autograd"),
        Command("kernel", f"{__name__}.tangent.command", f"ntkbound kernel {RECORD}"),
        Command(
            "membership",
            f"{__name__}.membership.command",
            "ntkbound membership --task digits --n 400 --m 1024",
        ),
        Command("plan", f"{__name__}.plan.command", "ntkbound plan --target 0.5 --n 5000"),
    ),
)
