"""What a run of the first theorem may set: a frozen, fully resolved configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import model_validator

from ntkbound.core import config as core
from ntkbound.core.errors import InputError
from ntkbound.core.record import Record
from ntkbound.core.userfile import load
from ntkbound.heads.written import WrittenHead
from ntkbound.theorems.shallow_transformer.choices import (
    DATA_FILES,
    MODELS,
    SERIES,
    check_model,
    check_task,
)
from ntkbound.theorems.shallow_transformer.fields import Fields
from ntkbound.theorems.shallow_transformer.radii import EVERY_BLOCK, per_block

Value = TypeVar("Value")


class Sizes(NamedTuple):
    """Of the data: samples, tokens per sample, token dimension."""

    n: int
    T: int
    d: int


def known(value: Value | None, field: str) -> Value:
    """A field that resolution or the data fill in. Raises InputError where neither has."""
    if value is None:
        raise InputError("is not known here: it follows from the data or the task", field=field)
    return value


class Config(Fields):
    """One run of Theorem (training error) of arXiv 2601.16514; symbols follow the paper.

    A validated instance is resolved: derived values (η, the seeds, per-block radii) are filled in,
    and fields that do not apply to the chosen task or method are null and refuse to be set. Only
    n, T and d may stay null until the data of a file or of ``digits`` has been seen.
    """

    @property
    def own_model(self) -> bool:
        """Whether what is trained is a class of the user's own."""
        return self.model not in MODELS

    @property
    def model_name(self) -> str:
        """The model, without the file that it is in."""
        return self.model.rpartition(":")[2]

    @property
    def blocks(self) -> tuple[str, ...]:
        """Parameter blocks of one head, to which the radii ρ belong.

        Raises InputError for a class of the user's own that cannot be used, or before d is known.
        """
        if self.own_model:
            return tuple(WrittenHead.of(self.model).blocks(known(self.d, "d")))
        return ("c", "U", "w") if self.model == "indrnn" else self.teacher_blocks

    @property
    def teacher_blocks(self) -> tuple[str, str, str]:
        """Blocks of the Transformer, to which ν belongs whatever model is trained.

        A fixed query reduces W to k = W q (theory §1).
        """
        return ("c", "U", "k" if self.query == "fixed" else "W")

    @property
    def radii(self) -> dict[str, float]:
        """ρ/√m per block: how far one head may move."""
        return {block: rho / math.sqrt(self.m) for block, rho in self.rho.items()}

    @property
    def is_series(self) -> bool:
        """Whether the samples are windows of one long series, in time order."""
        return self.task == "ar" or self.task.startswith(SERIES)

    @property
    def data_file(self) -> Path | None:
        """The file the data come from; None for data made from seeds or by a package."""
        return Path(self.task.removeprefix(SERIES)) if self.task.endswith(DATA_FILES) else None

    @property
    def n_train(self) -> int:
        """Samples that are trained on, and over which every term is measured."""
        n = known(self.n, "n")
        return n - round(n * (self.validation or 0.0))

    @property
    def sizes(self) -> Sizes:
        """n, T and d. Raises InputError before the data have been seen."""
        return Sizes(known(self.n, "n"), known(self.T, "T"), known(self.d, "d"))

    @property
    def step_size(self) -> float:
        """η."""
        return known(self.eta, "eta")

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        if self.m % 2:
            raise InputError(
                f"{self.m} is odd; symmetric initialisation needs an even number", field="m"
            )
        if self.activation == "relu" and self.bounds:
            raise InputError(
                "relu has no bounded second derivative, so no bound holds; "
                "set bounds = false to measure without bounds",
                field="activation",
            )
        check_model(self.model)
        check_task(self.task)
        self._resolve_data()
        self._resolve_query()
        self._default("data_seed", self.seed, True)
        self._default("init_seed", self.seed, True)
        self._default("batch", 64, self.method == "projsgd", only="method projsgd")
        self._default("decay", 0.01, self.method == "decay", only="method decay")
        self._resolve_step_size()
        self._resolve_radii()
        if self.transport == "rank-one" and self.activation == "bump":
            raise InputError(
                "rank-one represents the zero function for the even activation bump; "
                "use constant, random-feature or anchors",
                field="transport",
            )
        if self.transport == "anchors" and self.activation == "relu":
            raise InputError(
                "anchors is scaled by the constants of σ, and relu has none", field="transport"
            )
        if self.n is not None:
            self._check_counts()
        return self

    def _resolve_data(self) -> None:
        teacher, series = self.task == "teacher", self.is_series
        self._default("n", 512, teacher or self.task == "ar", or_null=True)
        self._default("T", 16, teacher, or_null=True)
        self._default("d", 8, teacher, or_null=True)
        computed = self.transport == "computed"
        if computed and teacher:
            raise InputError(
                "'computed' is for data whose map is unknown; the teacher has its own",
                field="transport",
            )
        if not computed:
            self._default("transport", "rank-one", teacher, only="task teacher")
        self._default("ridge", 1e-3, computed, only="transport computed")
        self._default("teacher_heads", 131072, teacher, only="task teacher")
        self._default("teacher_seed", self.seed, teacher, only="task teacher")
        self._default("inputs", "shrunk", teacher, only="task teacher")
        self._default("nu", {EVERY_BLOCK: 1.0}, teacher, only="task teacher")
        self._default("input_norm", 1.0, teacher, only="task teacher")
        self._default("target", "parity", self.task == "digits", only="task digits")
        if self.target is not None and self.target not in ("parity", *map(str, range(10))):
            raise InputError(f"{self.target!r} is unknown; accepted: parity, 0 … 9", field="target")
        self._default("lag", 16, series, only="tasks ar and series")
        self._default("positions", "sincos", series, only="tasks ar and series")
        self._default("validation", 0.2 if series else 0.0, True)
        if self.rescale and self.data_file is None and not series:
            raise InputError(
                "only for a data file, ar and series; others are in the ball", field="rescale"
            )

    def _resolve_query(self) -> None:
        teacher, series = self.task == "teacher", self.is_series
        recurrent = self.model == "indrnn"
        self._default("omega", 1.5, recurrent, only="model indrnn")
        # A recurrence has no query; only the Transformer behind the teacher's labels has one then.
        self._default("query", "last", teacher or not recurrent, only="model transformer")
        if self.query == "given" and not self.task.endswith(".npz"):
            raise InputError("'given' reads the array q of an .npz task", field="query")
        scaled = series and not recurrent and self.query != "fixed"
        self._default(
            "query_scale", 1.0, scaled, only="a transformer on ar or series, query last or mean"
        )

    def _default(
        self, name: str, value: object, applies: bool, *, only: str = "", or_null: bool = False
    ) -> None:
        given = getattr(self, name)
        if applies and given is None:
            object.__setattr__(self, name, value)
        elif not applies and given is not None and not or_null:
            raise InputError(f"only used by {only}; leave it out", field=name)

    def _resolve_step_size(self) -> None:
        if self.eta is not None and self.eta_scale is None:
            return
        scale = 1.0 if self.eta_scale is None else self.eta_scale
        derived = scale / math.sqrt(self.tau)
        if self.eta is not None and not math.isclose(self.eta, derived, rel_tol=1e-12):
            raise InputError(
                "contradicts eta_scale (η = eta_scale/√τ); give one of them", field="eta"
            )
        object.__setattr__(self, "eta_scale", scale)
        object.__setattr__(self, "eta", derived)

    def _resolve_radii(self) -> None:
        """W names the third block of either model: under a fixed query its ball is that of
        k = W q. The blocks of a head of one's own may have shapes of d: they wait for it."""
        if self.nu is not None:
            blocks = self.teacher_blocks
            nu = per_block("nu", self.nu, blocks, {"W": blocks[2]})
            object.__setattr__(self, "nu", nu)
        if self.own_model:
            rho = self.rho if self.d is None else per_block("rho", self.rho, self.blocks, {})
        else:
            rho = per_block("rho", self.rho, self.blocks, {"W": self.blocks[2]})
        object.__setattr__(self, "rho", rho)

    def _check_counts(self) -> None:
        if self.n_train < 1:
            raise InputError(
                f"{self.validation} of n = {self.n} leaves no sample", field="validation"
            )
        if self.batch is not None and self.batch > self.n_train:
            raise InputError(f"{self.batch} is more than the {self.n_train} samples", field="batch")

    def with_data(self, n: int, T: int, d: int) -> Config:
        """The config with the sizes of the data filled in; ``n`` may only be lowered.

        Raises InputError if T or d contradict the data or n asks for more samples than it has.
        """
        for name, asked, found in (("T", self.T, T), ("d", self.d, d)):
            if asked is not None and asked != found:
                told = f"{asked} contradicts the data, which has {name} = {found}"
                raise InputError(told, field=name)
        if self.n is not None and self.n > n:
            told = f"{self.n} is more than the {n} samples of {self.task}"
            raise InputError(told, field="n")
        return core.build(Config, {**self.model_dump(), "n": self.n or n, "T": T, "d": d})

    def canonical(self, data_digest: str | None) -> dict[str, Any]:
        """A data file counts by its content, not by its path."""
        fields = super().canonical(data_digest)
        if data_digest is not None:
            kind = SERIES if self.is_series else ""
            fields["task"] = f"{kind}sha256:{data_digest}{Path(self.task).suffix}"
        return fields

    def portable(self) -> dict[str, Any]:
        """The data file by its absolute path."""
        fields = super().portable()
        if self.data_file is not None:
            kind = SERIES if self.is_series else ""
            fields["task"] = kind + str(self.data_file.absolute())
        return fields

    @classmethod
    def underived(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Without the seeds, the η and the block names that follow from seed, τ and query."""
        kept = dict(fields)
        for name in ("data_seed", "teacher_seed", "init_seed"):
            if kept.get(name) == kept.get("seed"):
                kept.pop(name, None)
        if kept.get("eta_scale") is not None:
            kept.pop("eta", None)
        theirs = kept.get("model") not in (None, *MODELS)  # then the names of ρ are, too
        for name in ("nu",) if theirs else ("rho", "nu"):
            if isinstance(kept.get(name), dict):  # W under every query and model
                kept[name] = {("W" if b in "kw" else b): r for b, r in kept[name].items()}
        return kept


def config_of(record: Record) -> Config:
    """The config of a record.

    Raises InputError for a record of another theorem, and for one of a head of the user's own whose
    file was not named, or has changed.
    """
    if record.theorem != Config.model_fields["theorem"].default:
        raise InputError(f"{record.id}: is about the theorem {record.theorem}")
    config = core.build(Config, record.config, record.id)
    for field, (path, _) in config.files_of_code().items():
        if load(path).sha256 != record.code.get(field):
            raise InputError(f"{record.id}: {path.name} is not the file that it was made with")
    return config
