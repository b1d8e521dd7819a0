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
from ntkbound.theorems.shallow_transformer.config import RunConfig

COEFFICIENT = 0.9
NOISE_FLOOR = 1 - COEFFICIENT**2  # of the standardised series
FREQUENCIES = 8
SHORTEST_PERIOD = 32  # tokens; each further frequency doubles it, up to 4096


@dataclass(frozen=True)
class Series:
    """Values in time order; ``noise_floor`` is given for a series that is standardised already."""

    values: np.ndarray  # (N,)
    source: str
    digest: str | None = None  # SHA-256 of a file's content
    noise_floor: float | None = None


def autoregressive(lag: int, count: int, seed: int) -> Series:
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
    return Series(rows[:count], f"AR({lag})", noise_floor=NOISE_FLOOR)


def read_series(path: Path) -> Series:
    """A CSV of one column, one value per line, oldest first; a first line of text is its header.

    Raises InputError naming the file, the line and what it holds.
    """
    try:
        content = path.read_bytes()
        lines = list(csv.reader(io.StringIO(content.decode("utf-8"))))
    except OSError as error:
        raise InputError(f"--task series:{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--task series:{path}: not a readable CSV ({error})") from None
    while lines and not lines[-1]:
        lines.pop()
    values = []
    for number, fields in enumerate(lines, start=1):
        where = f"--task series:{path}: line {number}"
        if not fields:
            raise InputError(f"{where} is empty; a series has no gaps")
        if len(fields) > 1:
            raise InputError(f"{where} has {len(fields)} fields; one column is needed")
        try:
            value = float(fields[0])
        except ValueError:
            if number == 1:
                continue
            raise InputError(f"{where} holds {fields[0]!r}, which is no number") from None
        if not abs(value) <= LARGEST_LABEL:
            raise InputError(
                f"{where} holds {fields[0]}; values must be finite and at most {LARGEST_LABEL:g}"
            )
        values.append(value)
    return Series(np.array(values), f"series:{path}", hashlib.sha256(content).hexdigest())


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


def load_series(config: RunConfig) -> Series:
    """The series of a config: drawn for ``ar``, read for ``series:FILE.csv``.

    Raises InputError if a file cannot be used or holds no window with a value after it.
    """
    assert config.lag is not None
    if config.data_file is None:
        assert config.n is not None
        return autoregressive(config.lag, config.n + config.lag + 1, config.data_seed or 0)
    series = read_series(config.data_file)
    if len(series.values) < config.lag + 2:
        raise InputError(
            f"--task {series.source}: holds {len(series.values)} values; "
            f"lag {config.lag} needs at least {config.lag + 2}"
        )
    return series


def sizes(config: RunConfig, series: Series) -> tuple[int, int, int]:
    """n, T and d of the samples that ``series_task`` makes."""
    assert config.lag is not None
    T = config.lag + 1
    channels = position_channels(config.positions or "none", T).shape[1]
    return len(series.values) - T, T, 1 + channels


def series_task(config: RunConfig, series: Series) -> Task:
    """The first n windows as samples: a token is a value and the channels of its position.

    Raises InputError if the values that training sees are all equal.
    """
    assert config.lag is not None
    assert config.n is not None
    values, notes = series.values[: config.n + config.lag + 1], []
    if series.noise_floor is None:
        seen = values[: config.n_train + config.lag + 1]  # tokens and labels of training
        centre, scale = float(seen.mean()), float(seen.std())
        if scale == 0:
            raise InputError(f"--task {series.source}: the {len(seen)} training values are equal")
        values = (values - centre) / scale
        notes.append(
            f"series standardised by mean {centre:.6g} and deviation {scale:.6g} of its "
            f"first {len(seen)} values"
        )
    else:
        notes.append(f"noise floor {series.noise_floor:.3g}: no prediction has a smaller mean MSE")
    value, labels = windows(values, config.lag)
    place = position_channels(config.positions or "none", config.lag + 1)
    X = np.concatenate(
        [value[..., None], np.broadcast_to(place, (len(value), *place.shape))], axis=2
    )
    norm = float(np.linalg.norm(X, axis=2).max())
    if config.rescale:
        X, norm = X / norm, 1.0
        notes.append("tokens divided by the largest token norm")
    tokens = torch.from_numpy(X)
    direction = streams.generator(config.data_seed or 0, "query").standard_normal(X.shape[2])
    q = query(config.query, tokens, unit_vector(torch.from_numpy(direction)))
    factor = config.query_scale or 1.0
    return Task(
        inputs=Inputs(tokens, q * factor),
        y=torch.from_numpy(labels.copy()),
        token_norm=norm,
        query_norm=1.0 if config.query == "fixed" else norm * factor,
        noise_floor=series.noise_floor,
        notes=tuple(notes),
    )
