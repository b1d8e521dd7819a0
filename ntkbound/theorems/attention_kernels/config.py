"""What a run of this theorem may set; symbols follow arXiv 2411.07538."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from ntkbound.core import config as core
from ntkbound.core.config import Count, NonNegative, Positive, Seed
from ntkbound.core.errors import InputError, nearest
from ntkbound.theorems.attention_kernels.kernels import SHIPPED

NPZ = ".npz"
LABELS = ("random", "near", "equal", "teacher", "images")
SIZES = {"N": 4, "n": 4, "D": 16, "d": 8, "H": 1}
IMAGES, PATCHES = 1437, 16  # digits trained on, and tokens of each
OF_IMAGES = {"N": IMAGES, "n": PATCHES, "D": 64, "d": 64, "H": 2}
PACE = {"adam": 2e-3, "sgd": 0.1}  # learning rates of the classifier
UNUSED = ("train", "values", "initial", "method", "eta", "tau", "records", "landscape")
EQUAL_SK = 0.3  # factor on W_K for equal values

Value = TypeVar("Value")


def _trained(value: object) -> object:
    """Any letters of Q, K, V in any order, as they are called."""
    if not isinstance(value, str) or not value or set(value) - set("QKV"):
        raise ValueError(f"expected letters of QKV, such as V or QK, not {value!r}")
    return "".join(letter for letter in "QKV" if letter in value)


class Config(core.Config):
    """One run: data, kernel, initial weights, what is trained and how.

    A validated instance is resolved, but for sizes that follow from files that have not been read.
    """

    seeds: ClassVar = ("seed", "data_seed", "init_seed", "label_seed")
    data: ClassVar = "labels"
    code: ClassVar = ("kernel",)
    panels: ClassVar = {
        "Model": ("theorem", "kernel", "values", "N", "n", "D", "d", "H"),
        "Data": ("labels", "rho", "epsilon", "student"),
        "Initial weights": ("initial", "sq", "sk", "sv", "so"),
        "Descent": ("train", "method", "eta", "tau", "records", "landscape"),
        "Classifier, labels images": ("layers", "optimizer", "lr", "batch", "steps"),
        "Seeds": ("seed", "data_seed", "init_seed", "label_seed"),
    }

    theorem: Literal["attention-kernels"] = Field(
        "attention-kernels", description="the theorem under test"
    )
    kernel: str = Field(
        "softmax",
        description=f"{', '.join(SHIPPED)}, or FILE.py:f, f(q, k) → weights (…, n, n) in torch",
    )
    train: Annotated[str, BeforeValidator(_trained)] = Field(
        "QKV", description="which of W_Q, W_K, W_V are trained"
    )
    N: Count | None = Field(None, description=f"samples [4; a file's own; images {IMAGES}]")
    n: Count | None = Field(None, description="tokens of a sample [4; a file's own]")
    D: Count | None = Field(None, description="embedding dimension [16; a file's own; images 64]")
    d: Count | None = Field(None, description="dimension of a head [8; a file's own; images 64]")
    H: Count | None = Field(None, description="heads [1; a file's own; images 2]")
    values: Literal["block", "dense"] = Field(
        "block", description="W_V of each head, or one HD × Hd matrix"
    )
    labels: str = Field(
        "random", description=f"{', '.join(LABELS)}, or FILE{NPZ} with y (N, n), X (N, n, D) if any"
    )
    rho: Positive | None = Field(None, description="labels near: distance from MH(M_0) [0.001]")
    epsilon: NonNegative | None = Field(
        None, description="labels equal: how far apart values are [0]"
    )
    student: Positive | None = Field(
        None, description="labels teacher: factor on the student's W_Q [1]"
    )
    initial: str | None = Field(
        None, description="FILE.safetensors with W_Q, W_K, W_V (H, D, d), W_O (H, d)"
    )
    sq: Positive = Field(1.0, description="factor on W_Q")
    sk: Positive | None = Field(None, description="factor on W_K [sq; 0.3 for labels equal]")
    sv: Positive = Field(1.0, description="factor on W_V")
    so: Positive = Field(1.0, description="factor on W_O")
    method: Literal["fixed", "monotone"] = Field(
        "monotone", description="step size: fixed, or times 1.02 after descent, halved after ascent"
    )
    eta: Positive | None = Field(
        None, description="step size, the first of monotone [0.1; fixed and train V: 1/λ_max(G)]"
    )
    tau: Count = Field(2500, description="gradient steps")
    records: Annotated[int, Field(ge=2)] = Field(
        32, description="steps recorded, geometrically spaced"
    )
    landscape: bool = Field(False, description="the loss around the end, as in Figure 4")
    layers: Count | None = Field(None, description="layers of attention [2]")
    optimizer: Literal["adam", "sgd"] | None = Field(None, description="of the classifier [adam]")
    lr: Positive | None = Field(None, description="learning rate [adam 0.002, sgd 0.1]")
    batch: Annotated[int, Field(ge=1, le=IMAGES)] | None = Field(
        None, description=f"images of a step, {IMAGES} at most [64]"
    )
    steps: Count | None = Field(None, description="steps of the classifier [400]")
    data_seed: Seed | None = Field(None, description="seed of the inputs [seed]")
    init_seed: Seed | None = Field(None, description="seed of the initial weights [seed]")
    label_seed: Seed | None = Field(None, description="seed of the labels [seed]")

    @property
    def own_kernel(self) -> tuple[Path, str] | None:
        """The file of a user's kernel and its name there; None for one that is shipped."""
        return self.files_of_code().get("kernel")

    @property
    def label_file(self) -> Path | None:
        return Path(self.labels) if self.labels.endswith(NPZ) else None

    @property
    def images(self) -> bool:
        """Whether the classifier is trained instead of the theorem's model."""
        return self.labels == "images"

    def refuse_images(self) -> None:
        """Raises InputError for the classifier, where only the theorem's model can be meant."""
        if self.images:
            raise InputError(
                "images are classified by another model than the theorem's", field="labels"
            )

    @property
    def initial_file(self) -> Path | None:
        return None if self.initial is None else Path(self.initial)

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """N, n, D, d, H. Raises InputError before files have been read."""
        N, n, D, d, H = (known(getattr(self, name), name) for name in SIZES)
        return N, n, D, d, H

    @property
    def trains_scores(self) -> bool:
        """Whether W_Q or W_K is trained."""
        return self.train != "V"

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        if self.own_kernel is None and self.kernel not in SHIPPED:
            told = f"accepted: {', '.join(SHIPPED)}, FILE.py:f{nearest(self.kernel, SHIPPED)}"
            raise InputError(f"{self.kernel!r} is unknown; {told}", field="kernel")
        if self.label_file is None and self.labels not in LABELS:
            told = f"accepted: {', '.join(LABELS)}, FILE{NPZ}{nearest(self.labels, LABELS)}"
            raise InputError(f"{self.labels!r} is unknown; {told}", field="labels")
        self._default("rho", 1e-3, self.labels == "near", "labels near")
        self._default("epsilon", 0.0, self.labels == "equal", "labels equal")
        self._resolve_images()
        drawn = self.labels == "teacher" and self.initial is None
        self._default("student", 1.0, drawn, "labels teacher, without initial")
        for name in self.seeds[1:]:
            self._default(name, self.seed, True)
        self._default("sk", EQUAL_SK if self.labels == "equal" else self.sq, True)
        if not self.images and (self.method == "monotone" or self.trains_scores):
            self._default("eta", 0.1, True)
        self._resolve_sizes()
        return self

    def _resolve_images(self) -> None:
        for name, value in (("layers", 2), ("optimizer", "adam"), ("batch", 64), ("steps", 400)):
            self._default(name, value, self.images, "labels images")
        pace = None if self.optimizer is None else PACE[self.optimizer]
        self._default("lr", pace, self.images, "labels images")
        if not self.images:
            return
        for name in UNUSED:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise InputError("not used by labels images; leave it out", field=name)
        for name, size in OF_IMAGES.items():
            self._default(name, size, True)
            if name in "Nn" and getattr(self, name) != size:
                raise InputError(f"labels images have {name} = {size}; leave it out", field=name)

    def _resolve_sizes(self) -> None:
        if self.initial is not None and self.labels == "equal":
            raise InputError("makes W_V and W_O itself; leave initial out", field="labels")
        if self.label_file is None and self.initial is None:
            for name, size in SIZES.items():
                self._default(name, size, True)
        if None not in (self.N, self.n, self.D):
            N, n, D, *_ = (getattr(self, name) for name in SIZES)
            if self.labels == "equal" and N * n > D:
                told = f"{D} is below Nn = {N * n}, so values of labels equal do not exist"
                raise InputError(told, field="D")

    def _default(self, name: str, value: object, applies: bool, only: str = "") -> None:
        given = getattr(self, name)
        if applies and given is None:
            object.__setattr__(self, name, value)
        elif not applies and given is not None:
            raise InputError(f"only used by {only}; leave it out", field=name)

    def with_sizes(self, found: Mapping[str, int]) -> Config:
        """With the sizes that files have, and defaults for the others.

        Raises InputError where one that was given contradicts them.
        """
        for name, size in found.items():
            if getattr(self, name) not in (None, size):
                told = f"{getattr(self, name)} contradicts the file, which has {size}"
                raise InputError(told, field=name)
        given = {name: getattr(self, name) for name in SIZES if getattr(self, name) is not None}
        return core.build(Config, {**self.model_dump(), **SIZES, **given, **found})

    def canonical(self, data_digest: str | None) -> dict[str, Any]:
        """Files count by their content, not by their paths."""
        fields = super().canonical(data_digest)
        if data_digest is not None:
            for name, path in self.files.items():
                fields[name] = f"sha256{path.suffix}"
        return fields

    @property
    def files(self) -> dict[str, Path]:
        """Field → the file of arrays it names."""
        paths = {"labels": self.label_file, "initial": self.initial_file}
        return {name: path for name, path in paths.items() if path is not None}

    def portable(self) -> dict[str, Any]:
        """Files by their absolute paths."""
        return super().portable() | {n: str(path.absolute()) for n, path in self.files.items()}

    @classmethod
    def underived(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Without seeds and factors that follow from others."""
        kept = dict(fields)
        for name in (*follows(fields), *(s for s in cls.seeds[1:] if kept[s] == kept["seed"])):
            kept.pop(name, None)
        return kept


def known(value: Value | None, field: str) -> Value:
    """A field that resolution fills in. Raises InputError where files have not been read."""
    if value is None:
        raise InputError("follows from a file, which has not been read", field=field)
    return value


def follows(config: Mapping[str, Any]) -> dict[str, Any]:
    """Field → what it follows: the factor on W_K that on W_Q."""
    equal = config.get("labels") == "equal"
    same = not equal and config.get("sk") == config.get("sq")
    return {"sk": "sq"} if same else {}
