"""Presets: what they declare, where they are found, and one line for every mistake in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntkbound.core.errors import InputError
from ntkbound.core.preset import load_preset, preset_names
from ntkbound.core.registry import find, theorems
from tests.support import planted_squares

FOLDER = Path(__file__).parents[2] / "presets"
PRESETS = sorted(FOLDER.rglob("*.toml"))
CLAIM = (
    "[[claim]]\nterm = '{}'\nprobe = '{}'\nstatistic = '{}'\naxis = '{}'\nkind = 'upper'\n"
    "exponent = 0"
)
AXIS = CLAIM.format("error", "training", "rmse", "{}")
RUN = '[run]\ntheorem = "planted-squares"\nn = 16\n'


@pytest.fixture(autouse=True)
def theorem(tmp_path_factory):
    """A theorem with fields n, d and steps."""
    with planted_squares.planted(tmp_path_factory.mktemp("theorem")):
        yield


def preset(folder: Path, text: str):
    path = folder / "p.toml"
    path.write_text(RUN + text, encoding="utf-8")
    return load_preset(path)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_shipped_preset_is_valid(path):
    loaded = load_preset(path)
    configs = loaded.configs()
    assert len(configs) > 1
    assert len(configs) == len(loaded.grid) or path == FOLDER / "smoke.toml"
    published = path.parent.name == "paper" or path.stem == "smoke"
    assert len({config.seed for config in configs}) >= (10 if published else 3)


# Names.


def test_every_shipped_preset_has_a_name_and_a_title():
    names = preset_names()
    shipped = {path.relative_to(FOLDER).with_suffix("").as_posix() for path in PRESETS}
    own = {f"{name}/{preset}" for name, one in theorems().items() for preset in one.presets}
    assert {"planted-squares/smoke/descent", "least-squares/smoke"} <= own
    assert set(names) == shipped | own
    assert names["planted-squares/smoke/descent"] == "error against steps"
    assert list(names)[-1] == "planted-squares/smoke/descent"


@pytest.mark.parametrize("name", ["smoke", "width", "paper/width", "smoke/width"])
def test_a_name_is_the_file_of_that_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_preset(name).grid == load_preset(FOLDER / f"{name}.toml").grid


def test_a_preset_of_a_theorem_implies_it():
    found = load_preset("planted-squares/smoke/descent")
    assert found.fixed == {"theorem": "planted-squares", "n": 16, "d": 2}
    assert {config.theorem for config in found.configs()} == {"planted-squares"}
    assert len(found.configs()) == 5 * 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smokey", "preset 'smokey' is unknown; did you mean 'smoke'?"),
        ("paper/widht", "preset 'paper/widht' is unknown; did you mean 'paper/width'?"),
        ("planted-squares/decent", "did you mean 'planted-squares/smoke/descent'?"),
        ("nowhere.toml", "nowhere.toml: cannot be read (No such file or directory)"),
    ],
)
def test_what_is_not_there_is_one_line_with_the_nearest(name, message):
    with pytest.raises(InputError) as caught:
        load_preset(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# Fields and grids.


def test_the_fields_are_those_of_the_theorem_named(tmp_path):
    (config,) = preset(tmp_path, "steps = 7").configs()
    assert (config.theorem, config.n, config.steps) == ("planted-squares", 16, 7)


def test_the_theorem_is_an_axis_like_any_other(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text('[sweep]\ntheorem = ["planted-squares", "shallow-transformer"]\nn = [16, 32]')
    configs = load_preset(path).configs()
    assert [(config.theorem, config.n) for config in configs] == [
        ("planted-squares", 16), ("planted-squares", 32),
        ("shallow-transformer", 16), ("shallow-transformer", 32),
    ]  # fmt: skip


def test_without_a_theorem_it_is_the_default_one(tmp_path):
    path = tmp_path / "none.toml"
    path.write_text("[run]\nm = 8")
    assert [config.theorem for config in load_preset(path).configs()] == ["shallow-transformer"]


def test_lists_ranges_and_geometric_ranges(tmp_path):
    found = preset(
        tmp_path,
        "[sweep]\nd = [2, 6]\nseed = {from = 0, to = 4, step = 2}\n"
        "steps = {from = 5, to = 20, factor = 2}",
    )
    configs = found.configs()
    assert [(c.d, c.seed, c.steps) for c in configs[:4]] == [
        (2, 0, 5), (2, 0, 10), (2, 0, 20), (2, 2, 5),
    ]  # fmt: skip
    assert len(configs) == 2 * 3 * 3


def test_zipped_axes_vary_together(tmp_path):
    found = preset(tmp_path, "[sweep]\nseed = [0, 1]\n[[sweep.zip]]\nd = [2, 4]\nsteps = [10, 40]")
    assert sorted((c.d, c.steps, c.seed) for c in found.configs()) == [
        (2, 10, 0), (2, 10, 1), (4, 40, 0), (4, 40, 1),
    ]  # fmt: skip


def test_several_grids_share_their_common_run(tmp_path):
    text = "d = 4\nsteps = 10\n[[sweep]]\nd = [2, 4]\n[[sweep]]\nsteps = [10, 20]"
    found = preset(tmp_path, text)
    assert sorted((c.d, c.steps) for c in found.configs()) == [(2, 10), (4, 10), (4, 20)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sweep]\nstep = [1]", "unknown field 'step'; did you mean 'steps'?"),
        ("step = 1", "unknown field 'step'; did you mean 'steps'?"),
        ("[swep]\nd = [2]", "unknown table 'swep'; did you mean 'sweep'?"),
        ("[sweep]\nd = 3", "d must be a list, {from, to, step} or {from, to, factor}"),
        ("[sweep]\nd = []", "d must be a list"),
        ("[sweep]\nd = {from = 2, to = 8, factor = 1}", "d must be a list"),
        ("[sweep]\nd = [2, 0]", "d: input should be greater than or equal to 1, not 0"),
        ('[sweep]\ntheorem = ["planted-sqares"]', "did you mean 'planted-squares'?"),
        ("[[sweep.zip]]\nd = [2, 4]\nsteps = [1]", "equal lengths (d has 2, steps has 1)"),
        ("[[claim]]\nterm = 'x'", "[[claim]] axis: field required"),
        (
            CLAIM.format("errors", "training", "rmse", "n"),
            "term: 'errors' is unknown; did you mean",
        ),
        (CLAIM.format("error", "train", "rmse", "n"), "probe: 'train' is unknown; did you mean"),
        (
            CLAIM.format("error", "training", "rms", "n"),
            "statistic: 'rms' is unknown; did",
        ),
        (
            AXIS.format("stepz"),
            "axis: 'stepz' is unknown; did",
        ),
        (AXIS.format("n/dd"), "axis: 'dd' is unknown"),
        (
            AXIS.format("n") + "\nwhere = {stepz = 1}",
            "where: 'stepz'",
        ),
        (
            "[sweep]\nd = [1, 2]\n" + AXIS.format("n"),
            "axis: 'n' does not vary here; varying: d",
        ),
        (
            "[[claim]]\nterms = 'x'",
            "[[claim]] terms: no such key of form 'rate'; did you mean 'term'?",
        ),
        ("sweep = [", "Invalid"),
    ],
)
def test_every_mistake_is_one_line_naming_the_file(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        preset(tmp_path, text)
    told = str(caught.value)
    assert message.lower() in told.lower()
    assert "p.toml" in told
    assert "\n" not in told


def test_a_base_seed_moves_every_seed_that_is_given(tmp_path):
    found = preset(tmp_path, "noise_seed = 3\n[sweep]\nd = [2, 4]\nseed = [0, 1]")
    moved = found.configs(base_seed=100)
    assert sorted({(c.seed, c.noise_seed) for c in moved}) == [(100, 103), (101, 103)]
    identity = find("planted-squares").identity
    assert not {identity(c) for c in found.configs()} & {identity(c) for c in moved}


def test_a_base_seed_leaves_seeds_alone_that_follow(tmp_path):
    (config,) = preset(tmp_path, "d = 2").configs(base_seed=100)
    assert (config.seed, config.noise_seed) == (100, None)


def test_an_axis_that_is_not_given_may_follow_from_another(tmp_path):
    text = "[sweep]\nd = [1, 2]\n" + AXIS.format("noise_seed")
    assert len(preset(tmp_path, text).claims) == 1


def test_claims_are_as_written(tmp_path):
    text = (
        "[[claim]]\nterm = 'error'\nprobe = 'training'\nstatistic = 'rmse'\naxis = 'n'\n"
        "kind = 'upper'\nexponent = 0\nlog_power = 0.5\nwhere = { d = 4 }"
    )
    (claim,) = preset(tmp_path, text).claims
    assert (claim.exponent, claim.log_power, claim.where) == (0, 0.5, {"d": 4})
    assert preset(tmp_path, "").claims == ()
