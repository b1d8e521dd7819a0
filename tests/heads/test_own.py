"""A head of one's own is a head: whatever is measured of it is what its closed form measures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ntkbound.core import userfile
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import AutogradView, Inputs, Params, symmetric_init
from ntkbound.heads.own import OwnHead
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.terms.probes import aligned_probe, random_probe
from ntkbound.heads.terms.tangent_kernel import tangent_kernel
from ntkbound.heads.terms.worst import Search, worst_change_of_feature, worst_linearization
from ntkbound.heads.training.objective import AutogradObjective
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.heads.written import WrittenHead
from ntkbound.machine.parallel import Workers
from tests.support.problems import make_inputs

pytestmark = pytest.mark.usefixtures("own_code")

TRANSFORMER = """
import torch

class Own:
    def blocks(self, d):
        return {"U": (d,), "W": (d, d)}

    def f(self, theta, X, q):
        p = torch.softmax(X @ theta["W"] @ q, 0)
        return torch.tanh((p @ X) @ theta["U"])
"""
FIVE = """
import torch

class Own:
    def blocks(self, d):
        return {"A": (2, d), "b": (2,), "c": (), "V": (3, 2, 2), "s": (), "w": 3}

    def h(self, params, inputs):
        rows = torch.einsum("ntd,mkd->nmk", inputs.X, params["A"]) / inputs.T
        z = torch.tanh(rows + params["b"])
        V = torch.einsum("mrij,nmi,nmj->nmr", params["V"], z, z)
        return params["c"] * torch.tanh((V * params["w"]).sum(-1) + params["s"])
"""
FIVE_EACH = """
import torch

class Own:
    def blocks(self, d):
        return {"A": (2, d), "b": (2,), "V": (3, 2, 2), "s": (), "w": (3,)}

    def f(self, theta, X, q):
        z = torch.tanh(theta["A"] @ X.mean(0) + theta["b"])
        return torch.tanh(theta["w"] @ (theta["V"] @ z @ z) + theta["s"])
"""
N, T, D, M = 4, 3, 3, 6


@pytest.fixture
def own(tmp_path):
    """The model of a file's text."""
    count = iter(range(9))

    def make(text: str, d: int = D) -> OwnHead:
        path = tmp_path / f"own{next(count)}.py"
        path.write_text(text)
        return OwnHead(WrittenHead.of(f"{userfile.name(path)}:Own"), d)

    return make


def problem(model, workers=None) -> Linearized:
    initial = symmetric_init(model, M, 0, torch.float64)
    return Linearized(model, initial, make_inputs(N, T, D, "last", 1), workers or Workers(1))


def close(one, two):
    torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)


def test_everything_measured_is_that_of_the_shipped_transformer(own):
    mine, theirs = (
        problem(m) for m in (own(TRANSFORMER), ShallowTransformer(D, ACTIVATIONS["tanh"]))
    )
    radii = {b: 0.7 / math.sqrt(M) for b in mine.model.blocks}
    for b in mine.initial:
        assert torch.equal(mine.initial[b], theirs.initial[b])

    def measured(lin):
        random, aligned = random_probe(lin, radii, 0), aligned_probe(lin, radii)
        yield aligned["W"]
        for probe in (random, aligned):
            yield linearization_errors(lin, probe)
            yield from lin.tangent_and_norm(probe, aligned, random)
        yield tangent_kernel(lin)
        yield lin.adjoint(torch.arange(N, dtype=torch.float64))["W"]

    for one, two in zip(measured(mine), measured(theirs), strict=True):
        close(one, two)


def test_the_worst_case_is_that_of_the_shipped_transformer(own):
    """With a shared query, for which both search the same unknowns."""
    text = TRANSFORMER.replace('"W": (d, d)', '"k": (d,)').replace('theta["W"] @ q', 'theta["k"]')
    shipped = ShallowTransformer(D, ACTIVATIONS["tanh"], fixed_query=True)
    mine, theirs = (problem(m) for m in (own(text), AutogradView(shipped)))
    radii, search = {b: 0.7 / math.sqrt(M) for b in mine.model.blocks}, Search(2, 6, 0)
    target = random_probe(mine, radii, 0)
    found, known = (
        [
            *worst_linearization(lin, radii, search),
            *worst_change_of_feature(lin, target, radii, search),
        ]
        for lin in (mine, theirs)
    )
    for one, two in zip(found, known, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("lead", [(), (5,), (1, 2), (2, 1, 5)])
@pytest.mark.parametrize("text", [TRANSFORMER, FIVE])
def test_leading_axes_broadcast(own, lead, text):
    """Blocks and samples may each have axes that the others lack."""
    model, rng = own(text), np.random.default_rng(0)

    def tensor(*shape):
        return torch.from_numpy(rng.standard_normal(shape))

    params = {b: tensor(*lead, M, *shape) for b, shape in model.blocks.items()}
    params["c"] = tensor(2, *[1] * len(lead), M)
    inputs = Inputs(tensor(*lead[-1:], N, T, D), tensor(*lead[-1:], N, D))
    value = model.h(params, inputs)
    assert value.shape == (2, *lead, N, M)
    for index in np.ndindex(2, *lead):
        at = {b: v[index[1:]] for b, v in params.items() if b != "c"}
        at["c"] = params["c"][index[0]].reshape(M)
        last = index[-1:] if lead else ()
        close(value[index], model.h(at, Inputs(inputs.X[last], inputs.q[last])))


def test_a_batched_head_is_the_same_head_per_sample(own):
    batched, each = problem(own(FIVE)), problem(own(FIVE_EACH))
    assert list(batched.model.blocks) == ["A", "b", "c", "V", "s", "w"]
    assert batched.model.blocks["w"] == (3,)
    radii = dict.fromkeys(batched.model.blocks, 0.5)
    for b, value in each.initial.items():
        assert torch.equal(value, batched.initial[b])
    close(
        batched.outputs(random_probe(batched, radii, 0)), each.outputs(random_probe(each, radii, 0))
    )
    search = Search(2, 4, 0)
    found = worst_linearization(batched, radii, search)
    close(found.error, worst_linearization(each, radii, search).error)
    assert (found.error > linearization_errors(batched, random_probe(batched, radii, 0))).all()


@pytest.mark.parametrize("text", [TRANSFORMER, FIVE])
def test_derivatives_are_those_of_forward_mode(own, text):
    """Autograd's, which training and measuring use, beside torch.func's, which verify uses."""
    lin = problem(own(text))
    model, view = lin.model, AutogradView(lin.model)
    delta = random_probe(lin, dict.fromkeys(model.blocks, 1.0), 3)
    for one, two in zip(model.jvp(delta, lin.initial, lin.inputs),
                        view.jvp(delta, lin.initial, lin.inputs), strict=True):  # fmt: skip
        close(one, two)
    grads, again = (m.gradients(delta, lin.inputs) for m in (model, view))
    for b in grads:
        close(grads[b], again[b])
    close(
        model.squared_gradient_norms(delta, lin.inputs), model.tangents(delta, delta, lin.inputs)[2]
    )


def test_symmetric_initialisation_gives_zero(own):
    lin = problem(own(FIVE))
    assert lin.outputs(lin.initial).abs().max() < 1e-15


def test_training_descends_its_risk(own):
    """∇R̂ in the precision of training against a difference quotient."""
    lin = problem(own(FIVE))
    y = torch.linspace(-1, 1, N, dtype=torch.float64)
    objective = AutogradObjective(lin.model, lin.inputs, y)
    at: Params = {
        b: v.unsqueeze(0) for b, v in random_probe(lin, dict.fromkeys(lin.initial, 1.0), 0).items()
    }
    grads = {b: torch.empty_like(v) for b, v in at.items()}
    objective.evaluate(at, grads)
    step, scratch = 1e-6, {b: torch.empty_like(v) for b, v in at.items()}
    for b in at:
        up, down = ({**at, b: at[b] + s * step * grads[b]} for s in (1, -1))
        rise = objective.evaluate(up, scratch) - objective.evaluate(down, scratch)
        torch.testing.assert_close(
            rise / (2 * step), grads[b].square().sum().reshape(1), rtol=1e-6, atol=0
        )


def test_bits_do_not_depend_on_threads(own):
    one, two = (problem(own(TRANSFORMER), Workers(threads)) for threads in (1, 3))
    radii = dict.fromkeys(one.model.blocks, 0.5)
    probe = random_probe(one, radii, 0)
    assert torch.equal(one.tangent_and_norm(probe, probe, one.initial)[1],
                       two.tangent_and_norm(probe, probe, two.initial)[1])  # fmt: skip
    search = Search(2, 4, 0)
    found = [worst_change_of_feature(lin, probe, radii, search) for lin in (one, two)]
    assert torch.equal(found[0].error, found[1].error)


DRAWS = """
    def draw(self, block, rng, heads):
        return 3 + rng.random((heads, {size})) if block == "U" else None
"""


def test_its_own_draw_is_used_and_the_rest_is_as_usual(own):
    plain, drawn = own(TRANSFORMER), own(TRANSFORMER + DRAWS.format(size=3))
    one, two = (symmetric_init(m, M, 0, torch.float64) for m in (plain, drawn))
    assert (two["U"] > 3).all()
    assert torch.equal(one["W"], two["W"])
    assert torch.equal(one["c"], two["c"])
    longer = symmetric_init(drawn, 2 * M, 0, torch.float64)
    assert torch.equal(longer["U"][: M // 2], two["U"][: M // 2])


BLOCKS = 'return {"U": (d,), "W": (d, d)}'
BACK = 'return torch.tanh((p @ X) @ theta["U"])'
WRONG = {
    "no mapping": (BLOCKS, "return [d]", "line 5: Own.blocks: returns a list"),
    "a name": (BLOCKS, 'return {"a b": (d,)}', "'a b' is no name"),
    "a shape": (BLOCKS, 'return {"U": (d, 0.5)}', "the shape of U is (3, 0.5), not a tuple"),
    "an empty block": (BLOCKS, 'return {"U": (0,)}', "the shape of U is (0,)"),
    "none": (BLOCKS, "return {}", "there is none to be trained"),
    "c": (BLOCKS, 'return {"c": (), "U": (d,)}', "'c' is the output weight, which is added"),
    "raises": (BLOCKS, "return 1 / 0", "line 6: ZeroDivisionError"),
    "a vector": (BACK, 'return torch.tanh(X @ theta["U"])', "Own.f: shape (3,), dtype float"),
    "no tensor": (BACK, "return 1.0", "a float, not a tensor of shape ()"),
    "NaN": (BACK, BACK + " * float('nan')", "not finite at initial parameters"),
    "unused": ("p = torch", "p = X[:, 0] # ", "it does not depend on block W"),
    "dtype": (BACK, BACK + ".float()", "dtype float32, not a tensor of shape () and dtype float64"),
    "constant": (BACK, 'return torch.sign(theta["U"].sum())', "does not depend on block W"),
    "detached": (BACK, BACK + ".detach()", "it does not depend on block U, W"),
    "in place": (BACK, "y = torch.exp(p @ X @ theta['U'])\n        y *= 2\n        return y",
                 "autograd cannot differentiate it twice: one of the variables"),
    "raises in f": (BACK, "return theta['V']", "line 10: KeyError: 'V'"),
    "gradient": (BACK, 'return torch.sqrt((theta["U"] * 0).sum() + (p * 0).sum())', "not finite"),
    "draw": ("import torch", "import torch", "block U: float64 (4, 7), not numbers of shape"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_head_is_one_line_with_its_place(own, fault):
    old, new, reason = WRONG[fault]
    text = TRANSFORMER.replace(old, new, 1) + (DRAWS.format(size=7) if fault == "draw" else "")
    with pytest.raises(userfile.UserCodeError) as told:
        own(text).check(T, torch.float32)
    line = str(told.value)
    assert line.startswith("own0.py, line ")
    assert "\n" not in line
    if fault != "draw":
        assert reason in line
    else:
        assert "Own.draw: block U: float64 (256, 7), not numbers of shape (256, 3)" in line


BATCHED = {
    "no c": ('"c": (), ', "", "h needs the output weight among them: 'c': ()"),
    "even in c": ('params["c"] * ', 'params["c"] ** 2 * ', "must be linear in the output weight"),
    "not linear": ('params["c"] * ', 'params["c"] ** 3 * ', "must be linear in the output weight"),
    "heads meet": ("rows + ", "rows - rows.mean(1, True) + ", "must not depend on other heads"),
    "samples meet": ("rows + ", "rows - rows.mean(0) + ", "must not depend on other heads"),
    "no c used": ('params["c"] * ', "", "must be linear in the output weight"),
    "shape": ('params["c"] * ', 'params["c"].sum() * torch.ones(2, 1, 1) * ',
              "Own.h: shape (2, 3, 4), dtype float32, not a tensor of shape (3, 4)"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BATCHED)
def test_a_wrong_batched_head_is_one_line(own, fault):
    old, new, reason = BATCHED[fault]
    with pytest.raises(userfile.UserCodeError) as told:
        own(FIVE.replace(old, new, 1)).check(T, torch.float32)
    assert reason in str(told.value)


def test_a_right_one_passes(own):
    for text in (TRANSFORMER, FIVE, FIVE_EACH):
        own(text).check(T, torch.float32)


def test_nan_on_the_samples_themselves_is_told(own):
    lin = problem(own(TRANSFORMER.replace("torch.tanh((p", "torch.log(2 - X.abs().sum()) + ((p")))
    lin.inputs.X[2] = 9.0
    with pytest.raises(
        userfile.UserCodeError, match="not finite at the initial parameters and sample"
    ):
        lin.model.check_at(lin)


def test_the_context_is_all_tokens_unless_it_says_otherwise(own):
    assert own(TRANSFORMER).context_numbers(5, 7) == 5 * D
    said = TRANSFORMER + "\n    def context_numbers(self, T, m):\n        return m\n"
    assert own(said).context_numbers(5, 7) == 7
