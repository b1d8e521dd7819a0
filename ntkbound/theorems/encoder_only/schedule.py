"""Which runs train together."""

from __future__ import annotations

from ntkbound.core.config import digest
from ntkbound.theorems.encoder_only.config import Config

# What runs that train together may differ in: seeds, and the size of the step. An initialisation
# sets τ1, so that it is none of these.
OWN_FIELDS = frozenset({"seed", "data_seed", "init_seed", "gamma", "gamma_of", "hessian"})

# N·ds·dm up to which runs spend their time in calls rather than in arithmetic.
SMALL = 1 << 18


def small(N: int, ds: int, dm: int) -> bool:
    """Whether runs of these sizes are better several at a time."""
    return N * ds * dm <= SMALL


def together(config: Config) -> str | None:
    """Equal for runs that share one descent; None where a run is better alone."""
    if config.images or not small(config.sizes.N, config.sizes.ds, config.sizes.dm):
        return None
    return digest(config.model_dump(exclude=set(OWN_FIELDS)))
