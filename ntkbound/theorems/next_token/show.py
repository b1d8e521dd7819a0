"""A run of this theorem in words: the headline above its table, and the facts below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ntkbound.core.record import Record
from ntkbound.report.tables import number


def headline(record: Record) -> str:
    """The data, then both stages."""
    return title(record.config)


def title(config: Mapping[str, Any]) -> str:
    """The two lines that name a run, from its resolved config."""
    names = ("max_len", "optimal", "non_optimal", "keep")
    sizes = "".join(f", {n} = {config[n]:g}" for n in names if config[n] is not None)
    start = "" if config["ov_init"] == 0 else f", W_ov(0) ~ {config['ov_init']:g}"
    weights, first, second = config["ov_weights"], config["eta0"], config["eta"]
    return (
        f"{config['task']}, V = {config['V']}{sizes}, seed {config['seed']}\n"
        f"stage 1: {weights}, T0 = {config['T0']}, η0 = {first:.3g}{start}; "
        f"stage 2: {config['method']}, T1 = {config['tau']}, η = {second:.3g}"
    )


def facts(record: Record) -> list[str]:
    """The loss and its floor, attention, the data's margin problem, and unseen sentences."""
    terms = record.terms
    loss, attention = terms["loss"]["training"], terms["attention"]["training"]
    qp = terms["margin"]["qp"]
    found = [
        f"loss {number(loss['initial'])} → {number(loss['final'])}, {number(loss['excess'])} above "
        f"{number(loss['floor'])}, the loss of perfect attention after stage 1",
        f"attention on the optimal token: at least {number(attention['final_min'])}",
        f"‖W_kq*‖ = {number(qp['norm'])}; the closed form of Proposition 2 is off by "
        f"{number(qp['closed_form_error'])}",
    ]
    shift = terms.get("shift", {})
    if shift:
        told = ", ".join(f"{name} {_percent(kind)}" for name, kind in shift.items())
        found.append(f"sentences never seen, right next token: {told}")
    return found


def _percent(kind: dict[str, Any]) -> str:
    return f"{100 * kind['accuracy']:.0f} % of {kind['count']}"
