"""How far is the empirical distribution of m draws from the true one? At most O(1/√m).

Massart (1990): P( sup_x |F_m(x) − F(x)| > √(log(2/δ)/(2m)) ) ≤ δ, for draws of any distribution F.
"""

from math import log, sqrt
from typing import Literal

import numpy as np
from pydantic import Field

from ntkbound import Bound, Claim, Config, Outcome, Quantity, Theorem, streams

# What a run measures: a term of the theorem, where it is measured, which statistic of it.
GAP = Quantity("deviation", "uniform", "sup", "sup |F_m − F|", headline=True)


class MyPackage(Config):  # the options of train, and the keys of a preset
    theorem: Literal["my-package"] = Field("my-package", description="the theorem under test")
    m: int = Field(256, ge=1, le=10**6, description="draws")
    delta: float = Field(0.01, gt=0, lt=1, description="probability with which the bound may fail")


def run(config, tools):  # a pure function of the config: every draw from a stream of its seed
    u = np.sort(streams.generator(config.seed, "my-package").random(config.m))
    steps = np.arange(config.m + 1) / config.m
    sup = float(max((steps[1:] - u).max(), (u - steps[:-1]).max()))
    bound = Bound(sqrt(log(2 / config.delta) / (2 * config.m)), delta=config.delta)
    return Outcome.of({GAP: sup}, [(GAP, bound)])


# What is claimed: Θ(m^−1/2). Other forms: docs/verdicts.md; a false one: exponent=-1.
CLAIM = Claim(**GAP.key._asdict(), label="Massart", axis="m", kind="tight", exponent=-0.5)
SMOKE = "[sweep]\nm = { from = 64, to = 4096, factor = 4 }\nseed = { from = 0, to = 19 }\n"

THEOREM = Theorem(name="my-package", source="Massart 1990, Annals of Probability 18", version=1,
                  config=MyPackage, quantities=(GAP,), claims=(CLAIM,), run=run, axes=("m",),
                  presets={"smoke": SMOKE})  # fmt: skip
