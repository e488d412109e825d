"""How GM-GAN is trained: a game of two, then a classifier of what it draws."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.models.autoencoders.gmgan import MixtureGAN
from anabranch.procedures.clustering_task import ClusteringTask, Trained
from anabranch.procedures.games import make_game
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import CosineDecay, FitResult
from anabranch.training.adversarial import fit_adversarial

# Of the classifier, whose rows cost nothing and never come twice.
CLASSIFIER = {"max_epochs": 20, "learning_rate": 1e-3, "patience": None, "average": 0.0}
# Steps over which the generator is averaged, for it circles around where it would settle.
AVERAGE = 0.99


def fit_gmgan(
    model: MixtureGAN,
    x: Tensor,
    run: TrainingRun,
    *,
    loss: str = "nonsaturating",
    penalty: float | None = None,
    critic_steps: int = 1,
    n_drawn: int = 8000,
) -> FitResult:
    """Train generator and critic in turn, then the classifier on draws.

    Source: Ben-Yosef, Weinshall (2018), arXiv:1808.10356.

    Args:
        model: from the recipe `gmgan`.
        x: (N, D), standardised or in [0, 1], finite.
        run: its options are those of `anabranch.training.fit_adversarial`; ``average`` is 0.99
            where it is 0, and the learning rate falls by half a cosine. Its ``generator`` is the
            source of row order and draws. The classifier has a rate and epochs of its own.
        loss: "nonsaturating", or "wgan-gp", which needs several steps of the critic.
        penalty: weight of the critic's slopes; None for 0.5 in "nonsaturating", 10 in "wgan-gp".
        critic_steps: steps of the critic for one of the generator.
        n_drawn: rows per epoch of the classifier, drawn anew for each.

    Returns:
        What the game did; the last entry of its history has the ``classification`` loss in nats of
        other draws.

    Raises:
        ValueError: for another loss, numbers out of range, fewer rows than components, rows that
            are not finite, or options that `anabranch.training.fit_adversarial` has not.

    Warns:
        DivergedWarning: where steps were not finite again and again.

    Example:
        >>> from anabranch.models import gmgan
        >>> from anabranch.training import FitOptions
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> model = gmgan(3, 2, latent=2, hidden=[8], seed=0)
        >>> run = TrainingRun(FitOptions(max_epochs=2, batch_size=32))
        >>> fit_gmgan(model, x, run, n_drawn=64).steps
        4
    """
    options = run.options
    if len(x) < model.n_components:
        raise ValueError(f"x has {len(x)} rows, fewer than the {model.n_components} components")
    if n_drawn < 1:
        raise ValueError(f"n_drawn must be at least 1, got {n_drawn}")
    n_batches = max(1, len(x) // options.batch_size)
    steps = max(1, options.max_epochs * max(1, n_batches // critic_steps))
    result = fit_adversarial(
        lambda n, source: model.draw(n, source)[0],
        (nn.ModuleList([model.gaussians, model.decoder]), model.critic),
        x,
        game=make_game(loss, penalty),
        options=replace(options, average=options.average or AVERAGE),
        critic_steps=critic_steps,
        schedules=[CosineDecay(steps), *run.schedules],
        generator=run.generator,
    )
    entry = result.history[-1] if result.history else {"epoch": 0.0, "step": 0.0}
    # there is nothing to tell of one component
    several = model.n_components > 1
    error = _classify(model, run, n_drawn) if several else 0.0
    result.history[-1:] = [{**entry, "classification": error}]
    model.eval()
    return result


class _OnDraws(Objective):
    """The surprise of a classifier at the components of rows, in nats."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.model = classifier

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        error = cross_entropy(self.model(batch["x"]), batch["component"])
        return Loss(error, {"classification": error})


def _classify(model: MixtureGAN, run: TrainingRun, n: int) -> float:
    @torch.no_grad()
    def pairs() -> dict[str, Tensor]:
        x, components = model.draw(n, run.generator)
        return {"x": x, "component": components}

    data = pairs()

    def renew(epoch: int) -> None:
        for name, tensor in pairs().items():
            data[name].copy_(tensor)

    batch = {"batch_size": min(run.options.batch_size, n), "log_path": None, "tensorboard": None}
    own = TrainingRun(run.options, run.generator).with_options(**CLASSIFIER, **batch)
    return own.fit(_OnDraws(model.classifier), data, pairs(), on_epoch=renew).best_score


def cluster_by_gmgan(task: ClusteringTask, **how: Any) -> Trained:
    """The game from random networks; settings are those of `fit_gmgan`."""
    model, _ = task.build(MixtureGAN)
    return Trained(model, None, {"clusters": fit_gmgan(model, task.x, task.run(), **how)})
