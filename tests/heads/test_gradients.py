"""The closed-form gradient against autograd, against NumPy, and against finite differences."""

from __future__ import annotations

import itertools

import pytest
import torch

from ntkbound.heads import linearized
from ntkbound.heads.model import AutogradView, Inputs
from ntkbound.heads.training import blocked
from ntkbound.heads.training.blocked import BlockedObjective
from ntkbound.machine.parallel import Workers
from tests.support.checks import check_gradients, check_outputs, loss_and_gradient
from tests.support.problems import QUERIES, make_inputs, make_model, make_params, random_labels
from tests.support.tolerances import ROUNDING, assert_close

ACTIVATIONS = ("tanh", "erf", "sigmoid", "bump", "relu")
SHAPES = {  # n, T, d, m, R
    "one-token": (5, 1, 3, 4, 1),
    "one-dimension": (7, 3, 1, 2, 1),
    "odd-two-runs": (3, 5, 3, 5, 2),
    "tiny": (1, 1, 1, 1, 1),
}
DTYPES = (torch.float32, torch.float64)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_and_tangents_equal_the_definition(activation, query):
    check_outputs(activation, query, (4, 3, 2, 5))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_pair_of_implementations_agrees(activation, query, shape):
    # ReLU is not differentiable at 0, so a finite difference across 0 would prove nothing.
    differences = activation != "relu"
    check_gradients(activation, query, SHAPES[shape], torch.float64, differences=differences)
    check_gradients(activation, query, SHAPES[shape], torch.float32, differences=False)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_closed_forms_equal_torch_func(activation, query):
    model = make_model(activation, query, 3)
    generic = AutogradView(model)
    inputs = make_inputs(5, 4, 3, query, seed=1)
    params, delta = make_params(model, 6, seed=2), make_params(model, 6, seed=3)
    for i, part in enumerate(("h", "⟨∇h, Δ⟩")):
        pair = (model.jvp(params, delta, inputs)[i], generic.jvp(params, delta, inputs)[i])
        assert_close(*pair, ROUNDING[torch.float64], f"jvp {part}")
    closed, derived = model.gradients(params, inputs), generic.gradients(params, inputs)
    assert closed.keys() == derived.keys() == params.keys()
    for block in params:
        assert_close(closed[block], derived[block], ROUNDING[torch.float64], f"∂h/∂{block}")
    norms = [m.squared_gradient_norms(params, inputs) for m in (model, generic)]
    assert_close(*norms, ROUNDING[torch.float64], "‖∇h‖²")


@pytest.mark.parametrize("hidden", [False, True], ids=["native", "torch.func"])
@pytest.mark.parametrize("query", QUERIES)
def test_what_is_measured_of_runs_together_are_the_bits_of_each(query, hidden, monkeypatch):
    monkeypatch.setattr(linearized, "CHUNK_HEADS", 12)
    model = make_model("sigmoid", query, 3)
    view = AutogradView(model) if hidden else model
    inputs = make_inputs(19, 4, 3, query, seed=1)
    at, to, origin = (make_params(model, 29, seed=k, runs=3) for k in range(3))
    lin = linearized.Linearized(view, at, inputs, Workers(1))
    together = lin.tangent_and_norm(at, to, origin)
    for run in range(3):
        own = ({b: v[run] for b, v in p.items()} for p in (at, to, origin))
        alone = lin.tangent_and_norm(*own)
        assert all(torch.equal(a, b[run]) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("query", QUERIES)
def test_leading_axes_evaluate_many_candidates_at_once(query):
    """The search evaluates (samples, signs, restarts) at once: each must equal its own call."""
    model, n, m = make_model("erf", query, 2), 3, 4
    inputs = make_inputs(n, 3, 2, query, seed=4)
    single = Inputs(inputs.X[:, None, None, None], inputs.q[:, None, None, None])
    candidates = [[make_params(model, m, seed=10 + 3 * j + r) for r in range(3)] for j in range(n)]
    stacked = {
        b: torch.stack([torch.stack([p[b] for p in row]) for row in candidates])[:, None]
        for b in model.blocks
    }
    step = {b: v.cos() for b, v in stacked.items()}
    h = model.h(stacked, single).squeeze(-2)
    slope = model.jvp(stacked, step, single)[1].squeeze(-2)
    assert h.shape == slope.shape == (n, 1, 3, m)
    for j, r in itertools.product(range(n), range(3)):
        one, move = candidates[j][r], {b: v.cos() for b, v in candidates[j][r].items()}
        expected = model.jvp(one, move, inputs.rows(slice(j, j + 1)))
        assert_close(h[j, 0, r], expected[0][0], ROUNDING[torch.float64], f"h {j} {r}")
        assert_close(slope[j, 0, r], expected[1][0], ROUNDING[torch.float64], f"slope {j} {r}")


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_splitting_into_blocks_changes_rounding_only(query, dtype, monkeypatch):
    found = {}
    for elements in (1, 40, 77, 1 << 17):
        monkeypatch.setattr(blocked, "BLOCK_ELEMENTS", elements)
        found[elements] = _gradient(query, dtype)
    for a, b in itertools.combinations(found, 2):
        assert_close(found[a][0], found[b][0], ROUNDING[dtype], f"R̂, blocks of {a} and {b}")
        for block in found[a][1]:
            pair = found[a][1][block], found[b][1][block]
            assert_close(*pair, ROUNDING[dtype], f"∂{block}, blocks of {a} and {b}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_threads(dtype, monkeypatch):
    monkeypatch.setattr(blocked, "BLOCK_ELEMENTS", 64)
    one, two = _gradient("last", dtype, threads=1), _gradient("last", dtype, threads=2)
    assert torch.equal(one[0], two[0])
    for block in one[1]:
        assert torch.equal(one[1][block], two[1][block]), block


def test_bits_of_a_run_do_not_depend_on_its_companions():
    """Batched seeds come for free only if a run is the same alone and in company."""
    model = make_model("tanh", "last", 3)
    inputs, y = make_inputs(9, 4, 3, "last", seed=1), random_labels(9, seed=2)
    both = make_params(model, 6, seed=3, runs=2)
    together = loss_and_gradient("blocked", model, inputs, y, both)
    for run in range(2):
        alone = {b: v[run : run + 1] for b, v in both.items()}
        loss, grads = loss_and_gradient("blocked", model, inputs, y, alone)
        assert torch.equal(loss[0], together[0][run])
        assert all(torch.equal(grads[b][0], together[1][b][run]) for b in grads)


def test_permuting_heads_permutes_the_gradient():
    model = make_model("tanh", "last", 3)
    inputs, y = make_inputs(9, 4, 3, "last", seed=1), random_labels(9, seed=2)
    params, order = make_params(model, 6, seed=3, runs=1), torch.tensor([3, 0, 5, 1, 4, 2])
    loss, grads = loss_and_gradient("blocked", model, inputs, y, params)
    permuted = {b: v[:, order] for b, v in params.items()}
    loss2, grads2 = loss_and_gradient("blocked", model, inputs, y, permuted)
    assert_close(loss, loss2, ROUNDING[torch.float64], "R̂, permuted heads")
    for b in grads:
        assert_close(
            grads[b][:, order], grads2[b], ROUNDING[torch.float64], f"∂{b}, permuted heads"
        )


@pytest.mark.parametrize("query", QUERIES)
def test_the_same_problem_written_differently(query):
    """Duplicated samples, permuted samples and permuted tokens leave R̂ and ∇R̂ where they are."""
    model = make_model("tanh", query, 3)
    inputs, y = make_inputs(6, 4, 3, query, seed=1), random_labels(6, seed=2)
    params = make_params(model, 4, seed=3, runs=1)
    order, tokens = torch.tensor([4, 0, 5, 1, 3, 2]), torch.tensor([2, 0, 3, 1])
    variants = {
        "duplicated": (Inputs(inputs.X.repeat(2, 1, 1), inputs.q.repeat(2, 1)), y.repeat(2)),
        "permuted samples": (inputs.rows(order), y[order]),
        "permuted tokens, same query": (Inputs(inputs.X[:, tokens], inputs.q), y),
    }
    loss, grads = loss_and_gradient("blocked", model, inputs, y, params)
    for name, (other, labels) in variants.items():
        loss2, grads2 = loss_and_gradient("blocked", model, other, labels, params)
        assert_close(loss, loss2, ROUNDING[torch.float64], f"R̂, {name}")
        for b in grads:
            assert_close(grads[b], grads2[b], ROUNDING[torch.float64], f"∂{b}, {name}")


def test_loading_a_batch_replaces_every_array():
    """A mini-batch that kept the old queries or labels would train on nonsense, silently."""
    model = make_model("tanh", "last", 3)
    old, new = make_inputs(5, 4, 3, "last", seed=1), make_inputs(5, 4, 3, "last", seed=2)
    params = make_params(model, 4, seed=3, runs=1)
    objective = BlockedObjective(model, old, random_labels(5, seed=4), 4, Workers(1))
    y = random_labels(5, seed=6)
    objective.load(new, y)
    grads = {b: torch.empty_like(v) for b, v in params.items()}
    loss = objective.evaluate(params, grads)
    expected, slopes = loss_and_gradient("autograd", model, new, y, params)
    assert_close(loss, expected, ROUNDING[torch.float64], "R̂ after load")
    for b in grads:
        assert_close(grads[b], slopes[b], ROUNDING[torch.float64], f"∂{b} after load")


def _gradient(query, dtype, threads=1):
    model, m = make_model("tanh", query, 3), 5
    inputs, y = make_inputs(13, 4, 3, query, seed=1).to(dtype), random_labels(13, seed=2).to(dtype)
    params = {b: v.to(dtype) for b, v in make_params(model, m, seed=3, runs=2).items()}
    grads = {b: torch.empty_like(v) for b, v in params.items()}
    loss = BlockedObjective(model, inputs, y, m, Workers(threads)).evaluate(params, grads)
    return loss, grads
