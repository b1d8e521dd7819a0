"""An activation that the native kernels do not know runs in torch, everywhere, and is told of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ntkbound.heads import native
from ntkbound.heads.activations import ACTIVATIONS, Activation
from ntkbound.heads.indrnn import IndRNN
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import AutogradView, symmetric_init, together
from ntkbound.heads.native.tiles import ACTIVATIONS as COMPILED
from ntkbound.heads.native_model import native_notes, runs_natively
from ntkbound.heads.terms.probes import aligned_probe, random_probe
from ntkbound.heads.terms.worst import Search, worst_change_of_feature, worst_linearization
from ntkbound.heads.training.blocked import BlockedObjective
from ntkbound.heads.training.choose import objective_for
from ntkbound.heads.training.descent import Schedule, Watcher, descend
from ntkbound.heads.training.fused import FusedObjective
from ntkbound.heads.training.objective import AutogradObjective
from ntkbound.heads.training.step import Rule
from ntkbound.heads.transformer import ShallowTransformer
from tests.support.checks import ONE
from tests.support.problems import make_inputs, random_labels
from tests.support.tolerances import ROUNDING, assert_close

EXACT = ROUNDING[torch.float64]

# tanh under a name that nothing else has: its numbers are known, its native code is not.
OWN = Activation(
    "softer", torch.tanh, lambda z, s: 1 - s * s, (1.0, 1.0, 1.0), parity=-1,
    curvature=lambda z, s: -2 * s * (1 - s * s),
)  # fmt: skip
NAMESAKE = replace(OWN, name="tanh")


def models(activation):
    return (
        ShallowTransformer(3, activation),
        ShallowTransformer(3, activation, fixed_query=True),
        IndRNN(3, activation, 0.9),
    )


def kind(model):
    return "fixed" if "k" in model.blocks else "last"


def linearized(model):
    initial = symmetric_init(model, 6, 1, torch.float64)
    return Linearized(model, initial, make_inputs(5, 4, 3, kind(model), seed=2), ONE)


def test_the_native_activations_are_those_that_are_compiled():
    assert [name for name, a in ACTIVATIONS.items() if a.native] == list(COMPILED)


@pytest.mark.parametrize("activation", [OWN, NAMESAKE], ids=lambda a: a.name)
def test_an_activation_of_ones_own_is_told_of_once(activation):
    for model in models(activation):
        assert not runs_natively(model)
        (note,) = native_notes(model)
        assert note.startswith(f"activation {activation.name} has no native code")
    for model in models(ACTIVATIONS["tanh"]):
        assert runs_natively(model) == native.available()
        assert native_notes(model) == ()
    generic = AutogradView(models(OWN)[0])  # promises no native code
    assert not runs_natively(generic)
    assert native_notes(generic) == ()


def test_without_numba_nothing_is_said_of_activations(monkeypatch):
    monkeypatch.setattr(native, "available", lambda: False)
    for activation in (OWN, ACTIVATIONS["tanh"]):
        for model in models(activation):
            assert not runs_natively(model)
            assert native_notes(model) == ()


def trained(model, objective):
    lin, y = linearized(model), random_labels(5, seed=3)
    evaluate = objective_for(model, lin.inputs, y, lin.heads, ONE)
    assert type(evaluate) is objective
    radii = {b: torch.tensor([0.1], dtype=torch.float64) for b in model.blocks}
    rule = Rule(torch.tensor([0.5], dtype=torch.float64), radii)
    seen = []
    watcher = Watcher(lambda step, params, norms: seen.append(step))
    found = descend(evaluate, together(lin.initial), rule, Schedule(8, [0, 2]), watcher)
    assert seen == [0, 2, 8]
    return found.of(0).final


@pytest.mark.parametrize("activation", [OWN, NAMESAKE], ids=lambda a: a.name)
def test_training_falls_back_to_torch(activation):
    fallbacks = (BlockedObjective, BlockedObjective, AutogradObjective)
    for own, tanh, fallback in zip(
        models(activation), models(ACTIVATIONS["tanh"]), fallbacks, strict=True
    ):
        usual = FusedObjective if native.available() else fallback
        fast, slow = trained(tanh, usual), trained(own, fallback)
        for block in fast:
            assert_close(slow[block], fast[block], 10 * EXACT, f"{type(own).__name__}, {block}")


@pytest.mark.parametrize("activation", [OWN, NAMESAKE], ids=lambda a: a.name)
def test_what_is_measured_falls_back_to_torch(activation):
    search = Search(2, 4, 0)
    for own, tanh in zip(models(activation), models(ACTIVATIONS["tanh"]), strict=True):
        radii = dict.fromkeys(own.blocks, 0.3)
        both = []
        for lin in (linearized(own), linearized(tanh)):
            at = random_probe(lin, radii, seed=1)
            few = lin.rows(slice(0, 2))
            both.append({
                "f": lin.outputs(at),
                "f_lin": lin.linear_outputs(at),
                "norms": lin.squared_feature_norms(at),
                **{f"aligned {b}": v for b, v in aligned_probe(lin, radii).items()},
                "lin": worst_linearization(few, radii, search).error,
                "cof": worst_change_of_feature(few, at, radii, search).error,
            })  # fmt: skip
        for name, value in both[0].items():
            assert_close(value, both[1][name], 1e-10, f"{type(own).__name__}, {name}")
