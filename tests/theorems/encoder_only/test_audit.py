"""The audit: the exact identity, factors that multiply to it, each inequality seen to fail."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ntkbound.core.errors import InputError
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import silent_progress
from ntkbound.theorems.encoder_only.audit import audit, walk
from ntkbound.theorems.encoder_only.config import Config
from ntkbound.theorems.encoder_only.run import prepare
from ntkbound.theorems.encoder_only.start import start

# §4: LeCun half, dm = 512, N = 20, ds = 4, d = 30, unit, γ = 1/λ_max, sum loss.
EXAMPLE = {"dm": 512, "N": 20, "ds": 4, "d": 30, "loss": "sum"}


def path(**fields):
    prepared = prepare(Config(**fields))
    return walk(start(prepared.config, prepared.data, Workers(1)), silent_progress)


@pytest.fixture(scope="module")
def example():
    return path(**EXAMPLE)


def test_the_example(example):
    """Rate −8.9e-2 against −4.7e-3: ×1.96 descent, ×2.1 share of w_O, ×1.1 alignment, ×4.2; over
    seeds rates spread by half and factors by a fifth."""
    found = audit(example)
    assert found.holds and all(link.holds for link in found.links)
    assert [link.factor for link in found.links] == pytest.approx([1.96, 2.1, 1.1, 4.2], rel=0.25)
    assert found.measured == pytest.approx(-8.9e-2, rel=0.5)
    assert found.bound == pytest.approx(-4.7e-3, rel=0.5)


@pytest.mark.parametrize(
    "fields",
    [
        EXAMPLE | {"tau": 100},
        EXAMPLE | {"loss": "mean", "scaling": "one", "init": "he", "gamma": 0.5, "tau": 60},
        EXAMPLE | {"init": "ntk", "step": "adaptive", "tau": 60, "tokens": "raw"},
        EXAMPLE | {"pooling": "sum", "step": "fixed", "gamma": 1e-3, "tau": 60},
    ],
    ids=str,
)
def test_factors_multiply_to_measured_over_bound(fields):
    found = audit(path(**fields))
    assert found.holds and found.identity < 1e-13
    product = np.prod([link.factor for link in found.links])
    assert product == pytest.approx(found.lost, rel=1e-12)
    for before, after in zip(found.links, found.links[1:], strict=False):
        assert before.after == after.before
    assert found.links[0].before == pytest.approx(found.measured, rel=1e-12)


def test_kappa_and_descent_are_of_the_loss(example):
    """ℓ_{t+1} = ℓ_t(1 − 2D_tγwκ_t), and 2wℓκ = ‖∇ℓ‖² with ‖r‖² = 2ℓ/w."""
    taken = 2 * example.descent * example.gamma * example.weight * example.kappa
    assert np.allclose(example.loss[:-1] * (1 - taken), example.loss[1:], rtol=1e-13)


def test_the_end_is_where_ratios_are_rounding(example):
    short = replace(example, loss=np.append(example.loss[:51], example.loss[51:] * 1e-30))
    assert audit(short).steps == 50  # ℓ_50 is the last above 1e-24 ℓ_0
    with pytest.raises(InputError, match="leaves no step") as raised:
        audit(replace(example, loss=np.append(example.loss[:1], example.loss[1:] * 1e-30)))
    assert raised.value.field == "tau"


def test_each_inequality_is_seen_to_fail(example):
    def broken(**fields):
        found = audit(replace(example, **fields))
        return found.holds, {link.name for link in found.links if not link.holds}

    less = example.gradient.copy()
    less[7] = 0.9 * example.output[7]
    # A gradient that is too small makes the descent ratio larger: only the share fails.
    assert broken(gradient=less) == (False, {"share of w_O"})
    assert broken(output=0.5 * example.output) == (False, {"alignment"})
    assert broken(smallest=0.1 * example.smallest) == (True, {"σ_min² ≥ α²/4"})
    assert broken(gamma=3 * example.gamma) == (True, {"descent"})
    assert broken(loss=example.loss[::-1].copy())[1] >= {"descent"}


def test_what_has_no_rate_has_no_factor():
    """Fewer neurons than samples: α = 0, so the bound says nothing."""
    found = audit(path(dm=16, N=20, ds=4, d=30, gamma=0.05, tau=30))
    assert found.bound == 0.0 and found.lost is None
    factors = [link.factor for link in found.links]
    assert factors[0] is not None and factors[2:] == [None, None]


def test_the_command(command):
    options = [f"--{name}={value}" for name, value in EXAMPLE.items()]
    code, out, _ = command("audit", "--theorem=encoder-only", *options, "--tau=40", "--json")
    told = json.loads(out)
    assert code == 0 and told["steps"] == 40 and told["identity"] < 1e-13
    assert np.prod([link["factor"] for link in told["links"]]) == pytest.approx(told["lost"])
    code, out, _ = command("audit", "--theorem=encoder-only", *options, "--tau=40")
    assert code == 0 and "the product of the factors" in " ".join(out.split())
    code, _, err = command("audit", "--theorem=encoder-only", "--task=images")
    assert code == 2 and "--task: has no bound to audit" in err
