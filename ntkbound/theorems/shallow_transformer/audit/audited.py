"""A run or a record audited: trained again, link by link, beside what the record says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ntkbound.core.errors import InputError
from ntkbound.core.record import Record
from ntkbound.core.theorem import Prepared
from ntkbound.core.tolerance import exceeds
from ntkbound.heads.tasks.task import Task
from ntkbound.machine.tools import Tools
from ntkbound.theorems.shallow_transformer.audit.links import Link
from ntkbound.theorems.shallow_transformer.audit.replay import LEVELS, Audit, replay
from ntkbound.theorems.shallow_transformer.config import Config, config_of
from ntkbound.theorems.shallow_transformer.data import prepare
from ntkbound.theorems.shallow_transformer.start import build_model, start
from ntkbound.theorems.shallow_transformer.statement import MIN_MSE


@dataclass(frozen=True)
class Audited:
    """The audit of one resolved config."""

    config: Config
    audit: Audit

    def as_json(self) -> dict[str, Any]:
        found = self.audit
        return {
            "config": self.config.model_dump(),
            "level": found.level,
            "audited_steps": found.steps,
            "min_mse": found.min_mse,
            "best_step": found.best_step,
            "bound": found.bound,
            "links": [link.as_dict() for link in found.links],
            "shares": [share.as_dict() for share in found.shares],
            "notes": list(found.notes),
        }


def audit(config: Config, steps: int, tools: Tools, level: str = LEVELS[0]) -> Audited:
    """Audits ``steps`` steps of a run.

    ``level`` of the constants: ``closed-form`` or ``a-posteriori``. Raises InputError for another
    one, and for a method that the proof is not about.
    """
    _check(config, level)
    return _replayed(prepare(config), steps, tools, level)


def audit_record(record: Record, steps: int, tools: Tools, level: str = LEVELS[0]) -> Audited:
    """Audits the run of a record; a first link says whether training it again gives its numbers.

    Raises InputError as ``audit`` does, and where the data it was made from have changed.
    """
    if not record.complete:
        raise InputError(f"{record.id}: {record.status}; only a complete run has a proof")
    config = config_of(record)
    _check(config, level)
    prepared = prepare(config)
    if record.data_sha256 != prepared.digest:
        raise InputError(f"{config.task}: not the data that {record.id} was made from")
    found = _replayed(prepared, steps, tools, level)
    again = _reproduction(record, found.audit)
    return replace(found, audit=replace(found.audit, links=(again, *found.audit.links)))


def _check(config: Config, level: str) -> None:
    if level not in LEVELS:
        raise InputError(f"{level!r} is unknown; accepted: {', '.join(LEVELS)}", field="level")
    if config.method != "projgd":
        raise InputError(f"{config.method!r} cannot be audited; accepted: projgd", field="method")


def _replayed(prepared: Prepared, steps: int, tools: Tools, level: str) -> Audited:
    config: Config = prepared.config
    model = build_model(config)
    task: Task = prepared.data(model, tools.workers, tools.cache)
    begun = start(config, model, task, tools.workers)
    return Audited(config, replay(begun, steps, tools, level))


def _reproduction(record: Record, found: Audit) -> Link:
    """min R̂ and its step again: equal to the bit on the same machine and versions."""
    training = record.terms[MIN_MSE.term][MIN_MSE.probe]
    recorded, step = training["min_mse"], training["best_step"]
    low, high = sorted((found.min_mse, recorded))
    same = not exceeds(high, low, MIN_MSE.noise)
    agrees = same and found.best_step == step
    reason = "" if agrees else f"best step {found.best_step}, recorded {step}"
    ratio = found.min_mse / recorded if recorded else None
    return Link(
        "record", "(0)", "min R̂ of the record = min R̂ trained again", recorded, found.min_mse,
        factor=ratio, factor_low=ratio, factor_high=ratio,
        verdict="holds" if agrees else "violated", reason=reason,
    )  # fmt: skip
