"""A head of one's own: gated pooling, h(X; θ) = c tanh(U·a), a = Σ_t g_t X_t / T, g = sigmoid(XAq).

Nothing is proved for it, so its runs have no bounds: every term, sweep, slope and claim works.
"""

import torch


class MyHead:
    def blocks(self, d):  # parameters of one head, name → shape; any number of them
        return {"U": (d,), "A": (d, d)}  # the output weight c = ±1 is added

    def f(self, theta, X, q):  # one head, one sample: theta[block], tokens X (T, d), query q (d,)
        gates = torch.sigmoid(X @ theta["A"] @ q)  # (T,)
        pooled = gates @ X / len(X)  # (d,)
        return torch.tanh(pooled @ theta["U"])  # a number; c times it is h, autograd does the rest
