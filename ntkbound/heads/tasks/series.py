"""One long series as samples: every window of T = L + 1 values, its label the value that follows.

The autoregressive task AR(L) of arXiv 2601.16514 (experiments) is

    x_t = a x_{t−L} + ε_t,   a = 0.9,   ε_t ~ N(0, 0.1),

so the best prediction of a label is a times the second oldest value of its window, and the best
possible squared error is Var ε. The series is standardised by its stationary variance
Var ε/(1 − a²), after which that noise floor is 1 − a² = 0.19. A real series is standardised by the
mean and standard deviation of the values that training sees.

Windows are in time order and training takes the first of them: no label of the held-out windows
occurs in a training window, neither as a token nor as a label.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ntkbound.core import streams
from ntkbound.core.errors import InputError
from ntkbound.heads.model import Inputs
from ntkbound.heads.tasks.arrays import LARGEST_LABEL
from ntkbound.heads.tasks.task import Task, query, unit_vector

COEFFICIENT = 0.9
NOISE_FLOOR = 1 - COEFFICIENT**2  # of the standardised series
FREQUENCIES = 8
SHORTEST_PERIOD = 32  # tokens; each further frequency doubles it, up to 4096


@dataclass(frozen=True)
class TimeSeries:
    """Values in time order; ``noise_floor`` is given for a series that is standardised already."""

    values: np.ndarray  # (N,)
    source: str
    digest: str | None = None  # SHA-256 of a file's content
    noise_floor: float | None = None


@dataclass(frozen=True)
class Windowing:
    """How a series becomes samples: its first ``n`` windows, the first ``n_train`` to train on."""

    lag: int  # L: windows of L + 1 values
    positions: str  # sincos, onehot or none
    n: int
    n_train: int
    seed: int  # draws a fixed query
    rescale: bool  # divide tokens by their largest norm
    query: str  # last, mean, fixed, or none: the model asks nothing
    query_scale: float  # factor on the query, and so on all scores


def autoregressive(lag: int, count: int, seed: int) -> TimeSeries:
    """``count`` values of the stationary, standardised AR(L) series.

    The first L values are drawn from the stationary distribution itself. (S1 starts elsewhere and
    drops 800 values, which are 800/L steps of every residue class mod L: at L = 96 such a start
    from zero would still be at about 82 % of the stationary variance.)
    """
    noise = streams.rows(seed, "ar/noise", 0, count, lambda rng, k: rng.standard_normal(k))
    rows = np.zeros(-(-count // lag) * lag)
    rows[:count] = noise
    steps = rows.reshape(-1, lag)  # one column per residue class: an AR(1) series each
    steps[1:] *= math.sqrt(NOISE_FLOOR)
    for before, now in itertools.pairwise(steps):
        now += COEFFICIENT * before
    return TimeSeries(rows[:count], f"AR({lag})", noise_floor=NOISE_FLOOR)


def read_series(path: Path) -> TimeSeries:
    """A CSV of one column, one value per line, oldest first; a first line of text is its header.

    Raises InputError naming the file, the line and what it holds.
    """
    source = f"series:{path}"
    try:
        content = path.read_bytes()
        lines = list(csv.reader(io.StringIO(content.decode("utf-8"))))
    except OSError as error:
        raise _refused(source, f"cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise _refused(source, f"not a readable CSV ({error})") from None
    while lines and not lines[-1]:
        lines.pop()
    values = []
    for number, fields in enumerate(lines, start=1):
        where = f"line {number}"
        if not fields:
            raise _refused(source, f"{where} is empty; a series has no gaps")
        if len(fields) > 1:
            raise _refused(source, f"{where} has {len(fields)} fields; one column is needed")
        try:
            value = float(fields[0])
        except ValueError:
            if number == 1:
                continue
            raise _refused(source, f"{where} holds {fields[0]!r}, which is no number") from None
        if not abs(value) <= LARGEST_LABEL:
            raise _refused(
                source,
                f"{where} holds {fields[0]}; values must be finite and at most {LARGEST_LABEL:g}",
            )
        values.append(value)
    return TimeSeries(np.array(values), source, hashlib.sha256(content).hexdigest())


def windows(values: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Every window of L + 1 values (n, L + 1), oldest first, and the value after it (n,)."""
    seen = np.lib.stride_tricks.sliding_window_view(values, lag + 1)
    return seen[:-1], values[lag + 1 :]


def position_channels(kind: str, T: int) -> np.ndarray:
    """What tells a token its place t = 0 … T − 1 in the window, (T, channels).

    ``sincos``: sine and cosine of 2πt/(32·2^k), k = 0 … 7, as published; ``onehot``: the T unit
    vectors; ``none``: no channel.
    """
    if kind == "onehot":
        return np.eye(T)
    if kind == "none":
        return np.empty((T, 0))
    periods = SHORTEST_PERIOD * 2.0 ** np.arange(FREQUENCIES)
    angles = 2 * np.pi * np.arange(T)[:, None] / periods
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def sizes(series: TimeSeries, lag: int, positions: str) -> tuple[int, int, int]:
    """n, T and d of the samples that ``series_task`` can make of the whole series.

    Raises InputError if it holds no window with a value after it.
    """
    count, T = len(series.values), lag + 1
    if count < T + 1:
        raise _refused(series.source, f"holds {count} values; lag {lag} needs at least {T + 1}")
    return count - T, T, 1 + position_channels(positions, T).shape[1]


def series_task(series: TimeSeries, windowing: Windowing) -> Task:
    """The first n windows as samples: a token is a value and the channels of its position.

    Raises InputError if the values that training sees are all equal.
    """
    lag = windowing.lag
    values, notes = series.values[: windowing.n + lag + 1], []
    if series.noise_floor is None:
        seen = values[: windowing.n_train + lag + 1]  # tokens and labels of training
        centre, scale = float(seen.mean()), float(seen.std())
        if scale == 0:
            raise _refused(series.source, f"the {len(seen)} training values are equal")
        values = (values - centre) / scale
        notes.append(
            f"series standardised by mean {centre:.6g} and deviation {scale:.6g} of its "
            f"first {len(seen)} values"
        )
    else:
        notes.append(f"noise floor {series.noise_floor:.3g}: no prediction has a smaller mean MSE")
    value, labels = windows(values, lag)
    place = position_channels(windowing.positions, lag + 1)
    X = np.concatenate(
        [value[..., None], np.broadcast_to(place, (len(value), *place.shape))], axis=2
    )
    norm = float(np.linalg.norm(X, axis=2).max())
    if windowing.rescale:
        X, norm = X / norm, 1.0
        notes.append("tokens divided by the largest token norm")
    tokens = torch.from_numpy(X)
    direction = streams.generator(windowing.seed, "query").standard_normal(X.shape[2])
    q = query(windowing.query, tokens, unit_vector(torch.from_numpy(direction)))
    return Task(
        inputs=Inputs(tokens, q * windowing.query_scale),
        y=torch.from_numpy(labels.copy()),
        token_norm=norm,
        query_norm=1.0 if windowing.query == "fixed" else norm * windowing.query_scale,
        noise_floor=series.noise_floor,
        notes=tuple(notes),
    )


def _refused(source: str, message: str) -> InputError:
    """A series that cannot be used."""
    return InputError(message, field="task", value=source)
