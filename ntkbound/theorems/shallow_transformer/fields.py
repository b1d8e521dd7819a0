"""The fields of a run of the first theorem: what may be set, as options and presets name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ntkbound.core import config as core
from ntkbound.core.config import Count, NonNegative, Positive, Seed
from ntkbound.theorems.shallow_transformer.radii import EVERY_BLOCK, Radii

# Options by topic, as the help shows them; the commands of this theorem take some of them.
PANELS: Mapping[str, tuple[str, ...]] = {
    "Model": ("theorem", "model", "omega", "m", "activation", "query"),
    "Data": (
        *("task", "n", "T", "d", "inputs", "input_norm", "target", "rescale", "validation"),
        *("lag", "positions", "query_scale"),
        *("transport", "nu", "teacher_heads"),
    ),
    "Descent": ("tau", "method", "batch", "decay", "eta", "eta_scale", "rho", "dtype"),
    "Measurement": (
        *("bounds", "delta", "ridge", "records"),
        *("search_samples", "search_restarts", "search_steps"),
    ),
    "Seeds": ("seed", "data_seed", "teacher_seed", "init_seed"),
}


class Fields(core.Config):
    """As written: what is null is filled in by ``Config``."""

    seeds: ClassVar = ("seed", "data_seed", "teacher_seed", "init_seed")
    drawn: ClassVar = ("init_seed",)
    implied: ClassVar = frozenset({"eta_scale"})  # by η and τ
    exclusive: ClassVar = (("eta", "eta_scale"),)
    precision: ClassVar = "dtype"
    data: ClassVar = "task"
    code: ClassVar = ("model",)
    panels: ClassVar = PANELS

    theorem: Literal["shallow-transformer"] = Field(
        "shallow-transformer", description="the theorem under test"
    )
    model: str = Field(
        "transformer",
        description="what is trained: transformer, the theorem's model; indrnn, the recurrent "
        "baseline; or FILE.py:Class, a head of your own",
    )
    omega: Positive | None = Field(
        None, description="initial size ω of the recurrent weights, indrnn only [1.5]"
    )
    m: Count = Field(256, description="attention (or recurrent) heads (even)")
    tau: Count = Field(4000, description="gradient steps τ")
    n: Count | None = Field(None, description="samples [512; a file's own number]")
    T: Count | None = Field(None, description="tokens per sample [16; a file's own number]")
    d: Count | None = Field(None, description="token dimension [8; a file's own number]")
    data_seed: Seed | None = Field(None, description="seed of the inputs [seed]")
    teacher_seed: Seed | None = Field(None, description="seed of the teacher [seed]")
    init_seed: Seed | None = Field(None, description="seed of φ_0, batches and probes [seed]")
    activation: Literal["tanh", "erf", "sigmoid", "bump", "relu"] = Field(
        "tanh", description="σ; relu only without bounds"
    )
    query: Literal["last", "mean", "fixed", "given"] | None = Field(
        None, description="q: last token, token mean, one unit vector, or a file's array q [last]"
    )
    task: str = Field(
        "teacher", description="teacher, digits, ar, FILE.npz, FILE.csv or series:FILE.csv"
    )
    lag: Count | None = Field(
        None, description="lag L of ar and series: windows of T = L + 1 values [16]"
    )
    positions: Literal["sincos", "onehot", "none"] | None = Field(
        None, description="position channels of ar and series [sincos]"
    )
    query_scale: Positive | None = Field(
        None, description="factor on the query, and so on all scores, of ar and series [1]"
    )
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
    rescale: bool = Field(
        False, description="scale the tokens of a file, ar or series into the unit ball"
    )
    method: Literal["projgd", "projsgd", "gd", "decay"] = Field(
        "projgd", description="descent: projected, projected stochastic, plain, decay toward φ_0"
    )
    batch: Count | None = Field(None, description="mini-batch of projsgd [64]")
    decay: NonNegative | None = Field(None, description="pull toward φ_0 of decay [0.01]")
    eta: Positive | None = Field(None, description="step size η [eta_scale/√τ]")
    eta_scale: Positive | None = Field(None, description="η·√τ, null where η is given [1]")
    rho: Radii = Field({EVERY_BLOCK: 1.0}, description="projection radii ρ: 3 | 3,3,1 | c=3,W=1")
    nu: Radii | None = Field(None, description="norms ν of the transport map, likewise [1]")
    delta: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="failure probability δ of the approximation bound"
    )
    validation: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="fraction of n held out of training [0; ar and series: the last 0.2]"
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
