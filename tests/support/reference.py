"""The model written a second time: NumPy, one sample and one head at a time, theory §1 literally.

Slow and plain on purpose. It shares nothing with the package, so an error both in a closed form and
in the path that autograd differentiates still shows against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import erf

from ntkbound.heads.model import Inputs, Params

VALUE: Mapping[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "erf": lambda z: float(erf(z)),
    "sigmoid": lambda z: 2 / (1 + math.exp(-z)) - 1,
    "bump": lambda z: math.exp(-z * z / 2),
    "relu": lambda z: max(z, 0.0),
}
SLOPE: Mapping[str, Callable[[float], float]] = {
    "tanh": lambda z: 1 / math.cosh(z) ** 2,
    "erf": lambda z: 2 / math.sqrt(math.pi) * math.exp(-z * z),
    "sigmoid": lambda z: 2 * math.exp(-z) / (1 + math.exp(-z)) ** 2,
    "bump": lambda z: -z * math.exp(-z * z / 2),
    "relu": lambda z: 1.0 if z > 0 else 0.0,
}

Head = dict[str, np.ndarray]


def heads_of(params: Params) -> list[Head]:
    """One dictionary per head, float64; parameters without a run axis."""
    arrays = {b: v.detach().double().numpy() for b, v in params.items()}
    return [{b: a[i] for b, a in arrays.items()} for i in range(len(arrays["c"]))]


def attention(X: np.ndarray, q: np.ndarray, head: Head) -> np.ndarray:
    """softmax(X W q), or softmax(X k)."""
    scores = X @ (head["W"] @ q if "W" in head else head["k"])
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def head_output(name: str, X: np.ndarray, q: np.ndarray, head: Head) -> float:
    a = attention(X, q, head) @ X
    return float(head["c"]) * VALUE[name](float(head["U"] @ a))


def head_gradient(name: str, X: np.ndarray, q: np.ndarray, head: Head) -> Head:
    """The three formulas of theory §1, with the token covariance M formed in full."""
    p = attention(X, q, head)
    a = p @ X
    M = sum(w * np.outer(x - a, x - a) for w, x in zip(p, X, strict=True))
    z, c = float(head["U"] @ a), float(head["c"])
    slope = c * SLOPE[name](z)
    key = slope * (M @ head["U"])
    gradient = {"c": np.array(VALUE[name](z)), "U": slope * a}
    return gradient | ({"W": np.outer(key, q)} if "W" in head else {"k": key})


def outputs(name: str, params: Params, inputs: Inputs) -> np.ndarray:
    """f(X_j; φ) = m^{-1/2} Σ_i h(X_j; θ_i), (n,)."""
    heads = heads_of(params)
    X, q = inputs.X.double().numpy(), inputs.q.double().numpy()
    sums = [sum(head_output(name, x, w, h) for h in heads) for x, w in zip(X, q, strict=True)]
    return np.array(sums) / math.sqrt(len(heads))


def directional(name: str, at: Params, delta: Params, inputs: Inputs) -> np.ndarray:
    """⟨∇f(X_j; φ), Δ⟩, (n,)."""
    heads, steps = heads_of(at), heads_of(delta)
    X, q = inputs.X.double().numpy(), inputs.q.double().numpy()
    found = []
    for x, w in zip(X, q, strict=True):
        total = 0.0
        for head, step in zip(heads, steps, strict=True):
            gradient = head_gradient(name, x, w, head)
            total += sum(float((gradient[b] * step[b]).sum()) for b in gradient)
        found.append(total / math.sqrt(len(heads)))
    return np.array(found)


def risk(name: str, params: Params, inputs: Inputs, y: np.ndarray) -> float:
    """R̂(φ)."""
    return float(np.mean((outputs(name, params, inputs) - y) ** 2))


def jacobian(name: str, params: Params, inputs: Inputs) -> np.ndarray:
    """J = ∇f(X_j; φ), (n, parameters), head by head and sample by sample; columns by block."""
    heads = heads_of(params)
    X, q = inputs.X.numpy(), inputs.q.numpy()
    grads = [[head_gradient(name, x, w, head) for head in heads] for x, w in zip(X, q, strict=True)]
    columns = [np.array([[g[b].ravel() for g in row] for row in grads]) for b in params]
    return np.concatenate([c.reshape(len(X), -1) for c in columns], 1) / math.sqrt(len(heads))


def flat(params: Params) -> np.ndarray:
    """All parameters as one vector, in the order of the columns of ``jacobian``."""
    return np.concatenate([v.numpy().ravel() for v in params.values()])
