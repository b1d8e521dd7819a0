"""The presets of this theorem: ``next-token/smoke`` and ``next-token/small``."""

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
seed = { from = 0, to = 4 }

[[sweep]]
task = ["rollout"]
tau = [20000]
method = ["gd"]
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
PRESETS = {"smoke": SMOKE, "small": SMALL}
