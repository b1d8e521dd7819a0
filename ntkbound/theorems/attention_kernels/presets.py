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

PRESETS = {"smoke": SMOKE, "small": _SMALL.format(count=20, last=19)}
