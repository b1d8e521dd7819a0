"""The presets of this theorem, by name: every construction of its statement, at two sizes."""

SMOKE = """
title = "attention kernels: the threshold HD = Nn, the exact law of W_V, one run of each kernel"

[[sweep]]
train = ["V"]
method = ["fixed"]
kernel = ["softmax", "gaussian"]
tau = [500]
seed = { from = 0, to = 4 }

[[sweep.zip]]
H = [1, 1, 1, 4, 4]
D = [8, 16, 32, 3, 32]

[[sweep]]
kernel = ["softmax", "gaussian", "linear", "normalised-gaussian"]
tau = [500]
seed = { from = 0, to = 4 }
"""

_SMALL = """
title = "attention kernels: every construction but the classifier, {count} seeds"

[[sweep]]
train = ["V"]
method = ["fixed"]
kernel = ["softmax", "gaussian"]
tau = [1]
seed = {{ from = 0, to = {last} }}

[[sweep.zip]]
H = [1, 1, 1, 1, 2, 2, 4]
D = [8, 12, 15, 16, 7, 8, 4]

[[sweep]]
train = ["V"]
method = ["fixed"]
kernel = ["softmax", "gaussian"]
D = [32]
tau = [2000]
seed = {{ from = 0, to = {last} }}

[[sweep.zip]]
H = [1, 2, 4, 4]
values = ["block", "block", "block", "dense"]

[[sweep]]
train = ["V"]
kernel = ["softmax", "gaussian"]
tau = [2000]
seed = {{ from = 0, to = {last} }}

[[sweep.zip]]
H = [1, 1, 1, 2]
D = [16, 20, 32, 16]

[[sweep]]
kernel = ["softmax", "gaussian"]
seed = {{ from = 0, to = {last} }}

[[sweep.zip]]
H = [1, 1, 1, 1, 2, 2]
D = [4, 8, 16, 32, 4, 8]

[[sweep]]
so = [100.0]
sv = [0.01]
seed = {{ from = 0, to = {last} }}

[[sweep]]
train = ["Q"]
labels = ["near"]
kernel = ["softmax", "gaussian"]
D = [2, 3, 4, 6, 8, 12, 16]
seed = {{ from = 0, to = {last} }}

[[sweep]]
train = ["Q"]
labels = ["near"]
kernel = ["gaussian"]
sq = [0.02]
seed = {{ from = 0, to = {last} }}

[[sweep]]
train = ["Q"]
labels = ["equal"]
kernel = ["softmax", "gaussian"]
epsilon = [0.0, 0.1, 0.3, 1.0, 3.0]
seed = {{ from = 0, to = {last} }}

[[sweep]]
train = ["Q", "QK"]
kernel = ["softmax", "gaussian"]
H = [1, 2]
sv = [1.0, 3.0]
seed = {{ from = 0, to = {last} }}

[[sweep]]
train = ["Q"]
labels = ["teacher"]
kernel = ["softmax", "gaussian"]
student = [0.1, 1.0, 4.0]
seed = {{ from = 0, to = {last} }}

[[sweep]]
kernel = ["softmax", "gaussian"]
landscape = [true]
tau = [8000]
seed = {{ from = 0, to = 5 }}
"""

_VALUES = """
title = "near-equal values: {steps} steps, {count} seeds"

[run]
train = "Q"
labels = "equal"
tau = {steps}

[[sweep]]
kernel = ["softmax", "gaussian"]
epsilon = [{epsilon}]
seed = {{ from = 0, to = {last} }}
"""

_THRESHOLD = """
title = "W_V alone: the threshold HD = Nn, the exact law and both α, {count} seeds"

[run]
train = "V"

[[sweep]]
method = ["fixed"]
kernel = ["softmax", "gaussian"]
tau = [{steps}]
seed = {{ from = 0, to = {last} }}

[[sweep.zip]]
H = [{H}]
D = [{D}]
values = [{values}]

[[sweep]]
kernel = ["softmax", "gaussian"]
tau = [{steps}]
seed = {{ from = 0, to = {last} }}

[[sweep.zip]]
H = [1, 1, 1, 2]
D = [16, 20, 32, 16]
"""
_ALL_THRESHOLDS = {
    "H": "1, 1, 1, 1, 1, 2, 2, 2, 4, 4, 4",
    "D": "8, 12, 15, 16, 32, 7, 8, 32, 4, 32, 32",
    "values": ", ".join(['"block"'] * 10 + ['"dense"']),
}

_FEASIBLE = """
title = "random labels: success beside feasibility, {steps} steps, {count} seeds"

[run]
tau = {steps}

[[sweep]]
train = ["Q", "QK"]
kernel = ["softmax", "gaussian"]
H = [1, 2]
sv = [1.0, 3.0]
seed = {{ from = 0, to = {last} }}
"""

_LANDSCAPE = """
title = "Figure 4: the loss around the end, after {steps} steps, {count} seeds"

[run]
landscape = true

[[sweep]]
kernel = ["softmax", "gaussian"]
tau = [{steps}]
seed = {{ from = 0, to = {last} }}
"""

_DIGITS = """
[[sweep]]
labels = ["images"]
optimizer = ["{optimizer}"]
steps = [{steps}]
sq = [{sq}]
kernel = ["softmax", "gaussian"]
seed = {{ from = 0, to = {last} }}
"""


def _digits(adam: str, sgd: str, last: int) -> str:
    """Both kernels by both optimizers; by SGD also from smaller queries and keys."""
    arms = (("adam", adam, "1.0"), ("sgd", sgd, "1.0, 0.577"))
    return "".join(
        _DIGITS.format(optimizer=optimizer, steps=steps, sq=sq, last=last)
        for optimizer, steps, sq in arms
    )


def _seeds(text: str, count: int, **fields: object) -> str:
    return text.format(count=count, last=count - 1, **fields)


SMALL, EPSILON = _seeds(_SMALL, 20), "0.0, 0.1, 0.3, 1.0, 3.0"
_TITLE = 'title = "handwritten digits, both kernels by Adam and SGD"\n'
_TINY = "[run]\nD = 8\nd = 4\nbatch = 16\n"
_SMALL_THRESHOLDS = {"H": "1, 1, 4", "D": "8, 16, 32", "values": '"block", "block", "block"'}

PRESETS = {
    "smoke": SMOKE,
    "small": SMALL,
    "smoke/attention-kernels": SMOKE,
    "attention-kernels": SMALL,
    "paper/attention-kernels": _seeds(_SMALL, 50) + _digits("50, 400", "400, 800", 4),
    "smoke/attention-kernels-values": _seeds(_VALUES, 5, steps=500, epsilon="0.0, 0.3"),
    "attention-kernels-values": _seeds(_VALUES, 20, steps=2500, epsilon=EPSILON),
    "paper/attention-kernels-values": _seeds(_VALUES, 50, steps=2500, epsilon=EPSILON),
    "smoke/attention-kernels-threshold": _seeds(_THRESHOLD, 5, steps=50, **_SMALL_THRESHOLDS),
    "attention-kernels-threshold": _seeds(_THRESHOLD, 20, steps=2000, **_ALL_THRESHOLDS),
    "paper/attention-kernels-threshold": _seeds(_THRESHOLD, 50, steps=2000, **_ALL_THRESHOLDS),
    "smoke/attention-kernels-feasible": _seeds(_FEASIBLE, 5, steps=300),
    "attention-kernels-feasible": _seeds(_FEASIBLE, 20, steps=2500),
    "paper/attention-kernels-feasible": _seeds(_FEASIBLE, 50, steps=2500),
    "smoke/attention-kernels-landscape": _seeds(_LANDSCAPE, 3, steps=300),
    "attention-kernels-landscape": _seeds(_LANDSCAPE, 6, steps=8000),
    "paper/attention-kernels-landscape": _seeds(_LANDSCAPE, 20, steps=8000),
    "smoke/attention-kernels-digits": _TITLE + _TINY + _digits("4", "4", 0),
    "attention-kernels-digits": _TITLE + _digits("50, 400", "400", 4),
    "paper/attention-kernels-digits": _TITLE + _digits("50, 400", "400, 800", 9),
}
