"""The approximation error by exchangeability: a proof without ranges, moments or constants.

The N = m/2 pairs of φ_0 and K further heads, drawn apart, are independent and alike. Given which
N + K values g = ⟨v(θ), ∇h(X_j; θ)⟩ occurred, the student's N are a uniformly random choice among
them without replacement, so (Hoeffding 1963, Theorem 4) with ḡ the mean of all and any λ > 0 that
depends on the N + K values only,

    P( mean_N g − ḡ ≥ ε ) ≤ exp( −N [ λε − log mean_{N+K} e^{λ(g − ḡ)} ] ).

Now mean_N g − mean_K g = (1 + N/K)(mean_N g − ḡ), and mean_K g − y_j is simply evaluated. Hence,
with probability at least 1 − δ, for all n samples at once,

    |f_lin(X_j; φ̃) − y_j| ≤ |mean_K g − y_j| + (1 + N/K) min_λ [ log mean e^{±λ(g−ḡ)} + L/N ]/λ,

L = log(2n/δ). Labels, inputs and map must not depend on either set of heads (docs/certificates.md
§4).

The price of the proof is the factor 1 + N/K. Without it the same expression is Chernoff's bound
with a sampled moment generating function: an estimate, which nothing proves.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ntkbound.heads.model import HeadModel, Inputs, Params, fresh_heads, slice_heads
from ntkbound.heads.sums import measured
from ntkbound.heads.transport import TransportMap
from ntkbound.machine.parallel import partition, side_by_side
from ntkbound.theorems.shallow_transformer.config import known
from ntkbound.theorems.shallow_transformer.start import Start

FRESH = 2048  # K
CHUNK = 256
ELEMENTS = 1 << 16  # sample × head values of a block: a few arrays fit in L2
STEPS = 12  # λ = 1/8, …, 12/8 of its Gaussian optimum √(2L/N)/sd


def approximation_bound(
    start: Start, transported: Params, mapping: TransportMap
) -> tuple[Tensor, Tensor]:
    """Bound on |f_lin(X_j; φ̃) − y_j|, (n,): all hold at once with probability ≥ 1 − δ.

    Beside it the estimate, (n,), which is below it and proves nothing. φ̃ = ``transported`` is
    where ``mapping`` moves φ_0.

    φ_0 is symmetric and the map's integrand does not depend on c (``TransportMap``), so one value
    stands for a pair.
    """
    model, initial, inputs, workers = start.model, start.initial, start.task.inputs, start.workers
    y, seed = start.task.y, known(start.config.init_seed, "init_seed")
    held = initial[model.output_block].shape[0] // 2  # pairs, of which the first heads are taken
    pairs = workers.ranks.total(held)
    near, far = (slice_heads(p, slice(0, held), model) for p in (initial, transported))

    def own(heads: slice) -> tuple[Params, Params]:
        theta, moved = measured(near, heads, model), measured(far, heads, model)
        return theta, {b: math.sqrt(2 * pairs) * (moved[b] - theta[b]) for b in theta}

    others = fresh_heads(model, seed, 0, FRESH, torch.float64, "certificate")
    toward = mapping(others)

    def drawn(heads: slice) -> tuple[Params, Params]:
        return slice_heads(others, heads, model), slice_heads(toward, heads, model)

    log_term = math.log(2 * inputs.n / start.config.delta)

    def block(rows: slice) -> Tensor:
        sample = inputs.rows(rows)
        student = workers.ranks.join(_values(model, own, held, sample))
        fresh = _values(model, drawn, FRESH, sample)
        gap = (fresh.mean(1) - y[rows]).abs()
        chance = deviation(student, fresh, log_term)
        return torch.stack([gap + (1 + pairs / FRESH) * chance, gap + chance])

    size = max(1, ELEMENTS // (FRESH + pairs))
    blocks = partition(inputs.n, size)
    # Ranks meet in every block, so all must take them in the same order.
    found = map(block, blocks) if workers.ranks.count > 1 else workers.map(block, blocks)
    bound, estimate = side_by_side(found, blocks)
    return bound, estimate


def _values(
    model: HeadModel, at: Callable[[slice], tuple[Params, Params]], count: int, inputs: Inputs
) -> Tensor:
    """⟨v(θ_i), ∇h(X_j; θ_i)⟩, (n, count), of heads (θ, v) = ``at(slice)``, a few at a time."""
    rows = partition(inputs.n, max(1, (1 << 16) // (CHUNK * inputs.T)))
    values = torch.empty(inputs.n, count, dtype=torch.float64)
    for heads in partition(count, CHUNK):
        theta, v = at(heads)
        for row in rows:
            values[row, heads] = model.jvp(theta, v, inputs.rows(row))[1]
    return values


def deviation(student: Tensor, fresh: Tensor, log_term: float) -> Tensor:
    """ε_j with P(|mean of ``student`` − mean of all| ≥ ε_j for some j) ≤ 2n e^{−log_term}.

    ``student`` (n, N), ``fresh`` (n, K). Only the values together choose λ, never which of them
    are the student's.
    """
    N = student.shape[1]
    pool = torch.cat([student, fresh], dim=1)
    pool = pool - pool.mean(1, keepdim=True)
    spread = pool.square().mean(1, keepdim=True).sqrt()
    budget = log_term / N
    tiny = torch.finfo(pool.dtype).tiny
    step = math.sqrt(2 * budget) / spread.clamp(min=tiny) / 8
    once = torch.exp(step * pool)  # an overflow is infinite, and that λ of no use
    best = torch.full_like(spread[:, 0], math.inf)
    for sign in (once, 1 / once):
        power = torch.ones_like(sign)
        smallest = torch.full_like(best, math.inf)
        for k in range(1, STEPS + 1):
            power = power * sign
            found = (torch.log(power.mean(1)) + budget) / (k * step[:, 0])
            smallest = torch.minimum(smallest, found)
        best = smallest if sign is once else torch.maximum(best, smallest)
    return torch.where(spread[:, 0] > 0, best, 0.0)
