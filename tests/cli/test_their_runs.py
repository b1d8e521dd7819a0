"""The example of a training script that is not ours: its runs, judged by its claims."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "their_runs"


def test_their_runs_are_judged_as_they_claim(command, folder):
    subprocess.run([sys.executable, EXAMPLE / "train.py", "runs"], cwd=folder, check=True)
    assert "ntkbound" not in (EXAMPLE / "train.py").read_text("utf-8").split('"""')[2]
    check = ("check", "runs", "--pattern", "**/metrics.csv", "--claims", "claims.toml", "--json")
    claims = (EXAMPLE / "claims.toml").read_text("utf-8")
    for text, expected in ((claims, 0), (claims.replace("exponent = 0\n", "exponent = -0.5\n"), 1)):
        Path("claims.toml").write_text(text, encoding="utf-8")
        code, out, err = command(*check)
        fits = json.loads(out)["fits"]
        assert code == expected, fits
        assert {fit["form"] for fit in fits} == {"rate", "fraction", "order"}
        assert err.splitlines() == [
            "from the paths of 50 files: m, scaling, seed",
            "axis m, step, seed column seed, step column step, values distance, loss; "
            "arms: scaling",
        ]
