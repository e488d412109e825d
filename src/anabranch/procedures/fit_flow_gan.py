"""Flow-GAN: a flow as the generator of a game, with its likelihood beside."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.objectives import Likelihood
from anabranch.procedures.games import make_game
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import FitResult, Schedule, evaluate
from anabranch.training.adversarial import Game, fit_adversarial


def fit_flow_gan(
    flow: Distribution,
    critic: nn.Module,
    x: Tensor,
    run: TrainingRun,
    *,
    likelihood: float = 1.0,
    game: Game | str = "nonsaturating",
    critic_steps: int = 1,
    validation: Tensor | None = None,
    resume: bool = False,
) -> FitResult:
    r"""Train a flow by a critic of its draws and by the likelihood of rows, together.

    .. math:: \min_p \max_f\; V(p, f) - \lambda\, E_x \log p(x)

    With :math:`\lambda = 0` only draws count, and nothing keeps the density near the rows: sharp
    draws can go with a likelihood that is far worse than that of a Gaussian. As
    :math:`\lambda` grows it becomes maximum likelihood, which is `anabranch.training.fit` of a
    `Likelihood`.

    Source: Grover, Dhar, Ermon (2018), "Flow-GAN: combining maximum likelihood and adversarial
    learning in generative models", arXiv:1705.08868.

    Args:
        flow: any distribution whose draws have gradients and whose ``log_prob`` is known; of
            vectors, without context.
        critic: from rows (N, D) to values (N, 1), such as an `anabranch.networks.MLP`.
        x: (N, D), finite.
        run: its options are those of `anabranch.training.fit_adversarial`; its ``generator`` is the
            source of row order and draws.
        likelihood: :math:`\lambda`, of nats.
        game: V, by the names of `anabranch.procedures.games.make_game`, "nonsaturating" or
            "wgan-gp", which needs several steps of the critic; or a `Game`.
        critic_steps: steps of the critic for one of the flow.
        validation: (M, D) rows held out, whose negative log-likelihood is noted in the history as
            ``validation_nll``; the last state is kept, whatever it is.
        resume: continue from the checkpoint of the run's options.

    Returns:
        What the game did.

    Raises:
        ValueError: for a likelihood below zero or not finite, another game, or what
            `anabranch.training.fit_adversarial` refuses.

    Warns:
        DivergedWarning: where steps were not finite again and again.

    Example:
        >>> import torch
        >>> from anabranch.models import realnvp
        >>> from anabranch.networks import MLP
        >>> from anabranch.training import FitOptions
        >>> x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
        >>> run = TrainingRun(FitOptions(max_epochs=2, batch_size=32, progress=False))
        >>> result = fit_flow_gan(realnvp(2, seed=0), MLP(2, 1), x, run, validation=x[:9])
        >>> result.steps, "validation_nll" in result.history[-1]
        (4, True)
    """
    if not 0 <= likelihood < math.inf:
        raise ValueError(f"likelihood must be a number not below zero, got {likelihood}")
    if not resume:
        flow.initialize(x)
    rules = make_game(game) if isinstance(game, str) else game
    held_out = [] if validation is None else [HeldOut(flow, validation)]
    return fit_adversarial(
        lambda n, source: flow.rsample(n, generator=source),
        (flow, critic),
        x,
        game=rules if likelihood == 0 else rules._replace(rows=Surprise(flow, likelihood)),
        options=run.options,
        critic_steps=critic_steps,
        schedules=[*held_out, *run.schedules],
        generator=run.generator,
        resume=resume,
        identity={"likelihood": likelihood},
    )


class Surprise:
    """The weighted negative log-likelihood of rows, in nats.

    Args:
        flow: whose.
        weight: of it.
    """

    def __init__(self, flow: Distribution, weight: float) -> None:
        self.flow, self.weight = flow, weight

    def __call__(self, x: Tensor) -> Tensor:
        """Of the mean of rows (N, D)."""
        return -self.weight * self.flow.log_prob(x).mean()


class HeldOut(Schedule):
    """Notes the negative log-likelihood of rows held out at each evaluation, and changes nothing.

    Args:
        flow: whose.
        x: the rows.
    """

    name = "validation_nll"

    def __init__(self, flow: Distribution, x: Tensor) -> None:
        self.objective, self.x = Likelihood(flow), x

    @property
    def value(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What it is now, in nats."""
        return evaluate(self.objective, {"x": self.x}, len(self.x))["nll"]

    def state_dict(self) -> dict[str, Any]:
        """Nothing: it is a function of the flow."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to restore."""
