"""The registry: files that are no theorem are told when asked for, and stop nothing else."""

from __future__ import annotations

import pytest

from ntkbound.core.errors import InputError
from ntkbound.core.registry import broken, configure, find, known, names, theorems

SHIPPED = names()
GOOD = "from dataclasses import replace\nfrom ntkbound.theorems.least_squares import THEOREM\n"
FAULTS = {
    "does-not-import": (
        "import no_such_module_of_ours",
        "does_not_import.py, line 1: ModuleNotFoundError: No",
    ),
    "raises-late": ("x = 1\n1 / 0", "raises_late.py, line 2: ZeroDivisionError: division by zero"),
    "does-not-parse": ("def (", "does_not_parse.py, line 1: SyntaxError: invalid syntax"),
    "declares-nothing": ("x = 1", "its module defines no THEOREM"),
    "declares-another": ("THEOREM = 3", "its module defines no THEOREM"),
    "goes-by-another-name": (GOOD, "its THEOREM is called 'least-squares'; the name follows"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_file_that_is_no_theorem_is_told_where_it_is_asked_for(plant, name):
    text, reason = FAULTS[name]
    plant(name, text)
    with pytest.raises(InputError) as caught:
        find(name)
    assert f"theorem: {name!r} cannot be loaded: {reason}" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=rf"p\.toml: theorem: '{name}' cannot be loaded"):
        configure({"theorem": name}, "p.toml")
    assert known(name) is None
    assert list(broken()) == [name]
    assert reason in broken()[name]
    assert list(theorems()) == SHIPPED


def test_a_whole_theorem_is_found_by_the_name_of_its_module(plant):
    config = "create_model('C', __base__=THEOREM.config, theorem=(str, 'as-good'))"
    text = f"{GOOD}from pydantic import create_model\n"
    plant("as-good", f"{text}THEOREM = replace(THEOREM, name='as-good', config={config})")
    assert find("as-good").name == "as-good"
    assert broken() == {}
    assert "as-good" in theorems()


def test_modules_of_one_underscore_are_no_theorems(plant):
    plant("_shared", "raise AssertionError('never imported')")
    assert names() == SHIPPED
    with pytest.raises(InputError, match="'_shared' is unknown"):
        find("_shared")
