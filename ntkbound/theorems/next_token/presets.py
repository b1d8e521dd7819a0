"""The presets of this theorem, by name: its own and those of its studies at each size."""

from ntkbound.theorems.next_token.statement import UNSEEN

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
method = ["ngd", "gd"]
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

# The six panels: claims are along the step, inside runs.
_DIRECTION = """
[[claim]]
term = "direction"
probe = "kq"
statistic = "gap"
label = "Theorem 1"
axis = "step"
kind = "upper"
exponent = -1
log_power = 2
start = 1000
where = { tau = { from = 4000 }, method = "ngd" }

[[claim]]
term = "loss"
probe = "training"
statistic = "excess"
label = "linear in T1 (D3)"
form = "exponential"
axis = "step"
kind = "tight"
rate = { term = "loss", probe = "training", statistic = "law_rate" }
start = 3000
where = { tau = { from = 10000 }, method = "ngd" }

[[claim]]
term = "direction"
probe = "ov"
statistic = "gap"
label = "Proposition 1, unequal weights"
axis = "step"
kind = "upper"
exponent = -1
log_power = 2
start = 900
where = { ov_weights = "zipf" }
"""
_MONOTONE = """
[[claim]]
term = "attention"
probe = "training"
statistic = "largest_drop"
label = "Lemma 5, monotone"
form = "fraction"
share = 1.0
below = 1e-12
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


_FLOOR = """
[[claim]]
term = "loss"
probe = "training"
statistic = "floor_over_law"
label = "linear in T0 (D2)"
form = "level"
kind = "equal"
level = 1.0
tolerance = 1e-9
"""


def _scale(sizes: tuple[int, ...], tau: int, last: int) -> str:
    told = {"sizes": sizes, "steps": tuple(45 * V for V in sizes)}
    lists = {name: ", ".join(map(str, values)) for name, values in told.items()}
    return _SCALE.format(tau=tau, last=last, **lists) + _MONOTONE + _FLOOR


_SHIFT = """
title = "unseen sentences after {steps} steps of stage 2"

[run]
V = {V}

[[sweep]]
tau = [{steps}]
seed = {{ from = 0, to = {last} }}
"""

_ORDER = """
[[claim]]
term = "shift"
probe = "{kind}"
statistic = "accuracy"
label = "Theorem 3, {kind}"
form = "fraction"
share = 1.0
"""


def _shift(V: int, steps: str, last: int) -> str:
    claims = (_ORDER.format(kind=kind) for kind in UNSEEN[:-1])
    return _SHIFT.format(V=V, steps=steps, last=last) + "".join(claims)


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
method = ["ngd", "gd"]
seed = {{ from = 0, to = {last} }}

[[sweep]]
tau = [{steps}]
method = ["gd"]
eta = [1.0, 20.0]
seed = {{ from = 0, to = {last} }}

[[sweep]]
tau = [{steps}]
T0 = [300, 2700]
seed = {{ from = 0, to = {last} }}

[[claim]]
term = "direction"
probe = "kq"
statistic = "gap"
label = "NGD beats GD"
form = "order"
smaller = {{ method = "ngd" }}
larger = {{ method = "gd" }}
"""


def _method(V: int, steps: str, last: int) -> str:
    return _METHOD.format(V=V, steps=steps, last=last) + _FLOOR


PRESETS = {
    "smoke": SMOKE,
    "small": SMALL,
    "smoke/next-token": SMOKE + _MONOTONE,
    "next-token": SMALL + _DIRECTION + _MONOTONE,
    "paper/next-token": _PAPER + _MONOTONE,
    "smoke/next-token-scale": _scale((6, 8, 12), 50, 2),
    "next-token-scale": _scale((10, 20, 40, 80), 900, 4),
    "paper/next-token-scale": _scale((10, 20, 40, 80, 200), 9000, 4),
    "smoke/next-token-shift": _shift(V=8, steps="1, 10", last=2),
    "next-token-shift": _shift(V=20, steps="1, 10, 900, 9000", last=4),
    "paper/next-token-shift": _shift(V=20, steps="1, 10, 900, 9000", last=19),
    "smoke/next-token-margin": _MARGIN.format(tau=5, sizes="8", last=4),
    "next-token-margin": _MARGIN.format(tau=900, sizes="10, 20", last=4),
    "paper/next-token-margin": _MARGIN.format(tau=900, sizes="10, 20, 40, 80", last=9),
    "smoke/next-token-method": _method(V=8, steps="50, 100", last=4),
    "next-token-method": _method(V=20, steps="1000, 3000, 10000", last=4),
    "paper/next-token-method": _method(V=20, steps="1000, 3000, 10000, 30000", last=9),
}
