"""Non-asymptotic convergence of training Transformers for next-token prediction, arXiv 2409.17335.

``statement`` is the theorem as a page; ``sentences``, ``tasks`` and ``text`` are what is trained
on, ``margin`` the directions that training should find, ``first`` and ``second`` the two stages;
``measure``, ``audit`` and ``bounds`` put one beside the other.
"""

from ntkbound.core.theorem import Command, Theorem, deferred
from ntkbound.theorems.next_token import schedule, show, statement
from ntkbound.theorems.next_token.config import Config, follows
from ntkbound.theorems.next_token.presets import PRESETS
from ntkbound.theorems.next_token.statement import CERTIFIED, CLAIMS, QUANTITIES, needs

THEOREM = Theorem(
    name="next-token",
    source="Huang, Liang, Yang: Non-asymptotic Convergence of Training Transformers for "
    "Next-token Prediction, arXiv 2409.17335",
    version=2,
    config=Config,
    quantities=QUANTITIES,
    claims=CLAIMS,
    statement=statement.__doc__ or "",
    needs=needs,
    run=deferred(f"{__name__}.run", "run"),
    prepare=deferred(f"{__name__}.tasks", "prepare"),
    verify=deferred(f"{__name__}.verify", "verify"),
    run_together=deferred(f"{__name__}.run", "run_together"),
    together=schedule.together,
    cost=schedule.cost,
    headline=show.headline,
    facts=show.facts,
    prefix=schedule.prefix,
    follows=follows,
    axes=("V", "tau", "T0", "eta"),
    symbols={"step": "t", "tau": "T_1", "T0": "T_0", "eta": "η", "eta0": "η_0"},
    certified=CERTIFIED,
    presets=PRESETS,
    studies=f"{__name__}.studies",
    commands=(
        Command(
            "audit", f"{__name__}.audit_command", "ntkbound audit --theorem next-token --tau 20000"
        ),
        Command("bench", f"{__name__}.bench_command", "ntkbound bench --theorem next-token"),
    ),
)
