"""A run before its first step, and after its last: the nouns that measuring and judging share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.indrnn import IndRNN
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import HeadModel, Params, symmetric_init, together
from ntkbound.heads.own import OwnHead
from ntkbound.heads.tasks.task import Task
from ntkbound.heads.terms.kernel_regression import with_computed_transport
from ntkbound.heads.terms.trajectory import RunTrajectory
from ntkbound.heads.training.descent import RunDescent
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.heads.transport import TransportMap, transported_parameters
from ntkbound.heads.written import WrittenHead
from ntkbound.machine.parallel import Workers
from ntkbound.theorems.shallow_transformer.config import Config, known
from ntkbound.theorems.shallow_transformer.problem import UNBOUNDED, Norms, Problem, Target


def build_model(config: Config) -> HeadModel:
    """The architecture of a config whose sizes are known.

    Raises InputError for a class of the user's own that cannot be used.
    """
    activation, d = ACTIVATIONS[config.activation], config.sizes.d
    if config.own_model:
        model = OwnHead(WrittenHead.of(config.model), d)
        model.check(config.sizes.T, getattr(torch, config.dtype))
        return model
    if config.omega is not None:
        return IndRNN(d, activation, config.omega)
    return ShallowTransformer(d, activation, fixed_query=config.query == "fixed")


@dataclass(frozen=True)
class Start:
    """Where the descent of a run starts, and where its theorem aims."""

    config: Config
    lin: Linearized  # the model at φ_0, on the samples it is trained on
    task: Task  # those samples
    transported: Params | None  # φ̃

    @property
    def model(self) -> HeadModel:
        return self.lin.model

    @property
    def initial(self) -> Params:
        """φ_0, float64 whatever the dtype that trains."""
        return self.lin.initial

    @property
    def dtype(self) -> torch.dtype:
        """In which R̂ and ∇R̂ are computed."""
        dtype: torch.dtype = getattr(torch, self.config.dtype)
        return dtype

    @property
    def workers(self) -> Workers:
        return self.lin.workers

    @cached_property
    def problem(self) -> Problem:
        """What the bounds depend on. Only for the theorem's own blocks: c, U and one more."""
        config, task = self.config, self.task
        target: Target = "unknown"
        if task.transport is not None:
            target = "drawn" if config.ridge is None else "computed"
        return Problem(
            n=task.inputs.n,
            m=config.m,
            d=task.inputs.X.shape[-1],
            T=task.inputs.T,
            activation=config.activation,
            rho=Norms.of(config.rho),
            nu=UNBOUNDED if task.transport is None else Norms.of(task.transport.nu),
            eta=self.step_size,
            tau=config.tau,
            delta=config.delta,
            label_heads=config.teacher_heads or 0,
            target=target,
            B_x=task.token_norm,
            B_q=task.query_norm,
        )

    @property
    def norms(self) -> np.ndarray:
        """u_i = ‖U_i(0)‖ of all heads of all ranks, (m,).

        Ranks meet here: not a cached property, whose lock would keep ranks in threads apart.
        """
        u: np.ndarray = self.workers.ranks.gather(self.initial["U"].norm(dim=1)).numpy()
        return u

    @property
    def projected(self) -> bool:
        """Whether the run is the theorem's algorithm: full-batch projected descent."""
        return self.config.method == "projgd"

    def contains(self, mapping: TransportMap) -> bool:
        """ν ≤ ρ, block by block: the map stays inside Ω_ρ."""
        return all(mapping.nu[block] <= rho for block, rho in self.config.rho.items())

    @property
    def step_size(self) -> float:
        """η."""
        return self.config.step_size

    @property
    def radii(self) -> dict[str, float]:
        """ρ/√m per block."""
        return self.config.radii


@dataclass(frozen=True)
class Joint:
    """Runs that share one descent: the same model, data and sizes. Parameters are (R, m, …)."""

    starts: tuple[Start, ...]

    @property
    def first(self) -> Start:
        """What the runs share is any one's."""
        return self.starts[0]

    @cached_property
    def lin(self) -> Linearized:
        """The shared model at every run's φ_0."""
        first = self.first
        initial = together(*(one.initial for one in self.starts))
        return Linearized(first.model, initial, first.task.inputs, first.workers)

    @cached_property
    def transported(self) -> Params | None:
        moved = [one.transported for one in self.starts if one.transported is not None]
        return together(*moved) if moved else None  # all or none


@dataclass(frozen=True)
class Trained:
    """A run after its descent."""

    start: Start
    descent: RunDescent
    trajectory: RunTrajectory


def start(config: Config, model: HeadModel, task: Task, workers: Workers) -> Start:
    """The training samples of ``task``, φ_0, and φ̃ where a transport map is known or computed."""
    train = task.rows(slice(0, config.n_train))
    seed = known(config.init_seed, "init_seed")
    initial = symmetric_init(model, config.m, seed, torch.float64, workers.ranks)
    lin, moved = Linearized(model, initial, train.inputs, workers), None
    if isinstance(model, OwnHead):
        model.check_at(lin)
    if config.ridge is not None:
        train, moved = with_computed_transport(lin, train, config.ridge)
    elif train.transport is not None:
        moved = transported_parameters(initial, train.transport, workers.ranks)
    return Start(config, lin, train, moved)


def no_transport(config: Config) -> str:
    """Why a run without transport map has none."""
    if config.task == "teacher":
        return (
            f"the teacher's transport map moves Transformer heads, not those of {config.model_name}"
        )
    return f"no transport map is known for task {config.task}"
