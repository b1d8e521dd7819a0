"""Explicit bounds: any exceedance of a sure one, more than δ explains of a probable one."""

from ntkbound.stats import check, judge_bounds
from tests.support.synthetic import records


def runs(over: int, seeds: int = 10, term: str = "approximation", widths: int = 1):
    """Records with one check each; the first `over` seeds exceed the bound at every width."""
    found = records(
        lambda x: 1.0, points=tuple(16 * 2**i for i in range(widths)), seeds=seeds, delta=0.05
    )
    for run in found:
        measured = 2.0 if run["config"]["seed"] < over else 0.5
        run["checks"] = [
            {
                "term": term,
                "probe": "worst",
                "statistic": "max",
                "measured": measured,
                "bound": 1.0,
                "verdict": "holds",
                "reason": "",
            }
        ]
    return found


def judged(*args, **more):
    (found,) = judge_bounds(runs(*args, **more))
    return found


def test_sure_bound_allows_no_exceedance():
    assert judged(0, term="linearization").verdict == "holds"
    assert judged(0).slack == 2.0
    found = judged(1, term="linearization")
    assert found.verdict == "bound-violated" and "m16-s0" in found.reason
    assert check(runs(1, term="linearization"), []).verdict == "violated"


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


def test_rounding_vacuous_and_undefined():
    run = runs(0, seeds=1)[0]
    run["checks"][0].update(term="linearization", measured=1.0 + 1e-13)
    assert judge_bounds([run])[0].verdict == "holds"
    run["checks"][0]["bound"] = None
    assert judge_bounds([run])[0].verdict == "vacuous"
    run["checks"][0].update(bound=0.1, verdict="condition-not-met")
    assert judge_bounds([run])[0].verdict == "vacuous"


def test_bounds_without_checks():
    run = records(lambda x: 1.0, points=(16,), seeds=1)[0]
    run["terms"] = {
        "linearization": {"worst": {"max": 2.0}, "random": {"max": 0.1}},
        "gradient": {"training": {"feature_norm_max": 1.0}},
    }
    run["bounds"] = {"linearization": 1.0, "feature_norm": 3.0, "optimization_mse": None}
    found = {(b.term, b.probe): b.verdict for b in judge_bounds([run])}
    assert found == {
        ("linearization", "worst"): "bound-violated",
        ("linearization", "random"): "holds",
        ("gradient", "training"): "holds",
    }
