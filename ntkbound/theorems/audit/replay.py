"""One projected descent again, for the proof audit: same bits, another observer."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ntkbound.config import RunConfig
from ntkbound.models.activations import ACTIVATIONS
from ntkbound.models.heads import Params, symmetric_init
from ntkbound.models.transformer import ShallowTransformer
from ntkbound.parallel import Workers
from ntkbound.tasks.task import Task
from ntkbound.terms.approximation import transported_parameters
from ntkbound.terms.audit import ProofObserver
from ntkbound.terms.trajectory import mean_square_error
from ntkbound.theorems import shallow_transformer as theorem
from ntkbound.theorems.audit.constants import constants, final_bound
from ntkbound.theorems.audit.decomposition import Share, decompose
from ntkbound.theorems.audit.links import Link, links, links_without_target
from ntkbound.theorems.audit.run import Run
from ntkbound.theorems.judge import setting_of
from ntkbound.theorems.kernel_regime import descent_rule
from ntkbound.training.choose import objective_for
from ntkbound.training.descent import Progress, descend, recorded_steps


@dataclass(frozen=True)
class Audit:
    """What the audit of one run has to say."""

    links: list[Link]
    shares: tuple[Share, ...]
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
    model: ShallowTransformer,
    task: Task,
    count: int,
    workers: Workers,
    progress: Progress,
) -> Audit:
    """Trains the resolved projgd ``config`` again and audits ``count`` of its steps."""
    assert config.eta is not None
    task = task.rows(slice(0, config.n_train))
    dtype = getattr(torch, config.dtype)
    initial = symmetric_init(model, config.m, config.init_seed or 0, dtype)
    target = None if task.transport is None else transported_parameters(initial, task.transport)
    observer = ProofObserver(model, initial, target, task, config.radii, config.eta, workers)
    objective = objective_for(model, task.inputs.to(dtype), task.y.to(dtype), config.m, workers)
    chosen = set(audited_steps(config.tau, count))
    ends: dict[int, float] = {}

    def observe(step: int, params: Params, norms: object) -> None:
        one = {b: v[0] for b, v in params.items()}
        observer.observe(step, one, audited=step in chosen)
        if target is not None and step in (0, config.tau):
            ends[step] = observer.squared_distance(one)

    descent = descend(
        objective,
        {b: v.unsqueeze(0) for b, v in initial.items()},
        descent_rule([config]),
        config.tau,
        record=sorted(chosen | {s + 1 for s in chosen} | {0, config.tau}),
        observe=observe,
        progress=progress,
    )
    found = descent.of(0)
    min_mse = mean_square_error(model, found.best, task, workers)
    steps, best = len(chosen), found.best_step
    notes = [f"{steps} of {config.tau} steps audited, {config.dtype} training, float64 audit"]
    covered = ACTIVATIONS[config.activation].constants is not None and config.bounds
    setting, bounds = None, None
    if covered:
        setting = setting_of(config, task, initial["U"].double().norm(dim=1).numpy())
        heads = None if target is None else config.teacher_heads
        bounds = theorem.bounds(setting, heads, covered=True)
    if target is None:
        notes.append(
            f"only (0), linearization and (5) are defined: no transport map is known for task "
            f"{config.task}, so there is no φ̃"
        )
        epsilon = L2 = None
        if bounds is not None and bounds.feature_norm.value is not None:
            epsilon, L2 = bounds.linearization.value, bounds.feature_norm.value**2
        rows = links_without_target(observer.columns, epsilon, L2)
        return Audit(rows, (), steps, min_mse, best, None, notes)
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
    nu, rho = theorem.Norms(*(config.nu or {}).values()), theorem.Norms(*config.rho.values())
    known = constants(bounds, nu.squared, run)
    if known.measured:
        notes.append("no constants are known here: measured ones stand in, and nothing is proved")
    inside = nu.inside(rho)
    final = final_bound(run, known)
    rows = links(run, known, inside=inside)
    shares = decompose(run, known) if inside else ()
    if final.value is None:
        notes.append(f"the bound is vacuous ({final.reason}): there is no slack to decompose")
    return Audit(rows, shares, steps, min_mse, best, final.value if inside else None, notes)
