"""What a run of this theorem may set; symbols follow arXiv 2311.01575."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeVar

from pydantic import Field, model_validator

from ntkbound.core import config as core
from ntkbound.core.config import Count, NonNegative, Positive, Seed
from ntkbound.core.errors import InputError, nearest
from ntkbound.core.record import Record

GAUSSIAN, IMAGES = "gaussian", "images"
ARRAYS = ".npz"
TENSORS = ".safetensors"
LARGEST_HESSIAN = 2048  # d_m of its power iteration

Value = TypeVar("Value")
Width = Annotated[int, Field(ge=1, le=16384)]

# What only a descent on squared loss has, and its value where none is given; the images have
# their own.
OF_REGRESSION: Mapping[str, object] = {
    "tokens": "unit",
    "loss": "mean",
    "step": "kernel",
    "gamma": 1.0,
    "tau": 400,
}
OF_IMAGES: Mapping[str, object] = {"lr": 0.1, "momentum": 0.9, "batch": 64, "epochs": 20}


class Sizes(NamedTuple):
    """Width, samples, tokens per sample, token dimension."""

    dm: int
    N: int
    ds: int
    d: int


def known(value: Value | None, field: str) -> Value:
    """A field that resolution or the data fill in. Raises InputError where neither has."""
    if value is None:
        raise InputError("is not known here: it follows from the data or the task", field=field)
    return value


class Config(core.Config):
    """One run: initialisation and scaling, data, and the descent.

    A validated instance is resolved, but for sizes that follow from files that have not been read.
    """

    seeds: ClassVar = ("seed", "data_seed", "init_seed")
    drawn: ClassVar = ("init_seed",)
    data: ClassVar = "task"
    panels: ClassVar = {
        "Model": ("theorem", "init", "scaling", "dm", "pooling", "initial"),
        "Data": ("task", "N", "ds", "d", "tokens"),
        "Descent": ("loss", "step", "gamma", "gamma_of", "tau"),
        "Images": ("lr", "momentum", "batch", "epochs"),
        "Measurement": ("records", "hessian", "kernel_every"),
        "Seeds": ("seed", "data_seed", "init_seed"),
    }

    theorem: Literal["encoder-only"] = Field("encoder-only", description="the theorem under test")
    init: Literal["lecun", "he", "ntk"] = Field("lecun", description="variances of the weights")
    scaling: Literal["half", "one"] = Field("half", description="τ0 of the logits: dm^-1/2, dm^-1")
    dm: Width | None = Field(None, description="width, 1 to 16384 [256; that of initial]")
    N: Count | None = Field(None, description="samples [100; a file's own number]")
    ds: Count | None = Field(None, description="tokens per sample [10; a file's own number]")
    d: Count | None = Field(None, description="token dimension [100; images 64; a file's own]")
    tokens: Literal["unit", "raw", "centred"] | None = Field(
        None, description="tokens of norm 1, as drawn or read, less their sample's mean [unit]"
    )
    pooling: Literal["mean", "sum"] = Field("mean", description="of the tokens, at the output")
    loss: Literal["mean", "sum"] | None = Field(
        None, description="weight w of a sample: 1/N, 1 [mean]"
    )
    step: Literal["fixed", "kernel", "adaptive"] | None = Field(
        None,
        description="step size: gamma; gamma over w times the largest eigenvalue of the initial "
        "kernel; that, halved where the loss would rise and else 1.02 times the last [kernel]",
    )
    gamma: Positive | None = Field(None, description="step size γ, or its factor [1]")
    gamma_of: Literal["own", "half", "one"] | None = Field(
        None, description="scaling whose kernel sets the step; not of a fixed one [own]"
    )
    tau: Count | None = Field(None, description="gradient steps [400]")
    task: str = Field(
        GAUSSIAN, description=f"{GAUSSIAN}, {IMAGES}, or FILE{ARRAYS} with X (N,ds,d), y (N,)"
    )
    initial: str | None = Field(
        None, description=f"FILE{TENSORS} with W_Q, W_K, W_V (dm,d), w_O (dm,) to start from"
    )
    lr: Positive | None = Field(None, description="step size of images [0.1]")
    momentum: Annotated[float, NonNegative, Field(lt=1)] | None = Field(
        None, description="momentum of images [0.9]"
    )
    batch: Count | None = Field(None, description="mini-batch of images [64]")
    epochs: Count | None = Field(None, description="epochs of images [20]")
    data_seed: Seed | None = Field(None, description="seed of the data [seed]")
    init_seed: Seed | None = Field(None, description="seed of the initial weights [seed]")
    records: Annotated[int, Field(ge=2)] = Field(
        32, description="steps recorded, geometrically spaced"
    )
    hessian: bool = Field(
        False, description=f"norm of the initial Hessian, for dm up to {LARGEST_HESSIAN}"
    )
    kernel_every: Count | None = Field(
        None, description="steps between two tangent kernels [at both ends alone]"
    )

    @property
    def images(self) -> bool:
        """Whether digits are classified rather than targets regressed."""
        return self.task == IMAGES

    @property
    def file(self) -> Path | None:
        """The arrays that are read; None for data of this theorem's own."""
        return Path(self.task) if self.task.endswith(ARRAYS) else None

    @property
    def initial_file(self) -> Path | None:
        return None if self.initial is None else Path(self.initial)

    @property
    def sizes(self) -> Sizes:
        """All four. Raises InputError before the files have been read."""
        found = {name: known(getattr(self, name), name) for name in Sizes._fields}
        return Sizes(**found)

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        if self.file is None and self.task not in (GAUSSIAN, IMAGES):
            told = f"accepted: {GAUSSIAN}, {IMAGES}, FILE{ARRAYS}"
            close = nearest(self.task, (GAUSSIAN, IMAGES))
            raise InputError(f"{self.task!r} is unknown; {told}{close}", field="task")
        if self.initial is not None and not self.initial.endswith(TENSORS):
            raise InputError(f"{self.initial!r} is no FILE{TENSORS}", field="initial")
        regression = not self.images
        for name, value in OF_REGRESSION.items():
            self._default(name, value, regression, f"tasks {GAUSSIAN} and FILE{ARRAYS}")
        for name, value in OF_IMAGES.items():
            self._default(name, value, self.images, f"task {IMAGES}")
        by_kernel = self.step in ("kernel", "adaptive")
        self._default("gamma_of", "own", by_kernel, "steps kernel and adaptive")
        self._default("data_seed", self.seed)
        self._default("init_seed", self.seed)
        if self.images:
            for name in ("N", "ds", "initial", "kernel_every"):
                self._default(name, None, False, f"tasks {GAUSSIAN} and FILE{ARRAYS}")
        self._resolve_sizes()
        self._check_hessian()
        return self

    def _resolve_sizes(self) -> None:
        if self.initial is None:
            self._default("dm", 256)
        if self.images:
            self._default("d", 64)
        if self.task == GAUSSIAN:
            for name, value in (("N", 100), ("ds", 10)):
                self._default(name, value)
            if self.initial is None:
                self._default("d", 100)

    def _check_hessian(self) -> None:
        if self.hessian and self.images:
            raise InputError("only used by tasks gaussian and FILE.npz", field="hessian")
        if self.hessian and self.dm is not None and self.dm > LARGEST_HESSIAN:
            told = f"dm = {self.dm} is more than {LARGEST_HESSIAN}; leave it out"
            raise InputError(told, field="hessian")

    def _default(self, name: str, value: object, applies: bool = True, only: str = "") -> None:
        given = getattr(self, name)
        if applies and given is None:
            object.__setattr__(self, name, value)
        elif not applies and given is not None:
            raise InputError(f"only used by {only}; leave it out", field=name)

    def with_sizes(self, found: Mapping[str, int], source: str) -> Config:
        """The config with sizes that a file has. Raises InputError where one given contradicts."""
        for name, size in found.items():
            asked = getattr(self, name)
            if asked not in (None, size):
                told = f"{asked} contradicts {source}, which has {name} = {size}"
                raise InputError(told, field=name)
        return core.build(Config, {**self.model_dump(), **found})

    def canonical(self, data_digest: str | None) -> dict[str, Any]:
        """Files count by their content, not by their paths; the digest is of all of them."""
        fields = super().canonical(data_digest)
        for name, read in (("task", self.file), ("initial", self.initial_file)):
            if read is not None and data_digest is not None:
                fields[name] = f"sha256:{data_digest}{read.suffix}"
        return fields

    def portable(self) -> dict[str, Any]:
        """Files by their absolute paths."""
        fields = self.model_dump()
        for name, read in (("task", self.file), ("initial", self.initial_file)):
            if read is not None:
                fields[name] = str(read.absolute())
        return fields

    @classmethod
    def underived(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Without the seeds that follow from seed, and sizes that follow from files."""
        kept = dict(fields)
        for name in ("data_seed", "init_seed"):
            if kept.get(name) == kept.get("seed"):
                kept.pop(name, None)
        if str(kept.get("task", "")).endswith(ARRAYS):
            _drop(kept, "N", "ds", "d")
        if kept.get("initial") is not None:
            _drop(kept, "dm", "d")
        return kept


def _drop(fields: dict[str, Any], *names: str) -> None:
    for name in names:
        fields.pop(name, None)


def config_of(record: Record) -> Config:
    """The config of a record. Raises InputError for a record of another theorem."""
    if record.theorem != Config.model_fields["theorem"].default:
        raise InputError(f"{record.id}: is about the theorem {record.theorem}")
    return core.build(Config, record.config, record.id)
