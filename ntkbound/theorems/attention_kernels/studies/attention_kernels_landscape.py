"""Figure 4: the loss around the end of training, on a plane of random directions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ntkbound.core.config import build
from ntkbound.core.record import Record
from ntkbound.studies.study import Evidence, Judgement, Panel, Study, Surface, TextTable
from ntkbound.theorems.attention_kernels.config import Config
from ntkbound.theorems.attention_kernels.curves import kernel
from ntkbound.theorems.attention_kernels.statement import LANDSCAPE, LOSS, LOSS_RATIO

SECOND = 500  # steps on from the softmax run, with either kernel
NAMES = ("W_Q", "W_K", "W_V", "W_O")


def figures(evidence: Evidence) -> Judgement:
    """The surfaces of the first seed, and two-stage landscapes of every softmax run."""
    first = {kernel(one): one for one in reversed(evidence.complete)}
    panels = [
        _map(f"{name}, from its start", one.trace["landscape/QK/surface"])
        for name, one in sorted(first.items())
    ]
    rows = []
    starts = [one for one in evidence.complete if kernel(one) == "softmax"]
    for name in sorted(first):
        found = [_second(one, name) for one in starts]
        if not found:
            continue
        panels.append(_map(f"{name}, {SECOND} steps on from softmax", found[0][1]))
        minima = [terms["grid_minima"] for terms, _ in found]
        rough = [terms["laplacian"] for terms, _ in found if "laplacian" in terms]
        rows.append([name, str(len(found)), f"{min(minima):g} to {max(minima):g}",
                     f"{np.median(rough):.2g}" if rough else "–"])  # fmt: skip
    columns = ("kernel", "seeds", "minima on the grid", "mean absolute Laplacian over range")
    table = TextTable(f"Two stages: {SECOND} steps on from softmax", columns, rows)
    return Judgement(panels=panels, tables=[table] if rows else [])


def _second(first: Record, name: str) -> tuple[dict[str, float], Sequence[float]]:
    """Terms and surface after the second stage, from the weights and the data of a record."""
    from ntkbound.theorems.attention_kernels.files import Files
    from ntkbound.theorems.attention_kernels.kernels import SHIPPED
    from ntkbound.theorems.attention_kernels.landscape import landscape
    from ntkbound.theorems.attention_kernels.trained import train

    fields = {**Config.underived(first.config), "kernel": name, "tau": SECOND}
    initial = {part: first.arrays[part] for part in NAMES}
    labels = {part: first.arrays[part] for part in ("X", "y")}
    files = Files(SHIPPED[name], labels, initial)
    (run,) = train([build(Config, fields)], files, lambda *_: None)
    around = landscape(run.final)
    return around.terms, around.loss.reshape(-1).tolist()


def _map(title: str, surface: Sequence[float] | np.ndarray) -> Panel:
    side = int(len(surface) ** 0.5)
    places = (0.02 * (np.arange(1, side + 1) - side // 2)).tolist()
    grid = np.asarray(surface).reshape(side, side).tolist()
    return Panel(title, "along d2", "along d1", (), surface=Surface(places, places, grid, "loss"))


STUDY = Study(
    title="Figure 4",
    question="Is the loss of softmax attention rougher around its end than that of the Gaussian?",
    reading="The loss at M + 0.02 (r − 25) d1 + 0.02 (s − 25) d2, random directions in W_Q and W_K "
    "of the norm of each head; the table counts minima of all 50 × 50 points.",
    theorem="attention-kernels",
    axis="tau",
    arms=("kernel",),
    measured=(*LANDSCAPE, LOSS_RATIO, LOSS),
    judge=figures,
    save=True,
)
