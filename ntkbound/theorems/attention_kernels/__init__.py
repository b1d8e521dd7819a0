"""Softmax against Gaussian attention: global optimum or stationary point, arXiv 2411.07538.

``statement`` is the theorem as a page; ``problem`` makes inputs, labels and weights, ``kernels``
and ``own`` attention, ``descent`` (arithmetic in ``native``) trains; ``floors``, ``spectrum``,
``conditions`` and ``law`` are what is known beforehand; ``measure``, ``audit`` and ``bounds`` put
one beside the other.
"""

from ntkbound.core.theorem import Command, Theorem, deferred
from ntkbound.theorems.attention_kernels import show, statement
from ntkbound.theorems.attention_kernels.config import Config, follows
from ntkbound.theorems.attention_kernels.presets import PRESETS
from ntkbound.theorems.attention_kernels.statement import CERTIFIED, CLAIMS, QUANTITIES, needs

NAMED = "--theorem attention-kernels"

THEOREM = Theorem(
    name="attention-kernels",
    source="Song, Han, Zhang, Ding, Hong: Unraveling the Gradient Descent Dynamics of "
    "Transformers, arXiv 2411.07538",
    version=1,
    config=Config,
    quantities=QUANTITIES,
    claims=CLAIMS,
    statement=statement.__doc__ or "",
    needs=needs,
    run=deferred(f"{__name__}.run", "run"),
    prepare=deferred(f"{__name__}.run", "prepare"),
    run_together=deferred(f"{__name__}.run", "run_together"),
    together=deferred(f"{__name__}.run", "together"),
    verify=deferred(f"{__name__}.verify", "verify"),
    cost=show.cost,
    headline=show.headline,
    facts=show.facts,
    prefix=show.prefix,
    follows=follows,
    axes=("D", "H", "N", "n", "d", "epsilon", "sq", "student"),
    symbols={"step": "t", "tau": "T", "eta": "η", "epsilon": "ε"},
    certified=CERTIFIED,
    presets=PRESETS,
    studies=f"{__name__}.studies",
    commands=(
        Command("audit", f"{__name__}.audit_command", f"ntkbound audit {NAMED} --train V"),
        Command("bench", f"{__name__}.bench_command", f"ntkbound bench {NAMED}"),
    ),
)
