"""Presets: what they declare, and one line for every mistake in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntkbound.core.errors import InputError
from ntkbound.core.preset import load_preset

PRESETS = sorted((Path(__file__).parents[2] / "presets").rglob("*.toml"))
RUN = "[run]\nn = 16\nT = 2\nd = 2\nteacher_heads = 64\n"


def preset(folder: Path, text: str):
    path = folder / "p.toml"
    path.write_text(RUN + text, encoding="utf-8")
    return load_preset(path)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_shipped_preset_is_valid(path):
    loaded = load_preset(path)
    assert len(loaded.configs()) == len(loaded.grid) > 1 or path.stem == "smoke"
    seeds = {config.seed for config in loaded.configs()}
    assert len(seeds) == 10


def test_lists_ranges_and_geometric_ranges(tmp_path):
    found = preset(
        tmp_path,
        "[sweep]\nm = [2, 6]\nseed = {from = 0, to = 4, step = 2}\n"
        "tau = {from = 5, to = 20, factor = 2}",
    )
    configs = found.configs()
    assert [(c.m, c.seed, c.tau) for c in configs[:4]] == [
        (2, 0, 5), (2, 0, 10), (2, 0, 20), (2, 2, 5),
    ]  # fmt: skip
    assert len(configs) == 2 * 3 * 3


def test_zipped_axes_vary_together(tmp_path):
    found = preset(tmp_path, "[sweep]\nseed = [0, 1]\n[[sweep.zip]]\nm = [2, 4]\ntau = [10, 40]")
    assert sorted((c.m, c.tau, c.seed) for c in found.configs()) == [
        (2, 10, 0), (2, 10, 1), (4, 40, 0), (4, 40, 1),
    ]  # fmt: skip


def test_several_grids_share_their_common_run(tmp_path):
    found = preset(tmp_path, "m = 4\ntau = 10\n[[sweep]]\nm = [2, 4]\n[[sweep]]\ntau = [10, 20]")
    assert sorted((c.m, c.tau) for c in found.configs()) == [(2, 10), (4, 10), (4, 20)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sweep]\nmm = [1]", "unknown field 'mm'; did you mean 'm'?"),
        ("[swep]\nm = [2]", "unknown table 'swep'; did you mean 'sweep'?"),
        ("[sweep]\nm = 3", "m must be a list, {from, to, step} or {from, to, factor}"),
        ("[sweep]\nm = []", "m must be a list"),
        ("[sweep]\nm = {from = 2, to = 8, factor = 1}", "m must be a list"),
        ("[sweep]\nm = [2, 3]", "m: 3 is odd"),
        ("[[sweep.zip]]\nm = [2, 4]\ntau = [1]", "equal lengths (m has 2, tau has 1)"),
        ("[[claim]]\nterm = 'x'", "[[claim]] probe: field required"),
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


def test_a_base_seed_moves_every_seed(tmp_path):
    found = preset(tmp_path, "[sweep]\nm = [2, 4]\nseed = [0, 1]")
    assert sorted({config.seed for config in found.configs(base_seed=100)}) == [100, 101]
    assert not {c.identity() for c in found.configs()} & {c.identity() for c in found.configs(100)}
