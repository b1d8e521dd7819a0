"""One run against the theorem: which bounds are defined, and what was measured beside them."""

from __future__ import annotations

from typing import Any

from ntkbound.core.outcome import Bound, Check, Verdict, check
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.model import HeadModel, Params
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.trajectory import RunTrajectory
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer import bounds as theorem
from ntkbound.theorems.shallow_transformer import recurrent
from ntkbound.theorems.shallow_transformer.certificates import Certificate, certify, sharpened
from ntkbound.theorems.shallow_transformer.config import RunConfig

Terms = dict[str, Any]  # term → probe → statistic → number


def judge(
    config: RunConfig,
    model: HeadModel,
    task: Task,
    initial: Params,
    transported: Params | None,
    reach: dict[str, float],
    terms: Terms,
    trajectory: RunTrajectory,
    notes: list[str],
    workers: Workers,
) -> tuple[dict[str, float | None], list[Certificate], list[Check]]:
    """``bounds``, ``certificates`` and ``checks`` of a record.

    ``reach``: block → max over heads and steps of ‖φ_i(s) − φ_i(0)‖.
    A bound is the tightest proved certificate; assumptions that fail are added to ``notes``.
    """
    closed = closed_form(config, task, initial, workers)
    if not config.bounds:
        return _bound_values(closed), [], _checks(config, terms, closed, trajectory, "not-defined")
    if config.omega is not None:
        if closed.feature_norm.value is None:
            notes.append(f"no bound on the feature norm: {closed.feature_norm.reason}")
        notes.append(f"no bound on any other term: {recurrent.NOT_PROVED}")
        return _bound_values(closed), [], _checks(config, terms, closed, trajectory, "not-defined")
    setting = setting_of(config, task, initial, workers)
    certificates, missing = certify(
        config, model, task, initial, transported, reach, setting, closed, workers
    )
    found = sharpened(closed, certificates, setting)
    if missing:
        notes.append(missing)
    notes.extend(_assumptions(config, task, setting, found.training_rmse))
    null: dict[str, list[str]] = {}
    for name, bound in vars(found).items():
        if bound.value is None:
            null.setdefault(bound.reason, []).append(name.replace("_", " "))
    for reason, names in null.items():
        notes.append(f"no bound on {', '.join(names)}: {reason}")
    absent_verdict: Verdict = "not-defined" if config.teacher_heads is None else "vacuous"
    checks = _checks(config, terms, found, trajectory, absent_verdict)
    return _bound_values(found), certificates, checks


def closed_form(config: RunConfig, task: Task, initial: Params, workers: Workers) -> theorem.Bounds:
    """The closed-form bounds of a run; each that its model does not have carries its reason."""
    if not config.bounds:
        return theorem.Bounds(*[Bound(None, "bounds were switched off (--no-bounds)")] * 6)
    if config.omega is not None:
        return recurrent.bounds(_recurrent_setting(config, task, config.omega))
    return theorem.bounds(
        setting_of(config, task, initial, workers),
        config.teacher_heads,
        covered=config.method == "projgd",
        computed=config.ridge is not None,
    )


def setting_of(config: RunConfig, task: Task, initial: Params, workers: Workers) -> theorem.Setting:
    """What the bounds of this run depend on."""
    constants = ACTIVATIONS[config.activation].constants
    assert constants is not None, "an activation without constants has no bound"
    assert config.eta is not None
    assert config.d is not None
    return theorem.Setting(
        n=len(task.y),
        m=config.m,
        d=config.d,
        u=workers.ranks.gather(initial["U"].double().norm(dim=1)).numpy(),
        sigma=constants,
        rho=theorem.Norms(*config.rho.values()),
        nu=theorem.Norms(*(task.transport.nu.values() if task.transport else (0.0, 0.0, 0.0))),
        eta=config.eta,
        tau=config.tau,
        delta=config.delta,
        B_x=task.token_norm,
        B_q=task.query_norm,
    )


def _recurrent_setting(config: RunConfig, task: Task, omega: float) -> recurrent.Setting:
    constants = ACTIVATIONS[config.activation].constants
    assert constants is not None, "an activation without constants has no bound"
    rho = theorem.Norms(*config.rho.values())
    return recurrent.Setting(config.m, task.inputs.T, omega, constants, rho, task.token_norm)


def no_transport(config: RunConfig) -> str:
    """Why a run without transport map has none."""
    if config.task == "teacher":
        return f"the teacher's transport map moves Transformer heads, not those of {config.model}"
    return f"no transport map is known for task {config.task}"


def _assumptions(
    config: RunConfig, task: Task, setting: theorem.Setting, training: Bound
) -> list[str]:
    """The assumptions of the theorem that this run does not satisfy, one line each."""
    missing = []
    if task.token_norm > 1:
        missing.append(f"token norms reach {task.token_norm:g}, the paper assumes 1 (bounds scale)")
    if task.transport is None:
        missing.append("the target class is unknown (no transport map)")
    elif not setting.nu.inside(setting.rho):
        missing.append("ν > ρ in some block: the target is not inside the projection ball")
    L2 = theorem.squared_feature_norm(setting)
    if training.value is None and setting.eta * L2 >= 1:
        missing.append(f"ηL² = {setting.eta * L2:.3g} ≥ 1")
    if config.method != "projgd":
        missing.append(f"method {config.method} is not full-batch projected descent")
    return [f"assumption not met: {text}" for text in missing]


def _bound_values(found: theorem.Bounds) -> dict[str, float | None]:
    return {
        "linearization": found.linearization.value,
        "approximation": found.approximation.value,
        "change_of_feature": found.change_of_feature.value,
        "feature_norm": found.feature_norm.value,
        "optimization_mse": found.optimization_mse.value,
        "training_rmse": found.training_rmse.value,
    }


def _checks(
    config: RunConfig,
    terms: Terms,
    found: theorem.Bounds,
    trajectory: RunTrajectory,
    absent: Verdict,
) -> list[Check]:
    moved = trajectory.worst("displacement")
    left = [b for b, r in config.rho.items() if moved[b] > r * (1 + 1e-4)]
    outside = f"the trajectory leaves Ω_ρ (block {', '.join(left)})" if left else ""

    def on_trajectory(bound: Bound) -> Bound:
        return Bound(None, outside) if left and bound.value is not None else bound

    rows = []
    for probe, statistics in terms["linearization"].items():
        bound = {
            "trajectory": on_trajectory(found.linearization),
            "transported": found.linearization_transported,
        }.get(probe, found.linearization)
        verdict: Verdict = "condition-not-met" if probe == "trajectory" and left else absent
        rows.append(check("linearization", probe, "max", statistics["max"], bound, absent=verdict))
    if "approximation" in terms:
        measured = terms["approximation"]["transported"]["max"]
        rows.append(
            check("approximation", "transported", "max", measured, found.approximation,
                  absent=absent)
        )  # fmt: skip
        for probe, statistics in terms["change_of_feature"].items():
            trajectory_probe = probe == "trajectory"
            bound = found.change_of_feature
            rows.append(
                check("change_of_feature", probe, "max", statistics["max"],
                      on_trajectory(bound) if trajectory_probe else bound,
                      absent="condition-not-met" if trajectory_probe and left else absent)
            )  # fmt: skip
    else:
        reason = no_transport(config)
        rows += [
            Check(term, probe, "max", None, None, None, "not-defined", reason)
            for term, probe in (("approximation", "transported"), ("change_of_feature", "worst"))
        ]
    training = terms["optimization"]["training"]
    met: Verdict = absent
    if config.model == "indrnn":
        met = "not-defined"
    elif config.method != "projgd" or "needs ν ≤ ρ" in found.training_rmse.reason:
        met = "condition-not-met"
    trivial = ""
    initial_loss = float(trajectory.table["mse"][0])
    if (found.optimization_mse.value or 0.0) > initial_loss:
        trivial = f"says less than R̂(φ_0) = {initial_loss:.3g}"
    rows.append(
        check("optimization", "training", "min_mse", training["min_mse"], found.optimization_mse,
              absent=met, remark=trivial)
    )  # fmt: skip
    rows.append(
        check("optimization", "training", "min_rmse", training["min_rmse"], found.training_rmse,
              absent=met, remark=trivial)
    )  # fmt: skip
    rows.append(
        check("gradient", "training", "feature_norm_max",
              terms["gradient"]["training"]["feature_norm_max"],
              on_trajectory(found.feature_norm),
              absent="condition-not-met" if left else absent)
    )  # fmt: skip
    return rows
