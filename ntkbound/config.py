"""What exactly is run: a frozen, fully resolved configuration and its canonical hash.

Nothing here imports torch, so that ``ntkbound --help`` and the reports stay quick.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ntkbound.errors import InputError, nearest

SCHEMA = 1  # layout of a record
NUMERICS = 2  # raised whenever the same config gives other numbers

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

EVERY_BLOCK = "*"
DATA_FILES = (".npz", ".csv")


def _radii(value: object) -> object:
    """``3``, ``"3"``, ``"3,3,1"``, ``"c=3,W=1"`` or a mapping, as a mapping block → number."""
    if isinstance(value, bool):
        raise ValueError("expected a number, a list of three or block=number pairs")
    if isinstance(value, int | float):
        return {EVERY_BLOCK: value}
    if isinstance(value, list | tuple):
        return {str(position): number for position, number in enumerate(value)}
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        try:
            if "=" in value:
                pairs = [part.split("=") for part in parts]
                named = {block.strip(): float(number) for block, number in pairs}
                if len(named) < len(pairs):
                    raise ValueError
                return named
            numbers = [float(part) for part in parts]
        except ValueError:
            raise ValueError("expected a number, c,U,W or block=number pairs") from None
        return _radii(numbers[0] if len(numbers) == 1 else numbers)
    return value


Radii = Annotated[dict[str, NonNegative], BeforeValidator(_radii)]


class RunConfig(BaseModel):
    """One run of Theorem (training error) of arXiv 2601.16514; symbols follow the paper.

    A validated instance is resolved: derived values (η, the seeds, per-block radii) are filled in,
    and fields that do not apply to the chosen task or method are null and refuse to be set. Only
    n, T and d may stay null until the data of a file or of ``digits`` has been seen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    theorem: Literal["shallow-transformer"] = Field(
        "shallow-transformer", description="the theorem under test"
    )
    m: Count = Field(256, description="attention heads (even)")
    tau: Count = Field(4000, description="gradient steps τ")
    n: Count | None = Field(None, description="samples [512; a file's own number]")
    T: Count | None = Field(None, description="tokens per sample [16; a file's own number]")
    d: Count | None = Field(None, description="token dimension [8; a file's own number]")
    seed: Seed = Field(0, description="seed of everything below unless given apart")
    data_seed: Seed | None = Field(None, description="seed of the inputs [seed]")
    teacher_seed: Seed | None = Field(None, description="seed of the teacher [seed]")
    init_seed: Seed | None = Field(None, description="seed of φ_0, batches and probes [seed]")
    activation: Literal["tanh", "erf", "sigmoid", "bump", "relu"] = Field(
        "tanh", description="σ; relu only with --no-bounds"
    )
    query: Literal["last", "mean", "fixed", "given"] = Field(
        "last", description="q: last token, token mean, one unit vector, or a file's array q"
    )
    task: str = Field("teacher", description="teacher, digits, FILE.npz or FILE.csv")
    transport: Literal["rank-one", "random-feature", "constant", "anchors", "computed"] | None = (
        Field(
            None,
            description="transport map of the teacher [rank-one]; for other data none, or computed "
            "by kernel regression at φ_0",
        )
    )
    ridge: NonNegative | None = Field(
        None, description="ridge of a computed transport, relative to the mean eigenvalue [0.001]"
    )
    teacher_heads: Annotated[int, Field(ge=2)] | None = Field(
        None, description="fresh heads averaged into the labels [131072]"
    )
    inputs: Literal["shrunk", "ball"] | None = Field(
        None, description="tokens of the teacher task: Gaussian shrunk into the ball, or uniform"
    )
    input_norm: Positive | None = Field(
        None, description="radius B_x of the tokens' ball, teacher task [1]"
    )
    target: str | None = Field(
        None, description="digits: parity, or a digit against the rest [parity]"
    )
    rescale: bool = Field(False, description="scale a file's tokens into the unit ball")
    method: Literal["projgd", "projsgd", "gd", "decay"] = Field(
        "projgd", description="descent: projected, projected stochastic, plain, decay toward φ_0"
    )
    batch: Count | None = Field(None, description="mini-batch of projsgd [64]")
    decay: NonNegative | None = Field(None, description="pull toward φ_0 of decay [0.01]")
    eta: Positive | None = Field(None, description="step size η [eta_scale/√τ]")
    eta_scale: Positive | None = Field(None, description="η·√τ, null where η is given [1]")
    rho: Radii = Field({EVERY_BLOCK: 1.0}, description="projection radii: 3 | 3,3,1 | c=3,W=1")
    nu: Radii | None = Field(None, description="norms ν of the transport map, likewise [1]")
    delta: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="failure probability δ of the approximation bound"
    )
    validation: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="fraction of n held out of training"
    )
    dtype: Literal["float32", "float64"] = Field(
        "float32", description="training precision (terms are always measured in float64)"
    )
    bounds: bool = Field(True, description="evaluate the proved bounds")
    records: Annotated[int, Field(ge=2)] = Field(
        32, description="steps recorded along training, geometrically spaced"
    )
    search_samples: Count = Field(8, description="inputs of the worst-case search")
    search_restarts: Count = Field(8, description="starting points per head and sign")
    search_steps: Count = Field(20, description="ascent steps of the search")

    @property
    def blocks(self) -> tuple[str, str, str]:
        """Parameter blocks of one head; a fixed query reduces W to k = W q (theory §1)."""
        return ("c", "U", "k" if self.query == "fixed" else "W")

    @property
    def n_train(self) -> int:
        """Samples that are trained on, and over which every term is measured."""
        assert self.n is not None
        return self.n - round(self.n * self.validation)

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        if self.m % 2:
            raise ValueError(f"m: {self.m} is odd; symmetric initialisation needs an even number")
        if self.activation == "relu" and self.bounds:
            raise ValueError(
                "activation: relu has no bounded second derivative, so no bound holds; "
                "add --no-bounds to measure without bounds"
            )
        is_file = self.task.endswith(DATA_FILES)
        if not is_file and self.task not in ("teacher", "digits"):
            raise ValueError(
                f"task: {self.task!r} is unknown; accepted: teacher, digits, FILE.npz, FILE.csv"
                + nearest(self.task, ("teacher", "digits"))
            )
        teacher = self.task == "teacher"
        self._default("n", 512, teacher, or_null=True)
        self._default("T", 16, teacher, or_null=True)
        self._default("d", 8, teacher, or_null=True)
        computed = self.transport == "computed"
        if computed and teacher:
            raise ValueError(
                "transport: 'computed' is for data whose map is unknown; the teacher has its own"
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
            raise ValueError(f"target: {self.target!r} is unknown; accepted: parity, 0 … 9")
        if self.rescale and not is_file:
            raise ValueError("rescale: only for a data file; other tasks are inside the ball")
        if self.query == "given" and not self.task.endswith(".npz"):
            raise ValueError("query: 'given' reads the array q of an .npz task")
        self._default("data_seed", self.seed, True)
        self._default("init_seed", self.seed, True)
        self._default("batch", 64, self.method == "projsgd", only="method projsgd")
        self._default("decay", 0.01, self.method == "decay", only="method decay")
        self._resolve_step_size()
        for name in ("rho", "nu"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, self._per_block(name, given))
        if self.transport == "rank-one" and self.activation == "bump":
            raise ValueError(
                "transport: rank-one represents the zero function for the even activation bump; "
                "use constant, random-feature or anchors"
            )
        if self.transport == "anchors" and self.activation == "relu":
            raise ValueError(
                "transport: anchors is scaled by the constants of σ, and relu has none"
            )
        if self.n is not None:
            self._check_counts()
        return self

    def _default(
        self, name: str, value: object, applies: bool, *, only: str = "", or_null: bool = False
    ) -> None:
        given = getattr(self, name)
        if applies and given is None:
            object.__setattr__(self, name, value)
        elif not applies and given is not None and not or_null:
            raise ValueError(f"{name}: only used by {only}; leave it out")

    def _resolve_step_size(self) -> None:
        if self.eta is not None and self.eta_scale is None:
            return
        scale = 1.0 if self.eta_scale is None else self.eta_scale
        derived = scale / math.sqrt(self.tau)
        if self.eta is not None and not math.isclose(self.eta, derived, rel_tol=1e-12):
            raise ValueError("eta: contradicts eta_scale (η = eta_scale/√τ); give one of them")
        object.__setattr__(self, "eta_scale", scale)
        object.__setattr__(self, "eta", derived)

    def _per_block(self, name: str, given: Mapping[str, float]) -> dict[str, float]:
        if set(given) == {EVERY_BLOCK}:
            return dict.fromkeys(self.blocks, given[EVERY_BLOCK])
        if set(given) == {"0", "1", "2"}:
            return dict(zip(self.blocks, given.values(), strict=True))
        # Under a fixed query the ball of W is the ball of k = W q, so either name is understood.
        named = {("k" if b == "W" and "k" in self.blocks else b): r for b, r in given.items()}
        for block in named:
            if block not in self.blocks:
                raise ValueError(
                    f"{name}: block {block!r} is unknown; accepted: one number, three numbers, "
                    f"or pairs for {', '.join(self.blocks)}"
                )
        return {block: named.get(block, 1.0) for block in self.blocks}

    def _check_counts(self) -> None:
        if self.n_train < 1:
            raise ValueError(f"validation: {self.validation} of n = {self.n} leaves no sample")
        if self.batch is not None and self.batch > self.n_train:
            raise ValueError(f"batch: {self.batch} is more than the {self.n_train} samples")

    def with_data(self, n: int, T: int, d: int) -> RunConfig:
        """The config with the sizes of the data filled in; ``n`` may only be lowered.

        Raises InputError if T or d contradict the data or n asks for more samples than it has.
        """
        for name, asked, found in (("T", self.T, T), ("d", self.d, d)):
            if asked is not None and asked != found:
                raise InputError(
                    f"--{name}: {asked} contradicts the data, which has {name} = {found}"
                )
        if self.n is not None and self.n > n:
            raise InputError(f"--n: {self.n} is more than the {n} samples of {self.task}")
        return build({**self.model_dump(), "n": self.n or n, "T": T, "d": d})

    def identity(self, data_digest: str | None = None) -> str:
        """SHA-256 of everything that determines the numbers, hex.

        A data file counts by its content (``data_digest``), not by its path; ``eta_scale`` is
        implied by η and τ.
        """
        fields = self.model_dump(exclude={"eta_scale"})
        if self.ridge is None:  # came later: records made without it keep their names
            del fields["ridge"]
        if data_digest is not None:
            fields["task"] = f"sha256:{data_digest}{Path(self.task).suffix}"
        fields |= {"schema": SCHEMA, "numerics": NUMERICS}
        return digest(fields)


def digest(value: object) -> str:
    """SHA-256 (hex) of a JSON value, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def build(fields: Mapping[str, Any], where: str = "") -> RunConfig:
    """A resolved config from plain values; every mistake is one line naming the field.

    ``where`` names the file the values came from; without it fields are named as options.
    """
    for name in fields:
        if name not in RunConfig.model_fields:
            accepted = nearest(name, RunConfig.model_fields)
            raise InputError(f"{where or 'config'}: unknown field {name!r}{accepted}")
    try:
        return RunConfig.model_validate(dict(fields))
    except ValidationError as error:
        raise InputError(_one_line(error, where)) from None


def _one_line(error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    field = str(first["loc"][0]) if first["loc"] else ""
    if not field:  # raised by a validator of this module, which names the field itself
        field, _, message = message.partition(": ")
    elif "ctx" not in first or "error" not in first["ctx"]:
        message = f"{message[0].lower()}{message[1:]}, not {first['input']!r}"
    name = f"{where}: {field}" if where else f"--{field.replace('_', '-')}"
    return f"{name}: {message}"


def load(path: Path) -> dict[str, Any]:
    """Fields of a run from a TOML file (top level or ``[run]``) or from a record's run.json.

    Raises InputError if the file cannot be read or is not of that form. Values that run.json
    merely derived are left out, so that overriding τ or the seed does what it says.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--config {path}: cannot be read ({_cause(error)})") from None
    try:
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise InputError(f"--config {path}: {_cause(error)}") from None
    name = "config" if path.suffix == ".json" else "run"
    fields = data.get(name, data) if isinstance(data, dict) else data
    if not isinstance(fields, dict):
        raise InputError(f"--config {path}: expected a table of run fields")
    return _without_derived(fields) if path.suffix == ".json" else fields


def _without_derived(fields: dict[str, Any]) -> dict[str, Any]:
    kept = dict(fields)
    for name in ("data_seed", "teacher_seed", "init_seed"):
        if kept.get(name) == kept.get("seed"):
            kept.pop(name, None)
    if kept.get("eta_scale") is not None:
        kept.pop("eta", None)
    for name in ("rho", "nu"):
        if isinstance(kept.get(name), dict):  # W under every query, whatever the recorded one was
            kept[name] = {("W" if b == "k" else b): radius for b, radius in kept[name].items()}
    return kept


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
