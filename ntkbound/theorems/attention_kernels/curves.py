"""Lines of the studies' figures, and the words that tell their arms apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ntkbound.core.quantity import Quantity
from ntkbound.core.record import Record
from ntkbound.stats.forms.fraction import interval
from ntkbound.studies.study import Line, Panel
from ntkbound.theorems.attention_kernels.statement import ATTAINABLE, FEASIBLE, LOSS, SUCCESS

Arm = Callable[[Record], str]
USUAL = {"values": "block", "sq": 1.0, "sv": 1.0, "so": 1.0, "landscape": False}
CHOSEN = ("rho", "epsilon", "student")


def arm(record: Record) -> str:
    """Kernel, what is trained, heads, labels, and what is not as a run has it unasked."""
    config = record.config
    if config["labels"] == "images":
        return classifier(record)
    words = [f"{config['kernel']}, {config['train']}, H {config['H']}, {config['labels']}"]
    words += [f"{name} {config[name]:g}" for name in CHOSEN if config[name] is not None]
    for name, usual in USUAL.items():
        value = config[name]
        if value != usual:
            words.append(value if isinstance(value, str) else f"{name} {value:g}")
    return ", ".join([*words, config["method"]])


def kernel(record: Record) -> str:
    """The kernel alone."""
    return str(record.config["kernel"])


def classifier(record: Record) -> str:
    """Kernel and optimizer of the digits classifier, and the factor on W_Q where it is not 1."""
    config = record.config
    factor = "" if config["sq"] == 1 else f", sq {config['sq']:.3g}"
    return f"{config['kernel']}, {config['optimizer']}{factor}"


def successes(records: Sequence[Record], axis: str, title: str, name: Arm = arm) -> Panel:
    """Share of successes along a field, with the interval of Clopper and Pearson; dashed, the share
    of runs whose labels are feasible: above it nothing can succeed."""
    found = []
    for label, at in _along(records, axis, name):
        counts = [_counts(runs, SUCCESS) for runs in at.values()]
        bars = [interval(k, n) for k, n in counts]
        low, high = zip(*bars, strict=True)
        found.append(Line(label, list(at), [k / n for k, n in counts], low, high))
        possible = [_counts(runs, FEASIBLE) for runs in at.values()]
        if all(n for _, n in possible):
            shares = [k / n for k, n in possible]
            found.append(Line(f"feasible, {label}", list(at), shares, role="upper", arm=label))
    return Panel(title, axis, "share of successes", found)


def losses(records: Sequence[Record], axis: str, title: str, name: Arm = arm) -> Panel:
    """The loss at the end along a field, median and range; dashed, the attainable floor."""
    found = []
    for label, at in _along(records, axis, name):
        values = [_numbers(runs, LOSS) for runs in at.values()]
        low, middle, high = zip(*(np.quantile(one, [0, 0.5, 1]) for one in values), strict=True)
        found.append(Line(label, list(at), middle, low, high))
        floors = [_numbers(runs, ATTAINABLE) for runs in at.values()]
        if all(floors):
            medians = [float(np.median(one)) for one in floors]
            found.append(Line(f"floor, {label}", list(at), medians, role="lower", arm=label))
    return Panel(title, axis, "f_T", found)


def series(records: Sequence[Record], quantity: Quantity, title: str, name: Arm) -> Panel:
    """A recorded series against the step, medians over seeds and their range."""
    arms: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for record in records:
        arms[name(record)].append((record.trace["step"], record.trace[quantity.key.column]))
    found = []
    for label, runs in sorted(arms.items()):
        common = set.intersection(*(set(steps.tolist()) for steps, _ in runs)) - {0}
        values = np.array([y[np.isin(steps, list(common))] for steps, y in runs])
        low, middle, high = np.quantile(values, [0, 0.5, 1], axis=0).tolist()
        found.append(Line(label, sorted(common), middle, low, high))
    return Panel(title, "step", title, found)


def _along(
    records: Sequence[Record], axis: str, name: Arm
) -> Iterator[tuple[str, dict[float, list[Record]]]]:
    """Each arm with its runs by the values of a field, sorted; those of two values or more."""
    arms: dict[str, dict[float, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        arms[name(record)][float(record.config[axis])].append(record)
    for label, at in sorted(arms.items()):
        if len(at) > 1:
            yield label, dict(sorted(at.items()))


def _numbers(records: Sequence[Record], quantity: Quantity) -> list[float]:
    return [value for one in records if (value := one.number(quantity.key)) is not None]


def _counts(records: Sequence[Record], quantity: Quantity) -> tuple[int, int]:
    """How many are 1, of how many there are."""
    found = _numbers(records, quantity)
    return sum(value == 1 for value in found), len(found)
