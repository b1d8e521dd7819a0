"""How far do the weights of a two-layer network move? Plain PyTorch, nothing of ntkbound.

    f(x) = s Σ_i a_i tanh(w_i · x),   s = 1/√m ("ntk") or 1/m ("mean-field")

is trained by gradient descent at several widths m and seeds. Every run writes a `metrics.csv` with
the columns step, loss and distance, ‖θ_t − θ_0‖/‖θ_0‖, into a folder that says what it is.
"""

import csv
import itertools
import sys
from pathlib import Path

import torch

WIDTHS = (32, 64, 128, 256, 512)
SEEDS = range(5)
STEPS = 100
RECORD_EVERY = 10


def data(n=24, d=4):
    points = torch.randn(n, d, generator=torch.Generator().manual_seed(12345))
    return points / points.norm(dim=1, keepdim=True), torch.sin(3 * points[:, 0])


def train(scaling, m, seed):
    """The recorded rows (step, loss, distance) of one run."""
    X, y = data()
    draw = torch.Generator().manual_seed(seed)
    W = torch.randn(m, X.shape[1], generator=draw).requires_grad_()
    a = torch.randn(m, generator=draw).requires_grad_()
    scale, rate = (m**-0.5, 0.5) if scaling == "ntk" else (1 / m, 0.5 * m)
    start = [p.detach().clone() for p in (W, a)]
    size = sum(p.square().sum() for p in start).sqrt()
    rows = []
    for step in range(STEPS + 1):
        loss = (scale * torch.tanh(X @ W.T) @ a - y).square().mean()
        if step % RECORD_EVERY == 0:
            moved = sum((p - q).square().sum() for p, q in zip((W, a), start, strict=True)).sqrt()
            rows.append((step, loss.item(), (moved / size).item()))
        gradients = torch.autograd.grad(loss, (W, a))
        with torch.no_grad():
            for p, g in zip((W, a), gradients, strict=True):
                p -= rate * g
    return rows


def main(folder):
    torch.set_num_threads(1)
    for scaling, m, seed in itertools.product(("ntk", "mean-field"), WIDTHS, SEEDS):
        place = Path(folder) / f"scaling={scaling}" / f"m={m}" / f"seed={seed}"
        place.mkdir(parents=True, exist_ok=True)
        with (place / "metrics.csv").open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(("step", "loss", "distance"))
            table.writerows(train(scaling, m, seed))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "runs")
