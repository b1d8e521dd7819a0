"""A record against its own parameters: every term again, through ``torch.func`` alone.

Initial parameters are drawn again from their seed, and each term is recomputed from the saved
parameters with the model's closed forms hidden, so that a wrong closed form or a tampered record
shows as a difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ntkbound.heads.model import AutogradView, Inputs, Params, symmetric_init
from ntkbound.heads.sums import squared_feature_norms
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.approximation import approximation_errors
from ntkbound.heads.terms.change_of_feature import change_of_feature_errors
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.terms.probes import aligned_probe, random_probe
from ntkbound.heads.terms.summary import summarise
from ntkbound.heads.terms.trajectory import mean_square_error
from ntkbound.heads.terms.worst import Search, worst_change_of_feature, worst_linearization
from ntkbound.machine.parallel import Workers
from ntkbound.runs.record import Record, group, require_saved
from ntkbound.theorems.shallow_transformer.config import RunConfig, build
from ntkbound.theorems.shallow_transformer.run import build_model

# Two float64 evaluations in different orders; an error term is a difference of O(1) numbers.
RELATIVE, ABSOLUTE = 1e-6, 1e-12


@dataclass(frozen=True)
class Comparison:
    """One number of the record beside the same number recomputed."""

    quantity: str
    recorded: float
    recomputed: float

    @property
    def difference(self) -> float:
        return abs(self.recorded - self.recomputed)

    @property
    def agrees(self) -> bool:
        return self.difference <= ABSOLUTE + RELATIVE * abs(self.recorded)


def verify(record: Record) -> list[Comparison]:
    """Every recomputable number of the record.

    Raises InputError if the parameters or inputs were not saved with it.
    """
    require_saved(record, "X", "q", "y", "initial.c")
    return list(_compare(record, build(record.data["config"])))


def _compare(record: Record, config: RunConfig) -> Iterator[Comparison]:
    model = AutogradView(build_model(config))
    workers = Workers(1)  # torch.func's forward mode is not safe in several threads
    tensors = {name: torch.from_numpy(a.copy()) for name, a in record.params.items()}
    inputs = Inputs(tensors["X"], tensors["q"])
    task = Task(inputs, tensors["y"], token_norm=1.0, query_norm=1.0)
    initial = group(tensors, "initial")
    final, best = group(tensors, "final"), group(tensors, "best")
    transported = group(tensors, "transported") or None
    radii = config.radii
    seed, terms, trace = config.init_seed or 0, record.terms, record.trace

    drawn = symmetric_init(model, config.m, seed, initial["c"].dtype)
    gap = max(float((drawn[b] - initial[b]).abs().max()) for b in drawn)
    yield Comparison("initial parameters: distance to their stream", 0.0, gap)

    def lin(params: Params, rows: Inputs = inputs) -> Tensor:
        return linearization_errors(model, initial, params, rows, workers)

    def each(name: str, recorded: dict[str, float], errors: Tensor) -> Iterator[Comparison]:
        for statistic, value in summarise(errors).items():
            yield Comparison(f"{name} / {statistic}", recorded[statistic], value)

    found = terms["linearization"]
    probes: dict[str, Callable[[], Params]] = {
        "random": lambda: random_probe(model, initial, radii, seed),
        "aligned": lambda: aligned_probe(model, initial, radii, inputs, workers),
    }
    for probe, make in probes.items():
        yield from each(f"linearization / {probe}", found[probe], lin(make()))
    search = Search(config.search_restarts, config.search_steps, seed)
    few = inputs.rows(slice(0, config.search_samples))
    worst = worst_linearization(model, initial, radii, few, search, workers)
    yield from each("linearization / worst", found["worst"], worst.error)
    for statistic, value in found["trajectory"].items():
        largest = float(trace[f"linearization.{statistic}"].max())
        yield Comparison(f"linearization / trajectory / {statistic}", value, largest)
    if transported is not None:
        for statistic, value in terms["change_of_feature"]["trajectory"].items():
            largest = float(trace[f"change_of_feature.{statistic}"].max())
            yield Comparison(f"change_of_feature / trajectory / {statistic}", value, largest)
    yield Comparison(
        "feature norm / largest of the trace",
        terms["gradient"]["training"]["feature_norm_max"],
        float(trace["feature_norm"].max()),
    )
    complete = record.data["status"] == "complete"
    if complete:
        last = {s: float(trace[f"linearization.{s}"][-1]) for s in ("max", "mean", "rms")}
        yield from each("linearization / final step", last, lin(final))
        norms = squared_feature_norms(model, final, inputs, workers).sqrt()
        yield Comparison(
            "feature norm / final step", float(trace["feature_norm"][-1]), float(norms.max())
        )
    if transported is not None:
        yield from each("linearization / transported", found["transported"], lin(transported))
        app = approximation_errors(model, initial, transported, inputs, task.y, workers)
        yield from each("approximation", terms["approximation"]["transported"], app)
        cof = worst_change_of_feature(model, initial, transported, radii, few, search, workers)
        yield from each("change_of_feature / worst", terms["change_of_feature"]["worst"], cof.error)
        if complete:
            moved = change_of_feature_errors(model, initial, final, transported, inputs, workers)
            last = {s: float(trace[f"change_of_feature.{s}"][-1]) for s in ("max", "mean", "rms")}
            yield from each("change_of_feature / final step", last, moved)
    training = terms["optimization"]["training"]
    yield Comparison(
        "minimum MSE", training["min_mse"], mean_square_error(model, best, task, workers)
    )
    yield Comparison("minimum RMSE", training["min_rmse"], math.sqrt(training["min_mse"]))
    yield Comparison(
        "final MSE", training["final_mse"], mean_square_error(model, final, task, workers)
    )
