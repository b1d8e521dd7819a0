"""Explicit bounds: any exceedance of a sure one, more than δ explains of a probable one."""

from dataclasses import replace

from ntkbound.core.outcome import Check
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools
from ntkbound.stats import check, judge_bounds
from ntkbound.theorems import least_squares
from tests.support.synthetic import OTHER, PLANTED, records, registered


def one(run, **more):
    """The run with one check: measured 0.5 against a sure bound of 1 unless told otherwise."""
    fields = {"measured": 0.5, "bound": 1.0, "delta": 0.0, "verdict": "holds", **more}
    row = Check("term", "worst", "max", slack=None, reason="", **fields)
    return replace(run, checks=(row,))


def runs(over: int, seeds: int = 10, delta: float | None = 0.05, widths: int = 1):
    """Records with one check each; the first `over` seeds exceed the bound at every width."""
    found = records(lambda x: 1.0, points=tuple(16 * 2**i for i in range(widths)), seeds=seeds)
    return [
        one(run, measured=2.0 if run.config["seed"] < over else 0.5, delta=delta) for run in found
    ]


def descents() -> list[Record]:
    """Two runs of gradient descent on least squares at three numbers of steps."""
    theorem = least_squares.THEOREM
    configs = [
        least_squares.LeastSquares(n=12, d=3, steps=steps, seed=seed)
        for steps in (4, 8, 16)
        for seed in range(2)
    ]
    outcomes = [theorem.run(config, Tools(Workers(1))) for config in configs]
    return [
        Record(f"{c.steps}-{c.seed}", theorem.name, 1, c.model_dump(), o.terms, checks=o.checks)
        for c, o in zip(configs, outcomes, strict=True)
    ]


def judged(*args, **more):
    (found,) = judge_bounds(runs(*args, **more))
    return found


def test_sure_bound_allows_no_exceedance():
    assert judged(0, delta=0.0).verdict == "holds"
    assert judged(0).slack == 2.0
    found = judged(1, delta=0.0)
    assert found.verdict == "bound-violated" and "m16-s0" in found.reason
    assert check(runs(1, delta=0.0), []).verdict == "violated"


def test_probable_bound_allows_what_delta_explains():
    assert judged(1).verdict == "holds"  # P(Bin(10, 0.05) ≥ 1) = 0.40
    assert judged(3).verdict == "inconclusive"  # 0.0115
    found = judged(4)  # 0.00103
    assert found.verdict == "bound-violated" and found.exceeded == 4
    assert round(found.p, 5) == 0.00103


def test_one_unlucky_seed_at_every_width_is_one_event():
    # A binomial over all 60 runs would call 6 of 60 (p = 0.08) and 12 of 60 (p = 4e-5) events.
    assert judged(1, widths=6).verdict == "holds"
    assert judged(2, widths=6).verdict == "holds"
    assert judged(5, widths=6).verdict == "bound-violated"


def test_an_estimate_proves_nothing():
    assert judged(0, delta=None).verdict == "holds"
    found = judged(10, delta=None)
    assert found.verdict == "inconclusive" and "estimate" in found.reason
    assert found.delta is None and check(runs(10, delta=None), []).verdict == "inconclusive"


def test_every_check_has_its_own_delta():
    """The same exceedances: an event at δ = 0.05, none at δ = 0.5."""
    assert judged(4, delta=0.05).verdict == "bound-violated"
    assert judged(4, delta=0.5).verdict == "holds"


def test_bounds_of_one_statistic_are_told_apart_by_their_proof():
    (loose,), (close,) = (one(run).checks for run in runs(0, seeds=1) * 2)
    close = replace(close, bound=0.4, delta=0.3)
    both = [replace(run, checks=(loose, close)) for run in runs(0)]
    sure, probable = judge_bounds(both)
    assert (sure.delta, sure.verdict) == (0.0, "holds")
    assert (probable.delta, probable.verdict) == (0.3, "bound-violated")


def test_bounds_of_one_name_are_judged_theorem_by_theorem():
    """4 of 10 in one theorem's runs: an event. 4 of 20 in one cell would be none."""
    others = [replace(run, theorem=OTHER.name, id=f"o-{run.id}") for run in runs(0)]
    mixed = [run for pair in zip(runs(4), others, strict=True) for run in pair]
    found, other = judge_bounds(mixed)
    assert (found.theorem, found.verdict, found.runs) == (PLANTED.name, "bound-violated", 10)
    assert (other.theorem, other.verdict, other.runs) == (OTHER.name, "holds", 10)
    assert "m16-s0" in found.reason and "o-" not in found.reason
    assert [b.reason.split("; ")[-1] for b in (found, other)] == [
        "at theorem=planted",
        "at theorem=other",
    ]
    (found,) = judge_bounds(runs(4))
    assert "theorem" not in found.reason


def test_two_bounds_of_one_quantity_and_proof_are_two():
    """The second is exceeded in 2 of 10 runs, which δ explains; 2 of 20 never were counted."""
    both = [
        replace(loose, checks=(*loose.checks, *tight.checks))
        for loose, tight in zip(runs(0), runs(2), strict=True)
    ]
    loose, tight = judge_bounds(both)
    assert [(b.nth, b.runs, b.exceeded) for b in (loose, tight)] == [(1, 10, 0), (2, 10, 2)]
    assert tight.p == judged(2).p and loose.p == 1.0
    assert tight.reason.endswith("; bound 2 of 2")
    # A run that lacks the first has a row that says so: the other one stays the second.
    lacking = replace(both[0].checks[0], bound=None, delta=None, verdict="vacuous")
    both[0] = replace(both[0], checks=(lacking, both[0].checks[1]))
    assert [(b.nth, b.runs, b.exceeded) for b in judge_bounds(both)] == [(1, 9, 0), (2, 10, 2)]


def test_both_bounds_of_least_squares_are_judged():
    with registered(least_squares.THEOREM):
        found = judge_bounds(descents())
    assert [(b.nth, b.runs, b.verdict) for b in found] == [(1, 6, "holds"), (2, 6, "holds")]
    assert found[0].slack != found[1].slack


def test_rounding_vacuous_and_undefined():
    (run,) = runs(0, seeds=1)
    assert judge_bounds([one(run, measured=1.0 + 1e-13)])[0].verdict == "holds"
    absent = {"bound": None, "delta": None, "verdict": "vacuous"}
    assert judge_bounds([one(run, **absent)])[0].verdict == "vacuous"
    unmet = {"bound": 0.1, "verdict": "condition-not-met"}
    assert judge_bounds([one(run, **unmet)])[0].verdict == "condition-not-met"
    undefined = {"bound": None, "delta": None, "verdict": "not-defined"}
    rows = [one(run, **undefined), one(run, **undefined), one(run, **absent)]
    found = judge_bounds([replace(run, id=f"{i}") for i, run in enumerate(rows)])[0]
    assert found.verdict == "not-defined"
    assert found.reason == "no bound in 3 runs (2 not defined, 1 vacuous)"


def test_runs_without_the_bound_are_counted_beside_those_that_have_it():
    first, *others = runs(0)
    absent = {"bound": None, "delta": None, "verdict": "vacuous"}
    (found,) = judge_bounds([one(first, **absent), *others])
    assert (found.verdict, found.runs) == ("holds", 9)
    assert found.reason == "not exceeded in 9 runs; no bound in 1 more (1 vacuous)"


def test_rounding_is_that_of_the_declared_quantity():
    """Three times its bound, and tiny: rounding of an amplitude, not of a square."""
    (run,) = runs(0, seeds=1)
    amplitude, square = (
        replace(run, checks=(Check(*key, 3e-15, 1e-15, 0.0, 1 / 3, "holds", ""),))
        for key in (Key("gradient", "training", "size"), Key("gradient", "training", "square"))
    )
    assert judge_bounds([amplitude])[0].verdict == "holds"
    assert judge_bounds([square])[0].verdict == "bound-violated"
