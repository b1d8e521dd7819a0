"""One projected descent again, for the proof audit: same bits, another observer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from ntkbound.heads.model import HeadModel, Params, together
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.trajectory import mean_square_error
from ntkbound.heads.training.choose import objective_for
from ntkbound.heads.training.descent import Progress, RunDescent, descend, recorded_steps
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer import run as kernel_regime
from ntkbound.theorems.shallow_transformer.audit.columns import Run
from ntkbound.theorems.shallow_transformer.audit.constants import (
    Constants,
    constants,
    final_bound,
    target_constants,
)
from ntkbound.theorems.shallow_transformer.audit.decomposition import Share, decompose
from ntkbound.theorems.shallow_transformer.audit.links import Link, links, links_without_target
from ntkbound.theorems.shallow_transformer.audit.observer import ProofObserver
from ntkbound.theorems.shallow_transformer.bounds import Bounds, Norms
from ntkbound.theorems.shallow_transformer.certificates import certify, sharpened
from ntkbound.theorems.shallow_transformer.config import RunConfig
from ntkbound.theorems.shallow_transformer.judge import closed_form, no_transport, setting_of

LEVELS = ("closed-form", "a-posteriori")


@dataclass(frozen=True)
class Audit:
    """What the audit of one run has to say."""

    links: list[Link]
    shares: tuple[Share, ...]
    level: str  # of the constants
    steps: int  # audited
    min_mse: float
    best_step: int
    bound: float | None
    notes: list[str]


def audited_steps(tau: int, count: int) -> list[int]:
    """At most about ``count`` steps from 0 to τ − 1, both among them, geometrically spaced."""
    return list(range(tau)) if count >= tau else recorded_steps(tau - 1, count)


def replay(
    config: RunConfig,
    model: HeadModel,
    task: Task,
    count: int,
    workers: Workers,
    progress: Progress,
    level: str = "closed-form",
) -> Audit:
    """Trains the resolved projgd ``config`` again and audits ``count`` of its steps.

    ``level``, one of LEVELS: the constants are the closed forms of docs/theory.md §4, or the
    a-posteriori certificates of docs/certificates.md (max over samples). Where there is none, the
    largest measured value stands in, and the rows and notes say so.
    """
    assert config.eta is not None
    start = kernel_regime.start(config, model, task, workers)
    bounds, missing = _bounds(level, config, model, start, workers)
    observer = ProofObserver(
        model, start.initial, start.transported, start.task, config.radii, config.eta, workers
    )
    chosen = audited_steps(config.tau, count)
    descent, ends = _observed(config, model, start, observer, chosen, workers, progress)
    notes = [
        f"{len(chosen)} of {config.tau} steps audited, {config.dtype} training, float64 audit",
        *start.task.notes,
        *missing,
    ]
    min_mse = mean_square_error(model, descent.best, start.task, workers)
    audit = partial(
        Audit,
        level=level,
        steps=len(chosen),
        min_mse=min_mse,
        best_step=descent.best_step,
    )
    if start.task.transport is None:
        proved = constants(bounds, observer.columns)
        notes += _stand_ins(proved)
        notes.append(
            f"only (0), linearization and (5) are defined: {no_transport(config)}, so there is no φ̃"
        )
        rows = links_without_target(observer.columns, proved)
        return audit(links=rows, shares=(), bound=None, notes=notes)
    assert observer.app is not None
    run = Run(
        columns=observer.columns,
        eta=config.eta,
        tau=config.tau,
        delta=config.delta,
        start=ends[0],
        end=ends[config.tau],
        app_rms=float(observer.app.square().mean().sqrt()),
        app_max=float(observer.app.abs().max()),
        min_mse=min_mse,
    )
    nu, rho = Norms(*start.task.transport.nu.values()), Norms(*config.rho.values())
    known, inside = target_constants(bounds, nu.squared, run), nu.inside(rho)
    notes += _stand_ins(known)
    final = final_bound(run, known)
    if final.value is None:
        notes.append(f"the bound is vacuous ({final.reason}): there is no slack to decompose")
    return audit(
        links=links(run, known, inside=inside),
        shares=decompose(run, known) if inside else (),
        bound=final.value if inside else None,
        notes=notes,
    )


def _bounds(
    level: str, config: RunConfig, model: HeadModel, start: kernel_regime.Start, workers: Workers
) -> tuple[Bounds, list[str]]:
    """The bounds of one level, and what is to be said about them."""
    closed = closed_form(config, start.task, start.initial, workers)
    if level == "closed-form" or not config.bounds:
        return closed, []
    setting = setting_of(config, start.task, start.initial, workers)
    certificates, missing = certify(
        config, model, start.task, start.initial, start.transported, config.radii, setting, closed,
        workers,
    )  # fmt: skip
    return sharpened(closed, certificates, setting), [
        missing or "constants are the a-posteriori certificates, largest over samples"
    ]


def _observed(
    config: RunConfig,
    model: HeadModel,
    start: kernel_regime.Start,
    observer: ProofObserver,
    chosen: list[int],
    workers: Workers,
    progress: Progress,
) -> tuple[RunDescent, dict[int, float]]:
    """The descent, its ``chosen`` steps observed, and V_0 and V_τ (step → V; empty without φ̃)."""
    dtype = getattr(torch, config.dtype)
    inputs, y = start.task.inputs.to(dtype), start.task.y.to(dtype)
    ends: dict[int, float] = {}
    audited = set(chosen)

    def observe(step: int, params: Params, norms: object) -> None:
        one = {b: v[0] for b, v in params.items()}
        observer.observe(step, one, audited=step in audited)
        if start.transported is not None and step in (0, config.tau):
            ends[step] = observer.squared_distance(one)

    descent = descend(
        objective_for(model, inputs, y, config.m, workers),
        together(start.initial),
        kernel_regime.descent_rule([config]),
        config.tau,
        record=sorted({*chosen, *(s + 1 for s in chosen), 0, config.tau}),
        observe=observe,
        progress=progress,
    )
    return descent.of(0), ends


def _stand_ins(known: Constants) -> list[str]:
    names = ", ".join(name.replace("_", " ") for name in known.stand_ins)
    told = "nothing that rests on them is proved beyond this run"
    return [f"measured values stand in for {names}: {told}"] if names else []
