"""Data from files and packages: X (n, T, d), y (n,), optionally q; every defect is one line."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ntkbound.core import streams
from ntkbound.core.errors import InputError
from ntkbound.core.npz import arrays_of
from ntkbound.heads.model import Inputs
from ntkbound.heads.tasks.task import Task, query, unit_vector

LARGEST_LABEL = 1e12  # beyond it squares and their sums leave the range of float32
UNIT_TOLERANCE = 1e-6  # files often hold float32 vectors that were normalised in float32


@dataclass(frozen=True)
class RawData:
    """Arrays as they were found, checked but not yet subsampled or rescaled."""

    X: np.ndarray  # (n, T, d)
    y: np.ndarray  # (n,)
    q: np.ndarray | None  # (d,) or (n, d)
    digest: str  # SHA-256 of the content
    source: str


@dataclass(frozen=True)
class Sampling:
    """Which of the samples become a task, and how."""

    n: int
    seed: int  # draws which samples, and a fixed query that the data do not give
    shuffle: bool  # also where all are taken, as for a part that is held out
    rescale: bool  # divide tokens by their largest norm
    query: str  # last, mean, fixed, given (the array q), or none: the model asks nothing


def read_file(path: Path) -> RawData:
    """An .npz with arrays X, y and optionally q, or a .csv with columns sample,token,x1…xd,y.

    Raises InputError naming the file and the array, column or line that cannot be used.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror})") from None
    X, y, q = _from_npz(path, content) if path.suffix == ".npz" else _from_csv(path, content)
    return RawData(X, y, q, hashlib.sha256(content).hexdigest(), str(path))


def read_digits(target: str) -> RawData:
    """scikit-learn's 1797 handwritten digits: 8 image rows of 8 pixels are 8 tokens, d = 8.

    All pixels are divided by the largest row norm, which puts every token into the unit ball.
    ``parity``: y = +1 for even digits, −1 for odd; a digit: +1 for it, −1 for the others.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise _refused("digits", "needs scikit-learn; pip install 'ntkbound[data]'") from None
    bunch = load_digits()
    X = np.asarray(bunch.images, dtype=np.float64)
    X = X / np.linalg.norm(X, axis=2).max()
    labels = np.asarray(bunch.target)
    positive = labels % 2 == 0 if target == "parity" else labels == int(target)
    y = np.where(positive, 1.0, -1.0)
    content = hashlib.sha256(X.tobytes() + y.tobytes()).hexdigest()
    return RawData(X, y, None, content, "digits")


def array_task(raw: RawData, sampling: Sampling) -> Task:
    """The task on some or all of ``raw``; its transport map is not known.

    Raises InputError if a given query leaves the unit ball, or a token that is not rescaled.
    """
    n, chosen = sampling.n, np.arange(len(raw.y))
    if n < len(raw.y) or sampling.shuffle:
        chosen = streams.generator(sampling.seed, "subsample").permutation(len(raw.y))[:n]
    X, notes = raw.X[chosen], []
    with np.errstate(over="ignore"):  # a norm beyond float64 is infinite, and refused below
        largest = float(np.linalg.norm(raw.X, axis=2).max())
    if np.abs(raw.y).max() > LARGEST_LABEL:
        raise _refused(
            raw.source,
            f"labels reach {np.abs(raw.y).max():.3g}; "
            f"they must not exceed {LARGEST_LABEL:g} in size",
        )
    if sampling.rescale and 0 < largest < np.inf:
        X = X / largest
        notes.append(f"tokens divided by {largest:.6g}, the largest token norm of the data")
    elif largest > 1 + UNIT_TOLERANCE:
        raise _refused(
            raw.source,
            f"token norms reach {largest:.6g}, outside the unit ball; "
            "scale the data, or set rescale to divide by that norm",
        )
    tokens = torch.from_numpy(X)
    q, unused = _queries(raw, sampling, chosen, tokens)
    return Task(
        inputs=Inputs(tokens, q),
        y=torch.from_numpy(raw.y[chosen]),
        token_norm=1.0,
        query_norm=1.0,
        notes=(*notes, *unused),
    )


def _queries(
    raw: RawData, sampling: Sampling, chosen: np.ndarray, X: torch.Tensor
) -> tuple[torch.Tensor, list[str]]:
    """q of the chosen samples, and what is to be said of an array q that is not used."""
    if sampling.query == "given":
        return _given(raw, chosen), []
    direction = streams.generator(sampling.seed, "query").standard_normal(X.shape[2])
    notes = []
    if raw.q is not None and raw.q.ndim == 1 and sampling.query == "fixed":
        if not np.linalg.norm(raw.q) > 0:
            raise _refused(raw.source, "array q is zero; a fixed query needs a direction")
        direction = raw.q
    elif raw.q is not None and sampling.query != "none":
        notes = [f"array q of {raw.source} is not used: query is {sampling.query!r}, not 'given'"]
    return query(sampling.query, X, unit_vector(torch.from_numpy(direction))), notes


def _given(raw: RawData, chosen: np.ndarray) -> torch.Tensor:
    if raw.q is None:
        raise InputError(f"{raw.source} has no array q", field="query", value="given")
    q = raw.q[chosen] if raw.q.ndim == 2 else np.broadcast_to(raw.q, (len(chosen), len(raw.q)))
    largest = float(np.linalg.norm(q, axis=1).max())
    if largest > 1 + UNIT_TOLERANCE:
        raise _refused(raw.source, f"query norms reach {largest:.6g}; they must not exceed 1")
    return torch.from_numpy(np.array(q))


def _refused(source: object, message: str) -> InputError:
    """Data that cannot be used."""
    return InputError(message, field="task", value=source)


def _from_npz(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    try:
        arrays = {name: a for name, a in arrays_of(content).items() if name in ("X", "y", "q")}
    except ValueError as error:
        raise _refused(path, f"not a readable .npz of plain arrays ({error})") from None
    for name in ("X", "y"):
        if name not in arrays:
            raise _refused(path, f"array {name!r} is missing; X (n, T, d), y (n,) needed")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise _refused(path, f"array {name!r} is not numeric ({array.dtype})")
        arrays[name] = np.ascontiguousarray(array, dtype=np.float64)
        if not np.isfinite(arrays[name]).all():
            raise _refused(path, f"array {name!r} holds NaN or infinity")
    X, y, q = arrays["X"], arrays["y"], arrays.get("q")
    if X.ndim != 3 or 0 in X.shape:
        raise _refused(path, f"X has shape {X.shape}; (n, T, d) with no zero is needed")
    if y.shape != X.shape[:1]:
        raise _refused(path, f"y has shape {y.shape}; ({X.shape[0]},) is needed")
    if q is not None and q.shape not in (X.shape[2:], (X.shape[0], X.shape[2])):
        accepted = f"({X.shape[2]},) or ({X.shape[0]}, {X.shape[2]})"
        raise _refused(path, f"q has shape {q.shape}; {accepted} is needed")
    return X, y, q


def _from_csv(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray, None]:
    """One line per token; y is repeated on every line of its sample."""
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _refused(path, f"not a readable CSV ({error})") from None
    header = [name.strip() for name in lines[0]] if lines else []
    d = len(header) - 3
    if d < 1 or header != ["sample", "token", *(f"x{i + 1}" for i in range(d)), "y"]:
        raise _refused(path, "line 1 must be the columns sample,token,x1,…,xd,y")
    samples: dict[str, list[list[float]]] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        if len(line) != len(header):
            raise _refused(path, f"line {number} has {len(line)} fields; {len(header)} are needed")
        try:
            values = [float(field) for field in line[1:]]
        except ValueError:
            raise _refused(path, f"line {number} holds a field that is no number") from None
        if not np.isfinite(values).all():
            raise _refused(path, f"line {number} holds NaN or infinity")
        samples.setdefault(line[0].strip(), []).append(values)
    if not samples:
        raise _refused(path, "no samples below the header")
    T = len(next(iter(samples.values())))
    for name, tokens in samples.items():
        if len(tokens) != T:
            raise _refused(
                path,
                f"sample {name} has {len(tokens)} tokens, others {T}; "
                "all samples need the same number",
            )
        tokens.sort(key=lambda values: values[0])
        if len({values[0] for values in tokens}) != T:
            raise _refused(path, f"sample {name} repeats a token number")
        if len({values[-1] for values in tokens}) != 1:
            raise _refused(path, f"sample {name} has more than one y")
    table = np.array(list(samples.values()))  # (n, T, 1 + d + 1)
    return np.ascontiguousarray(table[:, :, 1:-1]), np.ascontiguousarray(table[:, 0, -1]), None
