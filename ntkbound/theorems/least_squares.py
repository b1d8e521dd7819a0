"""Gradient descent on least squares: the smallest theorem, and what to copy for a new one.

R(w) = ‖Xw − y‖²/(2n); L and μ are the largest and smallest eigenvalue of A = XᵀX/n; w_0 = 0 and
w_{s+1} = w_s − ∇R(w_s)/L. Then, surely, R(w_s) − R* is at most (1 − μ/L)^{2s} (R(w_0) − R*), the
linear rate, and at most L ‖w_0 − w*‖²/(4s + 2) = O(1/s) (proofs: docs/least-squares.md).
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ntkbound.core import streams
from ntkbound.core.claim import Rate
from ntkbound.core.config import Config, Count
from ntkbound.core.outcome import Bound, Outcome
from ntkbound.core.quantity import Quantity
from ntkbound.core.theorem import Theorem
from ntkbound.core.tools import Tools

GAP = Quantity("suboptimality", "final", "gap", "R − R*", trained=True, headline=True,
               noise="square")  # fmt: skip


class LeastSquares(Config):
    panels: ClassVar = {"Run": ("theorem", "n", "d", "steps", "seed")}
    theorem: Literal["least-squares"] = Field("least-squares", description="the theorem under test")
    n: Count = Field(60, description="samples")
    d: Count = Field(20, description="unknowns")
    steps: Count = Field(100, description="gradient steps")


def run(config: LeastSquares, tools: Tools) -> Outcome:
    """Descends, and sets both bounds beside the final gap ½ (w − w*)ᵀA(w − w*)."""
    rng = streams.generator(config.seed, "least-squares")
    X = rng.standard_normal((config.n, config.d))
    y = X @ rng.standard_normal(config.d) + rng.standard_normal(config.n)
    A, b = X.T @ X / config.n, X.T @ y / config.n
    best, (mu, L) = np.linalg.pinv(A) @ b, np.linalg.eigvalsh(A)[[0, -1]]
    w, gaps = np.zeros(config.d), []
    for step in range(config.steps + 1):
        gaps.append(float((w - best) @ A @ (w - best)) / 2)
        tools.progress(step, config.steps, gaps[-1])
        w = w - (A @ w - b) / L
    linear = float((1 - mu / L) ** (2 * config.steps) * gaps[0])
    sublinear = float(L * (best @ best) / (4 * config.steps + 2))
    bounds = [(GAP, Bound(value)) for value in (linear, sublinear)]
    trace = {"step": np.arange(config.steps + 1), "suboptimality/trajectory/gap": np.array(gaps)}
    kept = {"params": {"final.w": w}, "inputs": {"X": X, "y": y}}
    return Outcome.of({GAP: gaps[-1]}, bounds, trace=trace, **kept)


CLAIM = Rate(**GAP.key._asdict(), axis="steps", kind="upper", exponent=-1)
SMOKE = 'title = "least squares"\n[sweep]\nsteps = [4, 8, 16, 32, 64]\nseed = { from = 0, to = 4 }'
THEOREM = Theorem(
    name="least-squares", source="derived in docs/least-squares.md", version=1,
    config=LeastSquares, quantities=(GAP,), claims=(CLAIM,), run=run,
    axes=("steps", "n", "d"), presets={"smoke": SMOKE},
)  # fmt: skip
