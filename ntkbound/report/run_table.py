"""One record as a person reads it: the table of terms, then what does not hold for this run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "holds": "green",
    "tight": "green",
    "faster": "green",
    "violated": "bold red",
    "bound-violated": "bold red",
    "inconclusive": "yellow",
}


def number(value: float | None) -> str:
    """Three significant digits; a dash where there is no number."""
    return "–" if value is None else f"{value:.3g}"


def verdict(name: str) -> Text:
    return Text(name, style=STYLES.get(name, "dim"))


def print_run(console: Console, data: Mapping[str, Any]) -> None:
    """The table of checks of a run.json, its headline, and its notes."""
    config = data["config"]
    console.print(headline(config), style="bold", highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("term", "probe", "statistic"):
        table.add_column(name, no_wrap=True)
    for name in ("measured", "bound", "slack"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    previous = ""
    reasons: dict[str, None] = {}
    for row in data["checks"]:
        slack = "–" if row["slack"] is None else f"{row['slack']:.3g}×"
        table.add_row(
            "" if row["term"] == previous else row["term"],
            row["probe"],
            row["statistic"],
            number(row["measured"]),
            number(row["bound"]),
            slack,
            verdict(row["verdict"]),
        )
        previous = row["term"]
        if row["reason"] and not any(row["reason"] in note for note in data["notes"]):
            reasons[f"{row['term']}: {row['reason']}"] = None
    console.print(table)
    training = data["terms"]["optimization"]["training"]
    gradient = data["terms"]["gradient"]
    fractions = ", ".join(f"{b} {f:.1%}" for b, f in gradient["boundary_fraction"].items())
    facts = [
        f"minimum MSE {number(training['min_mse'])} at step {training['best_step']}, "
        f"final {number(training['final_mse'])}",
        f"heads on the boundary of Ω_ρ at the end: {fractions}",
        f"largest ‖∇R̂‖ {number(gradient['training']['loss_gradient_norm_max'])}",
    ]
    if "reach" in gradient:  # records of earlier versions have none
        reach = ", ".join(f"{b} {r:.3g}" for b, r in gradient["reach"].items())
        facts.insert(2, f"farthest any head went, in units of 1/√m: {reach}")
    if "min_validation_mse" in training:
        facts.append(f"minimum validation MSE {number(training['min_validation_mse'])}")
    for line in [*facts, *reasons, *data["notes"]]:
        console.print(Text("  · " + line), highlight=False)


LEVELS = ("closed-form", "a-priori", "a-posteriori", "estimate")
MEASURED = {  # what a certificate's term is compared with: probe → statistic, the first there is
    "linearization": ("linearization", {"worst": "max", "trajectory": "max"}),
    "approximation": ("approximation", {"transported": "max"}),
    "change_of_feature": ("change_of_feature", {"worst": "max", "trajectory": "max"}),
    "feature_norm": ("gradient", {"training": "feature_norm_max"}),
    "training_rmse": ("optimization", {"training": "min_rmse"}),
}


def print_levels(console: Console, data: Mapping[str, Any]) -> None:
    """Every certificate of a run.json, a row per term and a column per level; the last is measured.

    An estimate is in parentheses: it is not proved.
    """
    values = {(row["term"], row["level"]): row["value"] for row in data["certificates"]}
    if not values:
        return
    shown = [level for level in LEVELS if any(found == level for _, found in values)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("proved bound", no_wrap=True)
    for name in (*shown, "measured"):
        table.add_column(name, justify="right", no_wrap=True)
    for term, (group, probes) in MEASURED.items():
        cells = []
        for level in shown:
            text = number(values.get((term, level)))
            cells.append(f"({text})" if level == "estimate" and text != "–" else text)
        found = data["terms"].get(group, {})
        measured = [found[p][s] for p, s in probes.items() if p in found]
        table.add_row(term, *cells, number(measured[0] if measured else None))
    console.print()
    console.print(table)


def headline(config: Mapping[str, Any]) -> str:
    """One line naming the run."""
    names = ("m", "tau", "n", "T", "d")
    sizes = "  ".join(f"{'τ' if name == 'tau' else name} = {config[name]}" for name in names)
    query = "" if config["query"] is None else f"query {config['query']}"
    lag = f"lag {config['lag']}, positions {config['positions']}" if config.get("lag") else ""
    parts = [config["task"], lag, config["transport"], config["activation"], query]
    if config.get("omega") is not None:
        parts.insert(0, f"{config['model']} ω = {config['omega']:g}")
    radii = " ".join(f"ρ_{b} = {r:g}" for b, r in config["rho"].items())
    what = ", ".join(part for part in parts if part)
    how = f"{config['method']}, η = {config['eta']:.3g}, {radii}, seed {config['seed']}"
    return f"{sizes}\n{what}, {how}"


def print_verification(console: Console, identifier: str, rows: list[Any]) -> None:
    """What ``verify`` recomputed, beside what the record says."""
    console.print(identifier, style="bold", highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("quantity", no_wrap=True)
    for name in ("recorded", "recomputed", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for row in rows:
        table.add_row(
            row.quantity,
            f"{row.recorded:.8g}",
            f"{row.recomputed:.8g}",
            f"{row.difference:.1e}",
            Text("agrees", style="green") if row.agrees else Text("differs", style="bold red"),
        )
    console.print(table)
