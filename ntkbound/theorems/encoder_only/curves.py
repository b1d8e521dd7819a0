"""Series of runs as lines of a figure, and the words that tell arms apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from ntkbound.core.record import Record
from ntkbound.studies.study import Line, Panel

Series = tuple[np.ndarray, np.ndarray]


def arm(record: Record) -> str:
    """Initialisation and scaling, then what is not as a run has it unasked: tokens, step, and a
    sample that is one token or of one dimension."""
    config = record.config
    words = [config["init"], config["scaling"]]
    if config["task"] == "images":
        return " ".join(words)
    if config["tokens"] != "unit":
        words.append(config["tokens"])
    if config["step"] == "fixed":
        words.append(f"γ = {config['gamma']:g}")
    elif config["step"] == "adaptive":
        words.append("adaptive")
    if config["gamma_of"] not in (None, "own"):
        words.append(f"γ of {config['gamma_of']}")
    words += [f"{name} = 1" for name in ("ds", "d") if config[name] == 1]
    return " ".join(words)


def sized(record: Record) -> str:
    """The same with N and d."""
    return f"{arm(record)}, N {record.config['N']}, d {record.config['d']}"


def lines(records: Sequence[Record], name: str, title: str) -> Panel:
    """One series against the step, a line per arm and width: medians over seeds, and the smallest
    and the largest."""
    return _panel(records, lambda record: _recorded(record, name), title)


def moved(records: Sequence[Record], title: str) -> Panel:
    """‖θ_{t+1} − θ_t‖ = γ_t‖∇ℓ_t‖ against the step."""
    return _panel(records, _lengths, title)


def _recorded(record: Record, name: str) -> Series:
    own = f"{name.rsplit('/', 1)[0]}/step"
    return record.trace[own if own in record.trace else "step"], record.trace[name]


def _lengths(record: Record) -> Series:
    trace = record.trace
    steps = trace["descent/ratio/step"]
    norms = trace["descent/training/gradient_norm"][np.isin(trace["step"], steps)]
    return steps, trace["descent/ratio/gamma"] * norms


def _panel(records: Sequence[Record], series: Callable[[Record], Series], title: str) -> Panel:
    arms: dict[str, list[Series]] = defaultdict(list)
    for record in records:
        arms[f"{arm(record)}, dm {record.config['dm']}"].append(series(record))
    found = []
    for label, runs in sorted(arms.items()):
        common = set.intersection(*(set(steps.tolist()) for steps, _ in runs)) - {0}
        at = sorted(common)
        if len(at) < 2:
            continue
        values = np.array([y[np.isin(steps, at)] for steps, y in runs])
        low, middle, high = np.quantile(values, [0, 0.5, 1], axis=0).tolist()
        found.append(Line(label, at, middle, low, high))
    return Panel(title, "t", title.split(": ")[-1], found)
