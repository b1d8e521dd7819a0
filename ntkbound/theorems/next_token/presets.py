"""The presets of this theorem, by name: its own and those of its studies at each size."""

import json
import math
from collections.abc import Mapping
from typing import Any

from ntkbound.theorems.next_token.config import KQ_SCALE
from ntkbound.theorems.next_token.statement import CLAIMS


def told(*labels: str) -> str:
    """The theorem's claims of these labels, as a preset has them."""
    return "".join(
        "\n[[claim]]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in fields.items())
        for claim in CLAIMS
        if claim.label in labels
        for fields in [{"form": claim.form, **claim.model_dump(exclude_defaults=True)}]
    )


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


SMOKE = """
title = "next-token prediction: two fixed data sets and five random ones, 600 steps"

[run]
tau = 600

[[sweep]]
task = ["example1"]
seed = { from = 0, to = 4 }

[[sweep]]
task = ["cyclic"]
V = [12]
seed = { from = 0, to = 4 }

[[sweep]]
task = ["rollout"]
V = [12]
method = ["ngd", "gd"]
seed = { from = 0, to = 4 }
"""

SMALL = """
title = "next-token prediction: rollouts of V = 20, 20 000 steps, and what claims need beside"

[[sweep]]
task = ["rollout"]
tau = [20000]
method = ["ngd", "gd", "sgd", "adam"]
seed = { from = 0, to = 4 }

[[sweep]]
task = ["rollout"]
ov_weights = ["zipf"]
T0 = [4000]
seed = { from = 0, to = 4 }

[[sweep]]
task = ["counterexample"]
seed = { from = 0, to = 4 }
"""

_PAPER = """
title = "the paper's six panels: V = 20, 900 steps of each stage"

[[sweep]]
seed = { from = 0, to = 2 }
"""

_SCALE = """
title = "vocabularies of {sizes}, T0 = 45V"

[run]
tau = {tau}

[[sweep]]
seed = {{ from = 0, to = {last} }}

[[sweep.zip]]
V = [{sizes}]
T0 = [{steps}]
"""


def _scale(sizes: tuple[int, ...], tau: int, last: int) -> str:
    rows = {"sizes": sizes, "steps": tuple(45 * V for V in sizes)}
    lists = {name: ", ".join(map(str, values)) for name, values in rows.items()}
    claims = told("Lemma 5, monotone", "linear in T0 (D2)")
    return _SCALE.format(tau=tau, last=last, **lists) + claims


_SHIFT = """
title = "unseen sentences after {steps} steps of stage 2"

[run]
V = {V}

[[sweep]]
tau = [{steps}]
seed = {{ from = 0, to = {last} }}
"""


def _shift(V: int, steps: str, last: int) -> str:
    return _SHIFT.format(V=V, steps=steps, last=last) + told("Theorem 3")


_MARGIN = """
title = "closed form of the margin problem where pairs are missing"

[run]
task = "free"
tau = {tau}

[[sweep]]
keep = [0.3, 0.5, 0.7, 1.0]
V = [{sizes}]
seed = {{ from = 0, to = {last} }}

[[claim]]
term = "margin"
probe = "qp"
statistic = "closed_form_error"
label = "Proposition 2, every pair compared"
form = "fraction"
share = 1.0
below = 1e-12
where = {{ keep = 1.0 }}

[[claim]]
term = "margin"
probe = "qp"
statistic = "closed_form_error"
label = "Proposition 2 as stated, half of the pairs"
form = "fraction"
share = 1.0
below = 1e-12
where = {{ keep = 0.5 }}
status = "refuted"
reason = "its proof forgets λ ≥ 0"
"""

_METHOD = """
title = "how to descend: {steps} steps of stage 2"

[run]
V = {V}

[[sweep]]
tau = [{steps}]
method = ["ngd", "gd", "sgd", "adam"]
seed = {{ from = 0, to = {last} }}

[[sweep]]
tau = [{steps}]
method = ["gd"]
eta = [1.0, 20.0]
seed = {{ from = 0, to = {last} }}

[[sweep]]
tau = [{steps}]
method = ["sgd"]
eta = [1.0]
seed = {{ from = 0, to = {last} }}

[[sweep]]
tau = [{steps}]
method = ["adam"]
eta = [0.001]
seed = {{ from = 0, to = {last} }}

[[sweep]]
tau = [{steps}]
T0 = [300, 2700]
seed = {{ from = 0, to = {last} }}
"""

_BEATS = """
[[claim]]
term = "direction"
probe = "kq"
statistic = "gap"
label = "NGD beats {method}, η = {eta}"
form = "order"
smaller = {{ method = "ngd", eta = {own} }}
larger = {{ method = "{method}", eta = {eta} }}
"""
OTHERS = (("gd", 1.0), ("gd", 20.0), ("sgd", 1.0), ("adam", 0.001))  # at step sizes of their own


def _method(V: int, steps: str, last: int) -> str:
    own = KQ_SCALE / math.sqrt(V)
    claims = "".join(_BEATS.format(method=method, eta=eta, own=own) for method, eta in OTHERS)
    equal = told("NGD beats GD", "NGD beats SGD", "NGD beats Adam", "linear in T0 (D2)")
    return _METHOD.format(V=V, steps=steps, last=last) + equal + claims


PRESETS = {
    "smoke": SMOKE,
    "small": SMALL,
    "smoke/next-token": SMOKE,
    "next-token": SMALL,
    "paper/next-token": _PAPER,
    "smoke/next-token-scale": _scale((6, 8, 12), 50, 2),
    "next-token-scale": _scale((10, 20, 40, 80), 900, 4),
    "paper/next-token-scale": _scale((10, 20, 40, 80, 200), 9000, 4),
    "smoke/next-token-shift": _shift(V=8, steps="1, 10", last=2),
    "next-token-shift": _shift(V=20, steps="1, 10, 900, 9000", last=4),
    "paper/next-token-shift": _shift(V=20, steps="1, 10, 900, 9000", last=19),
    "smoke/next-token-margin": _MARGIN.format(tau=5, sizes="8", last=4),
    "next-token-margin": _MARGIN.format(tau=900, sizes="10, 20", last=4),
    "paper/next-token-margin": _MARGIN.format(tau=900, sizes="10, 20, 40, 80", last=9),
    "smoke/next-token-method": _method(V=8, steps="300, 1000", last=5),
    "next-token-method": _method(V=20, steps="1000, 3000, 10000", last=4),
    "paper/next-token-method": _method(V=20, steps="1000, 3000, 10000, 30000", last=9),
}
