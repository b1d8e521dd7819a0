"""A run of this theorem in words: the headline above its table, and the facts below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ntkbound.core.record import Record
from ntkbound.report.tables import number


def headline(record: Record) -> str:
    """The model and its data, then the descent."""
    return title(record.config)


def title(config: Mapping[str, Any]) -> str:
    """The two lines that name a run, from its resolved config."""
    if config["labels"] == "images":
        told = ", ".join(f"{name} = {config[name]}" for name in ("layers", "D", "d", "H"))
        return (
            f"{config['kernel']}, {told}; handwritten digits, seed {config['seed']}\n"
            f"{config['optimizer']}, lr = {config['lr']:.3g}, batches of {config['batch']}, "
            f"{config['steps']} steps"
        )
    sizes = ", ".join(f"{name} = {config[name]}" for name in ("N", "n", "D", "d", "H"))
    own = "".join(
        f", {name} = {config[name]:g}" for name in ("rho", "epsilon", "student")
        if config[name] is not None
    )  # fmt: skip
    eta = "1/λ_max(G)" if config["eta"] is None else f"{config['eta']:.3g}"
    values = ", dense values" if config["values"] == "dense" else ""
    how = f"{config['method']} steps, η = {eta}, τ = {config['tau']}"
    start = "" if config["initial"] is None else f" from {config['initial']}"
    return (
        f"{config['kernel']}, {sizes}{values}; labels {config['labels']}{own}, "
        f"seed {config['seed']}\n"
        f"trained {config['train']}{start}, {how}"
    )


def facts(record: Record) -> list[str]:
    """The loss beside its floors, and what the start allows."""
    terms = record.terms
    if "image" in terms:
        return []  # all stands in the table
    training, floor = terms["optimization"]["training"], terms["floor"]
    initial = terms["spectrum"]
    attainable = floor.get("attainable", {}).get("value")
    of_values = "not known" if attainable is None else number(attainable)
    found = [
        f"loss {number(training['loss_final'])} at the end; floors: {of_values} by the values, "
        f"{number(floor['least_squares']['value'])} by least squares in W_V",
        f"σ_min(B) = {number(initial['B']['sigma_min'])}, rank {initial['B']['rank']}; "
        f"λ(G) from {number(initial['gram']['lambda_min'])} to "
        f"{number(initial['gram']['lambda_max'])}",
    ]
    if "rank" in terms:
        rank = terms["rank"]["dC_dQ"]
        found.append(f"rank of ∂C/∂W_Q: {rank['value']}, needed {rank['needed']}")
    if "feasible" in floor.get("attainable", {}) and not floor["attainable"]["feasible"]:
        found.append("these labels are infeasible: no W_Q and W_K take the loss below the floor")
    return found


def cost(config: Any) -> float:
    """Rough seconds on one thread."""
    if config.images:
        products = config.batch * config.layers * config.H * config.D * config.d
        return 3.0 + 1.5e-7 / 8 * float(config.steps * products) / 64
    N, n, D, d, H = (int(getattr(config, name) or 8) for name in ("N", "n", "D", "d", "H"))
    trained = len(config.train) + 2
    step = 4e-10 * H * N * (2 * n * D * d * trained + 3 * n**2 * d)
    if config.own_kernel is not None:
        step += 1e-3
    return 0.05 + float(config.tau) * step


def prefix(config: Any) -> str:
    """Kernel, what is trained, sizes and the seed."""
    kernel = config.kernel if config.own_kernel is None else config.own_kernel[1][:16]
    if config.images:
        return f"ak-{kernel}-images-{config.optimizer}-t{config.steps}-s{config.seed}"
    labels = config.labels if config.label_file is None else config.label_file.stem[:16]
    return f"ak-{kernel}-{labels}-{config.train}-D{config.D}-H{config.H}-s{config.seed}"
