"""On the convergence of encoder-only shallow Transformers, arXiv 2311.01575.

``statement`` is the theorem as a page; ``problem`` has the nouns of a run, ``tasks`` and
``initial`` what it starts from, ``model`` loss and gradient, ``descent`` the training, ``tangent``
the kernel; ``measure``, ``bounds`` and ``audit`` put one beside the other.
"""

from ntkbound.core.theorem import Command, Theorem, deferred
from ntkbound.theorems.encoder_only import schedule, show, statement
from ntkbound.theorems.encoder_only.config import Config
from ntkbound.theorems.encoder_only.presets import PRESETS
from ntkbound.theorems.encoder_only.statement import CERTIFIED, CLAIMS, QUANTITIES, needs

THEOREM = Theorem(
    name="encoder-only",
    source="Wu, Liu, Chrysos, Cevher: On the convergence of encoder-only shallow Transformers, "
    "arXiv 2311.01575",
    version=1,
    config=Config,
    quantities=QUANTITIES,
    claims=CLAIMS,
    statement=statement.__doc__ or "",
    needs=needs,
    run=deferred(f"{__name__}.run", "run"),
    uses=frozenset({"threads", "ranks"}),
    prepare=deferred(f"{__name__}.run", "prepare"),
    run_together=deferred(f"{__name__}.run", "run_together"),
    together=schedule.together,
    verify=deferred(f"{__name__}.verify", "verify"),
    cost=show.cost,
    headline=show.headline,
    facts=show.facts,
    prefix=show.prefix,
    axes=("dm", "N", "ds", "d", "gamma", "tau"),
    symbols={"step": "t", "tau": "T", "dm": "d_m", "ds": "d_s", "gamma": "γ"},
    certified=CERTIFIED,
    presets=PRESETS,
    studies=f"{__name__}.studies",
    commands=(
        Command(
            "audit",
            f"{__name__}.audit_command",
            "ntkbound audit --theorem encoder-only --dm 512 --N 20 --ds 4 --d 30 --loss sum",
        ),
        Command("bench", f"{__name__}.bench_command", "ntkbound bench --theorem encoder-only"),
    ),
)
