"""What a run of this theorem may set; symbols follow arXiv 2409.17335."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ntkbound.core import config as core
from ntkbound.core.config import Count, NonNegative, Positive
from ntkbound.core.errors import InputError, nearest

TASKS = ("rollout", "cyclic", "example1", "counterexample", "free")
SIZES = {"example1": 4, "counterexample": 8}  # V of the tasks that are one data set
OV_SCALE, KQ_SCALE = 0.2, 0.05  # the paper's η0·√V and η·√V
BATCH = 32  # of sgd
TEXT = ".txt"

Steps = Annotated[int, Field(ge=1, le=10_000_000)]  # every step is kept in memory: 1 GB
Vocabulary = Annotated[int, Field(ge=2, le=1000)]


class Config(core.Config):
    """One run: a task, both stages of descent, and what is recorded of them.

    A validated instance is resolved, but for what follows from a text that has not been read:
    its V, and step sizes that were not given.
    """

    panels: ClassVar = {
        "Data": (
            "theorem",
            "task",
            "V",
            "max_len",
            "optimal",
            "non_optimal",
            "keep",
            "embedding",
            "seed",
        ),
        "Stage 1, W_ov": ("T0", "eta0", "ov_weights", "ov_init"),
        "Stage 2, W_kq": ("tau", "eta", "method", "batch", "records"),
    }

    theorem: Literal["next-token"] = Field("next-token", description="the theorem under test")
    task: str = Field(
        "rollout", description=f"{', '.join(TASKS)}, or FILE{TEXT} with one sentence per line"
    )
    V: Vocabulary | None = Field(
        None, description="vocabulary, 2 to 1000 [20; example1 4, counterexample 8; a text's own]"
    )
    max_len: Annotated[int, Field(ge=2, le=64)] | None = Field(
        None, description="longest sentence of rollout and cyclic, 2 to 64 [8]"
    )
    optimal: Count | None = Field(
        None, description="tokens that win, of each query of the task free [2]"
    )
    non_optimal: Count | None = Field(
        None, description="tokens that lose, the query among them, task free [4]"
    )
    keep: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="share of the pairs of the task free that is trained on [1]"
    )
    embedding: Literal["onehot", "random"] = Field(
        "onehot", description="orthonormal embeddings; random ones change rounding alone, slowly"
    )
    T0: Steps = Field(900, description="steps of stage 1, normalised descent on W_ov")
    eta0: Positive | None = Field(None, description="step size of stage 1 [0.2/√V]")
    ov_weights: Literal["uniform", "zipf", "counts"] = Field(
        "uniform",
        description="weight ω_x of a token in stage 1's loss: 1, 1/(x + 1), how often it opens",
    )
    ov_init: NonNegative = Field(0.0, description="standard deviation of W_ov at the start")
    tau: Steps = Field(900, description="steps T1 of stage 2, descent on W_kq")
    eta: Positive | None = Field(None, description="step size of stage 2 [0.05/√V]")
    method: Literal["ngd", "gd", "sgd", "adam"] = Field(
        "ngd",
        description="descent of stage 2; ngd, the gradient over its norm, is the theorem's",
    )
    batch: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="inputs drawn per step of sgd [32]"
    )
    records: Annotated[int, Field(ge=2, le=1_000_000)] = Field(
        64, description="steps recorded of each stage, geometrically spaced"
    )

    @property
    def file(self) -> Path | None:
        """The text that is read; None for a task of this theorem's own."""
        return Path(self.task) if self.task.endswith(TEXT) else None

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        if self.file is None and self.task not in TASKS:
            told = f"accepted: {', '.join(TASKS)}, FILE{TEXT}{nearest(self.task, TASKS)}"
            raise InputError(f"{self.task!r} is unknown; {told}", field="task")
        self._resolve_size()
        grown = self.task in ("rollout", "cyclic")
        self._default("max_len", 8, grown, "tasks rollout and cyclic")
        for name, value in (("optimal", 2), ("non_optimal", 4), ("keep", 1.0)):
            self._default(name, value, self.task == "free", "task free")
        self._default("batch", BATCH, self.method == "sgd", "method sgd")
        if self.V is not None:
            self._resolve_steps(self.V)
        return self

    def _resolve_size(self) -> None:
        own = SIZES.get(self.task)
        if own is not None and self.V not in (None, own):
            raise InputError(f"{self.V} is not that of task {self.task}: {own}", field="V")
        if self.file is None:
            object.__setattr__(self, "V", own or self.V or 20)

    def _resolve_steps(self, size: int) -> None:
        for name, scale in (("eta0", OV_SCALE), ("eta", KQ_SCALE)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, scale / math.sqrt(size))
        if self.task == "free" and (self.optimal or 0) + (self.non_optimal or 0) > size:
            told = f"{self.optimal} + {self.non_optimal} tokens are more than V = {size}"
            raise InputError(told, field="optimal")

    def _default(self, name: str, value: object, applies: bool, only: str) -> None:
        given = getattr(self, name)
        if applies and given is None:
            object.__setattr__(self, name, value)
        elif not applies and given is not None:
            raise InputError(f"only used by {only}; leave it out", field=name)

    def with_size(self, size: int) -> Config:
        """Resolved for a text of ``size`` words. Raises InputError where V contradicts it."""
        if self.V not in (None, size):
            raise InputError(f"{self.V} contradicts the text, which has {size} words", field="V")
        return core.build(Config, {**self.model_dump(), "V": size})

    def canonical(self, data_digest: str | None) -> dict[str, Any]:
        """A text counts by its content, not by its path."""
        fields = super().canonical(data_digest)
        if data_digest is not None:
            fields["task"] = f"sha256:{data_digest}{TEXT}"
        return fields

    def portable(self) -> dict[str, Any]:
        """The text by its absolute path."""
        fields = self.model_dump()
        if self.file is not None:
            fields["task"] = str(self.file.absolute())
        return fields

    @classmethod
    def underived(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Without the step sizes that follow from V, and the V that follows from the task."""
        kept = dict(fields)
        for name in follows(fields):
            kept.pop(name, None)
        if kept.get("task") in SIZES or str(kept.get("task")).endswith(TEXT):
            kept.pop("V", None)
        return kept


def follows(config: Mapping[str, Any]) -> dict[str, Any]:
    """Field → what it follows: step sizes as the paper scales them would separate every V, and the
    usual batch of sgd that method from the others."""
    size = config.get("V")
    found: dict[str, Any] = {}
    for name, scale in (("eta0", OV_SCALE), ("eta", KQ_SCALE)):
        step = config.get(name)
        if size and (step is None or math.isclose(step, scale / math.sqrt(size), rel_tol=1e-12)):
            found[name] = f"{scale:g}/sqrt(V)"
    if config.get("batch") in (None, BATCH if config.get("method") == "sgd" else None):
        found["batch"] = "method"
    return found
