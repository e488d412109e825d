"""How a variational autoencoder of any posterior and prior is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from anabranch.distributions import VampPrior
from anabranch.functional.numbers import (
    check_not_negative,
    check_sizes,
    check_whole,
)
from anabranch.models import FlowVariationalAutoencoder
from anabranch.models.specs import Spec
from anabranch.objectives import ImportanceBound
from anabranch.procedures.optimisation import Optimisation, run_identity, with_rate
from anabranch.procedures.training_run import LastState
from anabranch.training import Annealing, FitResult, Schedule, ScheduledBuffer, fit

LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Coders:
    """What encoder and decoder are, beside the sizes of their hidden layers.

    Attributes:
        context: numbers that the encoder tells the posterior of a row.
        activation: of the hidden layers.
    """

    context: int = 64
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_whole(self, ("context",), 1)


@dataclass(frozen=True)
class BoundOptions:
    """What is maximised, and what is told of the fit.

    Attributes:
        draws: of the code of a row in training; one for the evidence lower bound.
        free_bits: nats of the divergence of a row that cost nothing in training.
        warm_up: share of the epochs in which the divergence gains its weight.
        score_draws: of the code of a row in scores.
    """

    draws: int = 1
    free_bits: float = 0.0
    warm_up: float = 0.0
    score_draws: int = 100

    def __post_init__(self) -> None:
        check_whole(self, ("draws", "score_draws"), 1)
        check_not_negative(self, ("free_bits", "warm_up"))
        if self.warm_up > 1:
            raise ValueError(f"warm_up must be a share in 0..1, got {self.warm_up}")
        if self.free_bits and self.draws > 1:
            raise ValueError(f"free_bits go with one draw, got draws={self.draws}")


@dataclass(frozen=True, kw_only=True)
class FlowVAEOptions:
    """The settings of a fit.

    Attributes:
        optimisation: how the loop runs.
        latent: J.
        posterior: name or recipe of q(z|x).
        prior: name or recipe of p(z).
        likelihood: "gaussian" or "bernoulli".
        hidden: hidden sizes of the encoder.
        model_options: of the coders.
        objective: the bound.

    Raises:
        ValueError: naming the setting, what was given and what was expected.
    """

    optimisation: Optimisation
    latent: int = 10
    posterior: Spec = "iaf"
    prior: Spec = "normal"
    likelihood: str = "gaussian"
    hidden: Sequence[int] = (500, 500)
    model_options: Coders = field(default_factory=Coders)
    objective: BoundOptions = field(default_factory=BoundOptions)

    def __post_init__(self) -> None:
        check_whole(self, ("latent",), 1)
        check_sizes("hidden", self.hidden, empty=True)

    def recipe(self, n_features: int) -> Mapping[str, object]:
        """The arguments of `anabranch.models.flow_vae`."""
        return {
            "features": n_features,
            "latent": int(self.latent),
            "posterior": self.posterior,
            "prior": self.prior,
            "likelihood": self.likelihood,
            "hidden": [int(size) for size in self.hidden],
            "context": int(self.model_options.context),
            "activation": self.model_options.activation,
        }


def fit_flow_vae(
    model: FlowVariationalAutoencoder,
    x: Tensor,
    held_out: Tensor,
    how: FlowVAEOptions,
    *,
    seed: int,
    resume: bool = False,
) -> FitResult:
    """Maximise the bound, and leave the model at its best state, or its last.

    The learned rows of a VampPrior begin at rows of the data.

    Args:
        model: fresh; changed in place.
        x: rows (N, D), where the model is.
        held_out: rows that judge.
        how: settings.
        seed: of the order of rows, and of the draws.
        resume: go on from the checkpoint.

    Returns:
        What the fit did; its best score is minus the bound of the rows that judge.

    Example:
        >>> from anabranch.models import flow_vae
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> how = FlowVAEOptions(optimisation=Optimisation(max_epochs=2, verbose=0))
        >>> model = flow_vae(3, latent=2, hidden=[8], posterior="planar", seed=0)
        >>> fit_flow_vae(model, x, x[:16], how, seed=0).steps
        8
    """
    bound, optimisation = how.objective, how.optimisation
    if isinstance(model.prior, VampPrior):
        start = torch.Generator().manual_seed(seed)
        order = torch.randint(len(x), (len(model.prior.rows),), generator=start)
        model.prior.set_rows(x[order.to(x.device)])
    objective = ImportanceBound(model, n_draws=bound.draws, free_bits=bound.free_bits)
    objective = objective.to(x.device)
    options = optimisation.options(
        len(x), least_batch=16, learning_rate=optimisation.rate(LEARNING_RATE)
    )
    options, rate = with_rate(options, len(x))
    schedules: list[Schedule] = [rate]
    if bound.warm_up:
        steps = len(x) // options.batch_size * max(1, options.max_epochs)
        schedules.append(
            ScheduledBuffer("beta", objective.beta, Annealing(max(1.0, bound.warm_up * steps)))
        )
    last = LastState(model) if optimisation.keep == "last" else None
    result = fit(
        objective,
        {"x": x},
        {"x": held_out},
        options=options,
        schedules=schedules if last is None else [*schedules, last],
        generator=torch.Generator().manual_seed(seed),
        noise=torch.Generator(x.device).manual_seed(seed),
        resume=resume and options.checkpoint is not None and Path(options.checkpoint).exists(),
        identity=run_identity(optimisation, model, options),
        stage="train",
    )
    if last is not None:
        last.restore(result)
    return result
