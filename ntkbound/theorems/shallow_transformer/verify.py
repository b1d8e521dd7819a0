"""A record against its own parameters: every term again, through ``torch.func`` alone.

Initial parameters are drawn again from their seed, and each term is recomputed from the saved
parameters with the model's closed forms hidden, so that a wrong closed form or a tampered record
shows as a difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

from ntkbound.core.outcome import Comparison
from ntkbound.core.record import Record
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Params, symmetric_init
from ntkbound.heads.terms.approximation import approximation_errors
from ntkbound.heads.terms.change_of_feature import change_of_feature_errors
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.terms.probes import aligned_probe, random_probe
from ntkbound.heads.terms.summary import summarise
from ntkbound.heads.terms.trajectory import FEATURE_NORM, mean_square_error
from ntkbound.heads.terms.worst import Search, worst_change_of_feature, worst_linearization
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.config import known
from ntkbound.theorems.shallow_transformer.saved import Saved, saved

ERRORS = ("max", "mean", "rms")


def verify(record: Record) -> list[Comparison]:
    """Every recomputable number of the record.

    Raises InputError if the parameters or inputs were not saved with it.
    """
    # One thread: torch.func's forward mode is not safe in several.
    kept = saved(record, Workers(1)).by_autograd()
    found = [*_initial(kept), *_ball(record, kept), *_trajectory(record), *_optimum(record, kept)]
    if record.complete:
        found += _final_step(record, kept)
    return found if kept.transported is None else [*found, *_target(record, kept, kept.transported)]


def _initial(kept: Saved) -> Iterator[Comparison]:
    initial, config = kept.lin.initial, kept.config
    seed = known(config.init_seed, "init_seed")
    drawn = symmetric_init(kept.lin.model, config.m, seed, initial["c"].dtype)
    gap = max(float((drawn[b] - initial[b]).abs().max()) for b in drawn)
    yield Comparison("initial parameters: distance to their stream", 0.0, gap)


def _ball(record: Record, kept: Saved) -> Iterator[Comparison]:
    """Linearization at the probes of Ω_ρ."""
    lin, radii, seed = kept.lin, kept.config.radii, known(kept.config.init_seed, "init_seed")
    recorded = record.terms["linearization"]
    probes: dict[str, Callable[[], Params]] = {
        "random": lambda: random_probe(lin, radii, seed),
        "aligned": lambda: aligned_probe(lin, radii),
    }
    for probe, make in probes.items():
        errors = linearization_errors(lin, make())
        yield from _each(f"linearization / {probe}", recorded[probe], errors)
    worst = worst_linearization(*_few(kept))
    yield from _each("linearization / worst", recorded["worst"], worst.error)


def _target(record: Record, kept: Saved, transported: Params) -> Iterator[Comparison]:
    """What is about φ̃."""
    lin, terms = kept.lin, record.terms
    moved = linearization_errors(lin, transported)
    yield from _each("linearization / transported", terms["linearization"]["transported"], moved)
    errors = approximation_errors(lin, transported, kept.y)
    yield from _each("approximation", terms["approximation"]["transported"], errors)
    few, radii, search = _few(kept)
    change = worst_change_of_feature(few, transported, radii, search)
    recorded = terms["change_of_feature"]
    yield from _each("change_of_feature / worst", recorded["worst"], change.error)
    if record.complete:
        errors = change_of_feature_errors(lin, kept.final, transported)
        last = _last(record, "change_of_feature")
        yield from _each("change_of_feature / final step", last, errors)


def _trajectory(record: Record) -> Iterator[Comparison]:
    """The largest value of the trace is what the record says of the trajectory."""
    for term in ("linearization", "change_of_feature"):
        for statistic, value in record.terms.get(term, {}).get("trajectory", {}).items():
            largest = float(record.trace[f"{term}/trajectory/{statistic}"].max())
            yield Comparison(f"{term} / trajectory / {statistic}", value, largest)
    recorded = record.terms["gradient"]["training"]["feature_norm_max"]
    largest = float(record.trace[FEATURE_NORM].max())
    yield Comparison("feature norm / largest of the trace", recorded, largest)


def _final_step(record: Record, kept: Saved) -> Iterator[Comparison]:
    errors = linearization_errors(kept.lin, kept.final)
    yield from _each("linearization / final step", _last(record, "linearization"), errors)
    norms = kept.lin.squared_feature_norms(kept.final).sqrt()
    recorded = float(record.trace[FEATURE_NORM][-1])
    yield Comparison("feature norm / final step", recorded, float(norms.max()))


def _optimum(record: Record, kept: Saved) -> Iterator[Comparison]:
    training = record.terms["optimization"]["training"]
    least = mean_square_error(kept.lin, kept.best, kept.y)
    yield Comparison("minimum MSE", training["min_mse"], least)
    yield Comparison("minimum RMSE", training["min_rmse"], math.sqrt(training["min_mse"]))
    final = mean_square_error(kept.lin, kept.final, kept.y)
    yield Comparison("final MSE", training["final_mse"], final)


def _few(kept: Saved) -> tuple[Linearized, dict[str, float], Search]:
    """The samples of the worst-case searches, Ω_ρ, and how it is searched."""
    config = kept.config
    seed = known(config.init_seed, "init_seed")
    search = Search(config.search_restarts, config.search_steps, seed)
    return kept.lin.rows(slice(0, config.search_samples)), config.radii, search


def _last(record: Record, term: str) -> dict[str, float]:
    return {s: float(record.trace[f"{term}/trajectory/{s}"][-1]) for s in ERRORS}


def _each(name: str, recorded: Mapping[str, float], errors: Tensor) -> Iterator[Comparison]:
    for statistic, value in summarise(errors).items():
        yield Comparison(f"{name} / {statistic}", recorded[statistic], value)
