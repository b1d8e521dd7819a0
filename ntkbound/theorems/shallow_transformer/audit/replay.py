"""One projected descent again, for the proof audit: same bits, another observer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ntkbound.heads.model import Params
from ntkbound.heads.terms.trajectory import mean_square_error
from ntkbound.heads.training.descent import RunDescent
from ntkbound.heads.transport import TransportMap
from ntkbound.machine.tools import Tools
from ntkbound.theorems.shallow_transformer.audit.columns import Run
from ntkbound.theorems.shallow_transformer.audit.constants import (
    Constants,
    constants,
    final_bound,
    target_constants,
)
from ntkbound.theorems.shallow_transformer.audit.decomposition import Share, decompose
from ntkbound.theorems.shallow_transformer.audit.links import Link, links, links_without_target
from ntkbound.theorems.shallow_transformer.audit.observer import ProofObserver, TargetObserver
from ntkbound.theorems.shallow_transformer.bounds import Bounds
from ntkbound.theorems.shallow_transformer.certificates import (
    TRANSFORMER_ONLY,
    certify,
    sharpened,
)
from ntkbound.theorems.shallow_transformer.proved import closed_form, in_theorem
from ntkbound.theorems.shallow_transformer.start import Joint, Start, no_transport
from ntkbound.theorems.shallow_transformer.train import train

LEVELS = ("closed-form", "a-posteriori")


@dataclass(frozen=True)
class Audit:
    """What the audit of one run has to say."""

    level: str  # of the constants
    steps: int  # audited
    min_mse: float
    best_step: int
    notes: tuple[str, ...]
    links: tuple[Link, ...] = ()
    shares: tuple[Share, ...] = ()
    bound: float | None = None


def audited_steps(tau: int, count: int) -> list[int]:
    """``count`` steps from 0 to τ − 1, both among them, as near to geometric as distinct steps can
    be; all τ of them where there are no more."""
    if count >= tau:
        return list(range(tau))
    steps, last = [0, 1], tau - 1
    for left in range(count - 2, 0, -1):
        ratio = (last / steps[-1]) ** (1 / left)
        steps.append(max(steps[-1] + 1, round(steps[-1] * ratio)))
    return [*steps[: count - 1], last]


def replay(start: Start, count: int, tools: Tools, level: str = LEVELS[0]) -> Audit:
    """Trains a run of projected descent again and audits ``count`` of its steps.

    ``level``, one of LEVELS: the constants are the closed forms of docs/theory.md §4, or the
    a-posteriori certificates of docs/certificates.md (max over samples). Where there is none, the
    largest measured value stands in, and the rows and notes say so.
    """
    config, transported, mapping = start.config, start.transported, start.task.transport
    bounds, told = _bounds(start, level)
    chosen = audited_steps(config.tau, count)
    known = f"{len(chosen)} of {config.tau} steps audited, {config.dtype} training, float64 audit"
    if transported is None or mapping is None:
        observer = ProofObserver(start)
        found = _trained_again(observer, chosen, tools)
        audit = _audit(start, found, chosen, (known, *start.task.notes, *told), level)
        return _without_target(audit, observer, bounds)
    target = TargetObserver(start, transported)
    found = _trained_again(target, chosen, tools)
    audit = _audit(start, found, chosen, (known, *start.task.notes, *told), level)
    return _with_target(audit, target, mapping, bounds)


def _audit(
    start: Start, found: RunDescent, chosen: list[int], notes: tuple[str, ...], level: str
) -> Audit:
    """What is known without a link."""
    min_mse = mean_square_error(start.lin, found.best, start.task.y)
    return Audit(level, len(chosen), min_mse, found.best_step, notes)


def _without_target(audit: Audit, observer: ProofObserver, bounds: Bounds) -> Audit:
    """The links that need no φ̃."""
    known = constants(bounds, observer.columns)
    why = no_transport(observer.start.config)
    told = f"only (0), linearization and (5) are defined: {why}, so there is no φ̃"
    return replace(
        audit,
        notes=(*audit.notes, *_stand_ins(known), told),
        links=tuple(links_without_target(observer.columns, known)),
    )


def _with_target(
    audit: Audit, observer: TargetObserver, mapping: TransportMap, bounds: Bounds
) -> Audit:
    """The whole chain, and where its slack goes."""
    start, config = observer.start, observer.start.config
    run = Run(
        columns=observer.columns,
        eta=start.step_size,
        tau=config.tau,
        delta=config.delta,
        distance=sum(size**2 for size in mapping.nu.values()),
        inside=start.contains(mapping),
        start=observer.ends[0],
        end=observer.ends[config.tau],
        app_rms=float(observer.app.square().mean().sqrt()),
        app_max=float(observer.app.abs().max()),
        min_mse=audit.min_mse,
    )
    known = target_constants(bounds, run)
    final = final_bound(run, known)
    notes = [*audit.notes, *_stand_ins(known)]
    if final.value is None:
        notes.append("the bound is vacuous: there is no slack to decompose")
    return replace(
        audit,
        notes=tuple(notes),
        links=tuple(links(run, known)),
        shares=decompose(run, known) if run.inside else (),
        bound=final.value if run.inside else None,
    )


def _bounds(start: Start, level: str) -> tuple[Bounds, tuple[str, ...]]:
    """The bounds of one level, and what is to be said about them."""
    closed = closed_form(start)
    if level == "closed-form" or not start.config.bounds:
        return closed, ()
    if not in_theorem(start.model):
        return closed, (TRANSFORMER_ONLY,)
    certified = certify(start, start.radii, closed)
    told = certified.missing or "constants are the a-posteriori certificates, largest over samples"
    return sharpened(closed, certified.certificates, start.problem), (told,)


def _trained_again(observer: ProofObserver, chosen: list[int], tools: Tools) -> RunDescent:
    """The descent of ``run``, with the ``chosen`` steps audited."""
    tau, audited = observer.start.config.tau, set(chosen)

    def observe(step: int, params: Params, norms: object) -> None:
        one = {b: v[0] for b, v in params.items()}
        observer.observe(step, one, audited=step in audited)

    record = sorted({*chosen, *(s + 1 for s in chosen), 0, tau})
    descent, _ = train(Joint((observer.start,)), observe, record, tools)
    return descent.of(0)


def _stand_ins(known: Constants) -> tuple[str, ...]:
    names = ", ".join(name.replace("_", " ") for name in known.stand_ins)
    told = "nothing that rests on them is proved beyond this run"
    return (f"measured values stand in for {names}: {told}",) if names else ()
