"""More seeds of a preset: which runs are added, and which presets cannot have any."""

from __future__ import annotations

import pytest

from ntkbound.core.errors import InputError
from ntkbound.core.growing import seeds_of, with_seeds
from ntkbound.core.preset import parse_preset

RUN = {"theorem": "least-squares", "n": 12, "d": 3}
TRANSFORMER = {"m": 8, "n": 4, "T": 2, "d": 2, "tau": 1}


def preset(sweep, run=RUN):
    return parse_preset({"run": run, "sweep": sweep}, "p.toml", "p")


def seeds(grown, **where):
    return [
        config.seed
        for config in grown.configs()
        if all(getattr(config, name) == value for name, value in where.items())
    ]


def test_the_seed_axis_goes_on_at_every_point():
    given = preset({"steps": [4, 8], "seed": [3, 5]})
    grown = with_seeds(given, 4)
    assert seeds_of(given) == 2
    assert seeds_of(grown) == 4
    assert seeds(grown, steps=4) == seeds(grown, steps=8) == [3, 5, 6, 7]
    assert grown.grid[: len(given.grid)] == given.grid
    assert [config.seed for config in grown.configs(10)][-1] == 17


def test_the_seeds_it_has_leave_a_preset_as_it_is():
    given = preset({"steps": [4, 8], "seed": [3, 5]})
    assert with_seeds(given, 2) == given


def test_without_a_seed_axis_there_is_one_seed():
    for run, first in ((RUN, 0), (RUN | {"seed": 7}, 7)):
        given = preset({"steps": [4, 8]}, run)
        assert seeds_of(given) == 1
        assert seeds(with_seeds(given, 3), steps=8) == [first, first + 1, first + 2]


def test_several_grids_grow_alike():
    given = preset([{"steps": [4], "seed": [0, 1, 2]}, {"steps": [8], "seed": [0, 1]}])
    grown = with_seeds(given, 4)
    assert (len(seeds(grown, steps=4)), len(seeds(grown, steps=8))) == (4, 3)


def test_another_seed_of_the_theorem_may_be_the_axis():
    given = preset({"m": [8, 16], "init_seed": [0, 1]}, TRANSFORMER | {"seed": 5})
    grown = with_seeds(given, 3)
    found = {(config.m, config.seed, config.init_seed) for config in grown.configs()}
    assert {(m, 5, 2) for m in (8, 16)} <= found
    assert len(found) == 6


def test_zipped_seeds_go_on_together():
    given = preset({"m": [8], "zip": [{"seed": [0, 1], "init_seed": [4, 6]}]}, TRANSFORMER)
    last = with_seeds(given, 3).configs()[-1]
    assert (last.seed, last.init_seed) == (2, 7)


def test_two_seed_axes_are_refused():
    given = preset({"m": [8], "seed": [0, 1], "init_seed": [0, 1]}, TRANSFORMER)
    with pytest.raises(InputError, match=r"p.toml: \w+ repeats: seeds are added to a single axis"):
        seeds_of(given)
