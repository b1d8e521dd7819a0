"""The presets of this theorem, by name: its own and those of its studies at each size.

Grids of runs are written here; what is claimed of them is that of ``statement``, by group.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ntkbound.core.claim import Claim
from ntkbound.theorems.encoder_only import statement

Axes = Mapping[str, Any]

INITS, SCALINGS = ["lecun", "he", "ntk"], ["half", "one"]
TOKENS = ["raw", "unit", "centred"]
ALL: Axes = {"init": INITS, "scaling": SCALINGS}
FEW: Axes = {"init": ["lecun", "ntk"], "scaling": "one"}


def sweep(**axes: Any) -> str:
    """A ``[[sweep]]`` table; a single value is a list of one."""
    told = {k: v if isinstance(v, list | dict) else [v] for k, v in axes.items()}
    return "\n[[sweep]]\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in told.items())


def zipped(**columns: list[Any]) -> str:
    """Columns of the last ``sweep`` that vary together."""
    return "[[sweep.zip]]\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in columns.items())


def preset(title: str, grids: Iterable[str], claims: Iterable[Claim] = ()) -> str:
    """Grids and claims under a title; without claims the theorem's own are judged."""
    tables = []
    for claim in claims:
        given = claim.model_dump(exclude_defaults=True) | {"form": claim.form}
        tables.append("\n[[claim]]\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in given.items()))
    return f"title = {_toml(title)}\n" + "".join([*grids, *tables])


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def seeds(count: int) -> dict[str, int]:
    return {"from": 0, "to": count - 1}


def doubling(low: int, high: int) -> dict[str, int]:
    return {"from": low, "to": high, "factor": 2}


def figures(N: int, d: int, widths: list[int], tau: int, every: int, count: int) -> list[str]:
    """Figures 2 and 9 (widths at γ = 1), 5 (initialisations) and 3 (a vector as tokens)."""
    middle, large = widths[1], max(dm for dm in widths if dm <= 1000)
    own = min(128, large)  # at which 1/λ_max is stable
    same: dict[str, Any] = {"N": N, "tau": tau, "records": 48, "seed": seeds(count)}
    fixed = same | {"d": d, "step": "fixed", "kernel_every": every}
    return [
        sweep(**fixed, scaling=SCALINGS, dm=widths),
        sweep(**fixed, init=["he", "ntk"], dm=[middle, large]),
        sweep(**fixed, init="ntk", gamma=10.0, dm=middle),
        sweep(**same, d=d, step=["kernel", "adaptive"], init=["lecun", "ntk"], dm=own),
        sweep(**same, scaling="one", dm=100) + zipped(ds=[1, 100], d=[100, 1]),
    ]


def apart(N: int, tokens: list[str], widths: list[int], tau: int, count: int) -> list[str]:
    """Separation (i): one step, that of ``half``; steps of their own; adaptive ones."""
    same: dict[str, Any] = {
        "N": N, "ds": 5, "d": 20, "tokens": tokens, "scaling": SCALINGS, "dm": widths, "tau": tau,
        "seed": seeds(count),
    }  # fmt: skip
    return [sweep(**same, gamma_of=["half", "own"]), sweep(**same, step="adaptive")]


def steady(N: int, widths: list[int], tau: int, count: int) -> list[str]:
    """The part of ``apart`` in which no run diverges: at 1/λ_max of its own some do."""
    same: dict[str, Any] = {
        "N": N, "ds": 5, "d": 20, "scaling": SCALINGS, "dm": widths, "tau": tau,
        "seed": seeds(count),
    }  # fmt: skip
    return [
        sweep(**same, tokens=TOKENS, gamma_of="half"),
        sweep(**same, tokens="raw", gamma_of="own"),
        sweep(**same, tokens=TOKENS, step="adaptive"),
    ]


def initialisations(N: int, width: int, tau: int, count: int) -> list[str]:
    """Separation (ii) at steps of their own, on raw tokens."""
    return [sweep(N=N, ds=5, d=20, tokens="raw", init=INITS, scaling="one",
                  step=["kernel", "adaptive"], dm=width, tau=tau, seed=seeds(count))]  # fmt: skip


def kernels(N: int, wide: int, samples: int, count: int, arms: Axes = ALL) -> list[str]:
    """Kernels at the start: widths 256 to ``wide``, Hessians, samples 8 to ``samples``."""
    every: dict[str, Any] = {"tau": 1, "seed": seeds(count)}
    raw: dict[str, Any] = {**every, **arms, "tokens": "raw", "dm": doubling(256, wide)}
    return [
        sweep(**raw, N=N, ds=5, d=20),
        sweep(**raw, N=8, ds=4, d=8, hessian=True),
        sweep(**every, N=doubling(8, samples), d=[10, 100], dm=512),
    ]


def limits(N: int, widths: list[int], count: int) -> list[str]:
    """Widths at which the distance to the limit is looked at."""
    return [sweep(tau=1, N=N, ds=5, d=20, tokens=["raw", "unit"], init="ntk", scaling="one",
                  dm=widths, seed=seeds(count))]  # fmt: skip


def needed(samples: list[int], widths: list[int], tau: int, count: int) -> list[str]:
    """Descents at several widths, to find the smallest that reaches 1e-2."""
    return [sweep(ds=4, d=8, tokens="raw", step="adaptive", tau=tau, init=["lecun", "ntk"],
                  scaling=SCALINGS, N=samples, dm=widths, seed=seeds(count))]  # fmt: skip


def asked(samples: list[int], wide: int, count: int, arms: Axes = ALL) -> list[str]:
    """(2) and (3) of Proposition 1 against the width, sum pooling as the appendix has it."""
    return [sweep(tau=1, loss="sum", pooling="sum", **arms, N=samples, dm=doubling(512, wide),
                  seed=seeds(count))]  # fmt: skip


def drift(N: int, tau: int, low: int, high: int, count: int) -> list[str]:
    """How far kernel and weights move at γ = 1/λ_max."""
    widths = doubling(low, high)
    return [sweep(N=N, ds=4, d=30, tau=tau, **ALL, dm=widths, seed=seeds(count))]


def digits(epochs: int, widths: list[int], count: int) -> list[str]:
    return [sweep(task="images", epochs=epochs, scaling=SCALINGS, dm=widths, seed=seeds(count))]


def among(claims: Iterable[Claim], **where: Any) -> tuple[Claim, ...]:
    """The same claims, of fewer runs."""
    return tuple(one.model_copy(update={"where": {**one.where, **where}}) for one in claims)


OF_FIGURES = (*among(statement.CONVERGENCE, step="fixed"), *statement.COROLLARY_1)
# Few samples make λ_min scatter, and Hessians are of few; the data are the same at every width.
AT_START: Axes = {"tau": 1, "pooling": "mean"}
OF_KERNEL = (
    *among(statement.KERNEL, **AT_START, hessian=False), *statement.CURVATURE,
    *among(statement.SAMPLES, **AT_START),
    *among(statement.DATA, N=8, dm=512, init="lecun", scaling="half"),
)  # fmt: skip
OF_WIDTH = among(statement.CONDITIONS, pooling="sum")
OF_DRIFT = among((*statement.MOVEMENT, *statement.OUTPUT), d=30)
OF_BOTH = (
    *OF_FIGURES, statement.SCALING["centred"], *statement.INITIALISATION.values(),
)  # fmt: skip
OF_SCALING = (*statement.SCALING.values(), statement.INITIALISATION["own"])

TITLES = {
    "encoder-only": "loss, weights and kernel along training: Figures 2, 3, 5, 9",
    "encoder-only-kernel": "the tangent kernel at the start: width, limit, Hessian, samples",
    "encoder-only-width": "the width that is needed against the width that is asked for",
    "encoder-only-scaling": "two scalings of the logits, at one step and at steps of their own",
    "encoder-only-drift": "how far kernel and weights move, against the width",
    "encoder-only-images": "digits: one layer, one head, two scalings of the logits",
}
CLAIMED: Mapping[str, tuple[Claim, ...]] = {
    "encoder-only": OF_BOTH,
    "encoder-only-kernel": OF_KERNEL,
    "encoder-only-width": OF_WIDTH,
    "encoder-only-scaling": OF_SCALING,
    "encoder-only-drift": OF_DRIFT,
    "encoder-only-images": statement.IMAGES,
}
# Study → its grids at each size.
SMOKE: Mapping[str, list[str]] = {
    "encoder-only": [
        *figures(6, 5, [8, 16, 32, 64], 40, 10, 3), *apart(8, ["centred"], [32], 40, 3)
    ],
    "encoder-only-kernel": kernels(8, 1024, 16, 3, FEW),
    "encoder-only-width": [*needed([4, 8], [4, 8, 16], 100, 3), *asked([4], 1024, 3, FEW)],
    "encoder-only-scaling": [
        *apart(8, ["centred"], [16, 32], 40, 3), *initialisations(8, 32, 40, 3)
    ],
    "encoder-only-drift": drift(6, 50, 16, 64, 3),
    "encoder-only-images": digits(1, [8, 256], 3),
}  # fmt: skip
SMALL: Mapping[str, list[str]] = {
    "encoder-only": [
        *figures(40, 40, [8, 32, 128, 512], 400, 40, 5), *apart(40, ["centred"], [256], 400, 5)
    ],
    "encoder-only-kernel": [*kernels(50, 2048, 256, 8), *limits(50, [1024, 4096, 16384], 8)],
    "encoder-only-width": [
        *needed([16, 32, 64, 128], [4, 6, 8, 12, 16, 32, 48, 64], 1500, 3),
        *asked([8, 32], 4096, 3),
    ],
    "encoder-only-scaling": [
        *apart(50, TOKENS, [16, 64, 256], 400, 6), *initialisations(50, 512, 400, 6)
    ],
    "encoder-only-drift": drift(24, 1000, 64, 1024, 6),
    "encoder-only-images": digits(20, [16, 256, 1024], 3),
}  # fmt: skip
PAPER: Mapping[str, list[str]] = {
    "encoder-only": [
        *figures(100, 100, [10, 100, 1000, 4000], 400, 80, 3),
        *apart(50, ["centred"], [256], 400, 3),
    ],
    "encoder-only-kernel": [*kernels(50, 2048, 256, 20), *limits(50, [1024, 4096, 16384], 20)],
    "encoder-only-width": [
        *needed([16, 32, 64, 128], [2, 4, 6, 8, 12, 16, 32, 48, 64, 96, 128], 1500, 6),
        *asked([8, 32, 64], 16384, 3),
    ],
    "encoder-only-scaling": [
        *apart(50, TOKENS, [16, 64, 256, 1024], 400, 6), *initialisations(50, 512, 400, 6)
    ],
    "encoder-only-drift": drift(24, 1000, 64, 4096, 6),
    "encoder-only-images": digits(50, [16, 1024], 3),
}  # fmt: skip

CHECKED = [
    sweep(N=6, ds=3, d=20, tau=50, gamma=0.5, init=["lecun", "ntk"], scaling=SCALINGS,
          dm=doubling(16, 128), seed=seeds(5)),
]  # fmt: skip

# What the small studies run, but for runs that diverge, and widths of which nothing is claimed.
EVERYTHING = [
    *figures(40, 40, [8, 32, 128, 512], 400, 40, 5),
    *steady(50, [64, 256], 400, 6),
    *initialisations(50, 512, 400, 6),
    *SMALL["encoder-only-kernel"],
    *SMALL["encoder-only-drift"],
    *SMALL["encoder-only-images"],
    *asked([8], 4096, 3),
    sweep(step="fixed", init=["lecun", "ntk"], dm=1000, seed=seeds(5)),
]


def distinct(groups: Iterable[Iterable[Claim]]) -> list[Claim]:
    """Each claim of these groups once."""
    found: list[Claim] = []
    for claim in (one for group in groups for one in group):
        if claim not in found:
            found.append(claim)
    return found


PRESETS = {
    "smoke": preset(
        "encoder-only: two initialisations, two scalings, widths 16 to 128, 50 steps",
        CHECKED,
        (
            *statement.CONVERGENCE,
            *statement.CONDITIONS,
            *statement.MOVEMENT,
            *among(statement.DATA, dm=16, init="lecun", scaling="half"),
        ),
    ),
    "small": preset(
        "encoder-only: every claim, at the sizes it needs",
        EVERYTHING,
        distinct([*CLAIMED.values(), statement.REGIME]),
    ),
    **{
        f"{size}{name}": preset(TITLES[name], grids, CLAIMED[name])
        for size, every in (("smoke/", SMOKE), ("", SMALL), ("paper/", PAPER))
        for name, grids in every.items()
    },
    "paper/encoder-only": preset(
        TITLES["encoder-only"], PAPER["encoder-only"], (*OF_BOTH, *statement.REGIME)
    ),
}
