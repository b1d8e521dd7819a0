"""The presets of this theorem, by name."""

SMOKE = """
title = "attention kernels: the threshold HD = Nn, the exact law of W_V, one run of each kernel"

[[sweep]]
train = ["V"]
method = ["fixed"]
kernel = ["softmax", "gaussian"]
D = [8, 16, 32]
H = [1, 2, 4]
tau = [500]
seed = { from = 0, to = 4 }

[[sweep]]
kernel = ["softmax", "gaussian", "linear", "normalised-gaussian"]
tau = [500]
seed = { from = 0, to = 4 }
"""

PRESETS = {"smoke": SMOKE}
