"""A run of this theorem in words: the headline above its table, and the facts below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ntkbound.core.record import Record
from ntkbound.report.tables import number

# One thread of a 2.6 GHz server core: only the order of magnitude is meant.
SECONDS_PER_PRODUCT, SECONDS_PER_STEP, SECONDS_PER_RUN = 2.5e-11, 2e-4, 0.5
OF_IMAGES = 1e-10  # a step of the images, per weight and patch


def headline(record: Record) -> str:
    """The model and its data, then the descent."""
    return title(record.config)


def title(config: Mapping[str, Any]) -> str:
    """The two lines that name a run, from its resolved config."""
    names = ("dm", "N", "ds", "d")
    sizes = "  ".join(f"{name} = {config[name]}" for name in names if config[name] is not None)
    start = config["init"] if config["initial"] is None else config["initial"]
    model = f"{start}, τ0 {config['scaling']}, {config['pooling']} pooling"
    if config["lr"] is not None:
        how = f"lr {config['lr']:g}, momentum {config['momentum']:g}, {config['epochs']} epochs"
        return f"{sizes}\n{config['task']}, {model}, {how}, seed {config['seed']}"
    step = f"{config['step']} step {config['gamma']:g}"
    if config["gamma_of"] not in (None, "own"):
        step += f" of {config['gamma_of']}"
    data = f"{config['task']}, {config['tokens']} tokens, {config['loss']} loss"
    return f"{sizes}  τ = {config['tau']}\n{data}, {model}, {step}, seed {config['seed']}"


def facts(record: Record) -> list[str]:
    """How far training got, by what step, and how far from its start."""
    terms, found = record.terms, []
    training = terms.get("optimization", {}).get("training", {})
    if "loss_ratio" in training:
        linear = training.get("linearized_ratio")
        beside = "" if linear is None else f"; with K_0 throughout {number(linear)}"
        found.append(f"loss ends at {number(training['loss_ratio'])} of its start{beside}")
    if "normalised_step" in training:
        found.append(f"γw·λ_max(K_0) = {number(training['normalised_step'])}")
    descent = terms.get("descent", {}).get("training", {})
    if "ratio_min" in descent:
        least = number(descent["ratio_min"])
        found.append(f"descent ratio at least {least}, median {number(descent['ratio_median'])}")
    drift = terms.get("drift", {})
    if drift:
        told = ", ".join(f"{block} {number(drift[block]['relative'])}" for block in "OVQK")
        found.append(f"relative distance from the start: {told}")
    return found


def cost(config: Any) -> float:
    """Rough seconds on one thread."""
    if config.images:
        weights = int(config.dm) * int(config.d)
        return SECONDS_PER_RUN + OF_IMAGES * 1500 * 16 * weights * int(config.epochs)
    dm, N, ds, d = (int(getattr(config, name) or 100) for name in ("dm", "N", "ds", "d"))
    step = 4 * N * ds * d * dm * SECONDS_PER_PRODUCT + SECONDS_PER_STEP
    kernel = (N * ds) ** 2 * (dm + d) * SECONDS_PER_PRODUCT
    return SECONDS_PER_RUN + step * int(config.tau) + 2 * kernel


def prefix(config: Any) -> str:
    """The task, what is unusual, the sizes and the seed."""
    task = config.task if config.file is None else config.file.stem[:16]
    model = f"eo-{task}-{config.init}-{config.scaling}"
    tokens = "" if config.tokens in (None, "unit") else f"-{config.tokens}"
    length = f"epochs{config.epochs}" if config.images else f"N{config.N}-tau{config.tau}"
    return f"{model}{tokens}-dm{config.dm}-{length}-s{config.seed}"
