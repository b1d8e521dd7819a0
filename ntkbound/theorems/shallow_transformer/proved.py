"""Which bounds are proved for which heads: a model has those of its very class, or none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ntkbound.heads.indrnn import IndRNN
from ntkbound.heads.model import AutogradView, HeadModel
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.theorems.shallow_transformer import bounds, recurrent
from ntkbound.theorems.shallow_transformer.bounds import Bounds
from ntkbound.theorems.shallow_transformer.rounding import rounding
from ntkbound.theorems.shallow_transformer.start import Start

NOT_PROVED = "not proved for this head"
OFF = "bounds were switched off"

BoundsOf = Callable[[Any, Start], Bounds]  # of the model as its own class, and the run


def of_transformer(model: ShallowTransformer, start: Start) -> Bounds:
    """All bounds of the theorem."""
    problem, u, found = start.problem, start.norms, None
    if start.projected and problem.target == "drawn":
        steep = math.sqrt(bounds.squared_feature_norm(problem, u))
        found = rounding(start, problem.rho, steep)
    return bounds.bounds(problem, u, covered=start.projected, rounding=found)


def of_recurrence(model: IndRNN, start: Start) -> Bounds:
    """The feature norm's bound alone."""
    return recurrent.bounds(start.problem, model.omega)


def of_any_head(model: HeadModel, start: Start) -> Bounds:
    """None: a proof is about the form of a head."""
    return Bounds.none(NOT_PROVED)


PROVED: Mapping[type[HeadModel], BoundsOf] = {
    ShallowTransformer: of_transformer,
    IndRNN: of_recurrence,
}


def bounds_of(kind: type[HeadModel]) -> BoundsOf:
    """The bounds of a class of heads. A subclass is another head: it inherits no proof."""
    return PROVED.get(kind, of_any_head)


def underlying(model: HeadModel) -> HeadModel:
    """The model itself, where only its closed forms are hidden."""
    return underlying(model.model) if isinstance(model, AutogradView) else model


def in_theorem(model: HeadModel) -> bool:
    """Whether these are the heads that the theorem is about."""
    return bounds_of(type(underlying(model))) is of_transformer


def closed_form(start: Start) -> Bounds:
    """The closed-form bounds of a run; each that its model does not have carries its reason."""
    model = underlying(start.model)
    if start.config.bounds:
        return bounds_of(type(model))(model, start)
    off = Bounds.none(OFF)
    return off.after(start.projected) if in_theorem(model) else off
