"""Loss, direction and norm of both stages against the step: the paper's six panels."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ntkbound.core.record import Record
from ntkbound.stats.curves import median_interval
from ntkbound.studies.study import Evidence, Judgement, Line, Panel, Study
from ntkbound.theorems.next_token.statement import ATTENTION, EXCESS, KQ_GAP, LOSS

# Title, label of y, and the series of a trace; stage 1 above, stage 2 below.
SIX = (
    ("stage 1: loss", "L_0", "loss/first/final"),
    ("stage 1: direction", "1 − cos of W_ov", "direction/ov/gap"),
    ("stage 1: norm", "‖W_ov‖", "norm/ov/norm"),
    ("stage 2: loss", "L", "loss/training/final"),
    ("stage 2: direction", "1 − cos of W_kq", "direction/kq/gap"),
    ("stage 2: norm", "‖W_kq‖", "norm/kq/norm"),
)


def panels(evidence: Evidence) -> Judgement:
    """The six panels: medians over the runs of each arm, with an interval of them."""
    drawn = [Panel(title, "t", y, [*_lines(evidence.complete, name)]) for title, y, name in SIX]
    return Judgement(panels=drawn)


def _lines(records: Sequence[Record], name: str) -> Iterator[Line]:
    arms: dict[str, list[Record]] = {}
    for record in records:
        config = record.config
        weights = f", {config['ov_weights']}" if config["ov_weights"] != "uniform" else ""
        arms.setdefault(f"{config['task']}, {config['method']}{weights}", []).append(record)
    for label, runs in arms.items():
        steps, _ = series(runs[0].trace, name)
        values = np.array([series(run.trace, name)[1] for run in runs if _alike(run, steps, name)])
        later = steps > 0
        low, high = zip(*map(median_interval, values[:, later].T), strict=True)
        middle = np.median(values[:, later], axis=0).tolist()
        yield Line(label, steps[later].tolist(), middle, low, high)


def _alike(run: Record, steps: np.ndarray, name: str) -> bool:
    """Whether a run recorded these steps; one whose gradient vanished stopped before."""
    return np.array_equal(series(run.trace, name)[0], steps)


def series(trace: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps of one series of a trace, and its values."""
    own = f"{name.rsplit('/', 1)[0]}/step"
    return trace[own if own in trace else "step"], trace[name]


STUDY = Study(
    title="Next-token prediction",
    question="Do both stages find the directions of largest margin, and how fast?",
    reading="Above stage 1, below stage 2, against the step t: loss, distance of the direction to "
    "that of largest margin, norm. A straight line on logarithmic axes is a power of t.",
    theorem="next-token",
    axis="tau",
    arms=("task", "method", "ov_weights"),
    measured=(KQ_GAP, LOSS, EXCESS, ATTENTION),
    judge=panels,
)
