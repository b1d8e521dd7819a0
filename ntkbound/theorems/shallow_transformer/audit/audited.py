"""A run or a record audited: trained again, link by link, beside what the record says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ntkbound.core.errors import InputError
from ntkbound.core.tolerance import exceeds
from ntkbound.heads.tasks import prepare
from ntkbound.heads.training.descent import Progress
from ntkbound.machine.parallel import Workers
from ntkbound.runs.cache import LabelCache
from ntkbound.runs.record import Record
from ntkbound.theorems.shallow_transformer import run as kernel_regime
from ntkbound.theorems.shallow_transformer.audit import LEVELS, Audit, Link, replay
from ntkbound.theorems.shallow_transformer.config import RunConfig, build


@dataclass(frozen=True)
class Audited:
    """The audit of one resolved config."""

    config: RunConfig
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
            "notes": found.notes,
        }


def audit(
    config: RunConfig,
    steps: int,
    cache: Path,
    threads: int | None = None,
    progress: Progress = lambda step, loss: None,
    level: str = LEVELS[0],
) -> Audited:
    """Audits ``steps`` steps of a run; ``cache`` is the folder of the teacher's labels.

    ``level`` of the constants: ``closed-form`` or ``a-posteriori``. Raises InputError for another
    one, and for a method that the proof is not about.
    """
    return _audit(config, None, steps, cache, threads, progress, level)


def audit_record(
    record: Record,
    steps: int,
    threads: int | None = None,
    progress: Progress = lambda step, loss: None,
    level: str = LEVELS[0],
) -> Audited:
    """Audits the run of a record; a first link says whether training it again gives its numbers.

    Raises InputError as ``audit`` does, and where the data it was made from have changed.
    """
    assert record.path is not None
    if record.data["status"] != "complete":
        raise InputError(f"{record.id}: {record.data['status']}; only a complete run has a proof")
    cache = record.path.parent / "cache" / "labels"
    config = build(record.data["config"])
    found = _audit(config, record, steps, cache, threads, progress, level)
    again = _reproduction(record, found.audit)
    return replace(found, audit=replace(found.audit, links=[again, *found.audit.links]))


def _audit(
    config: RunConfig,
    record: Record | None,
    steps: int,
    cache: Path,
    threads: int | None,
    progress: Progress,
    level: str,
) -> Audited:
    if level not in LEVELS:
        raise InputError(f"--level: {level!r} is unknown; accepted: {', '.join(LEVELS)}")
    if config.method != "projgd":
        raise InputError(f"--method: {config.method!r} cannot be audited; accepted: projgd")
    sized, digest, make_task = prepare(config)
    if record is not None and record.data.get("data_sha256") != digest:
        raise InputError(f"{config.task}: not the data that {record.id} was made from")
    workers = Workers(threads)
    model = kernel_regime.build_model(sized)
    task = make_task(model, workers, LabelCache(cache))
    return Audited(sized, replay(sized, model, task, steps, workers, progress, level))


def _reproduction(record: Record, found: Audit) -> Link:
    """min R̂ and its step again: equal to the bit on the same machine and versions."""
    training = record.terms["optimization"]["training"]
    recorded, step = training["min_mse"], training["best_step"]
    same = not exceeds(found.min_mse, recorded) and not exceeds(recorded, found.min_mse)
    agrees = same and found.best_step == step
    reason = "" if agrees else f"best step {found.best_step}, recorded {step}"
    ratio = found.min_mse / recorded if recorded else None
    return Link(
        "record", "(0)", "min R̂ of the record = min R̂ trained again", recorded, found.min_mse,
        factor=ratio, factor_low=ratio, factor_high=ratio,
        verdict="holds" if agrees else "violated", reason=reason,
    )  # fmt: skip
