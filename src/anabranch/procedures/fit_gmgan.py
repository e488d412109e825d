"""How GM-GAN is trained: a game of two, then a classifier of what it draws."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from anabranch.models.autoencoders.mixture_gan import MixtureGAN
from anabranch.objectives import Loss
from anabranch.procedures.games import make_game
from anabranch.training import CosineDecay, FitOptions, FitResult, Schedule, fit
from anabranch.training.adversarial import fit_adversarial

# Of the classifier, whose rows cost nothing and never come twice.
CLASSIFIER = {"max_epochs": 20, "learning_rate": 1e-3, "patience": None, "average": 0.0}
# Steps over which the generator is averaged, for it circles around where it would settle.
AVERAGE = 0.99


def fit_gmgan(
    model: MixtureGAN,
    x: Tensor,
    *,
    options: FitOptions | None = None,
    loss: str = "nonsaturating",
    penalty: float | None = None,
    critic_steps: int = 1,
    n_drawn: int = 8000,
    schedules: Sequence[Schedule] = (),
    generator: torch.Generator | None = None,
) -> FitResult:
    """Train generator and critic in turn, then the classifier on draws.

    Source: Ben-Yosef, Weinshall (2018), arXiv:1808.10356.

    Args:
        model: from the recipe `gmgan`.
        x: (N, D), standardised or in [0, 1], finite.
        options: of `anabranch.training.fit_adversarial`; ``average`` is 0.99 where it is 0, and the
            learning rate falls by half a cosine. The classifier has its own rate and epochs.
        loss: "nonsaturating", or "wgan-gp", which needs several steps of the critic.
        penalty: weight of the critic's slopes; None for 0.5 in "nonsaturating", 10 in "wgan-gp".
        critic_steps: steps of the critic for one of the generator.
        n_drawn: rows per epoch of the classifier, drawn anew for each.
        schedules: further schedules of the game.
        generator: source of row order and draws, on the CPU.

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
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> model = gmgan(3, 2, latent=2, hidden=[8], seed=0)
        >>> options = FitOptions(max_epochs=2, batch_size=32)
        >>> fit_gmgan(model, x, options=options, n_drawn=64).steps
        4
    """
    options = options or FitOptions(max_epochs=100, batch_size=128, learning_rate=2e-3)
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
        schedules=[CosineDecay(steps), *schedules],
        generator=generator,
    )
    entry = result.history[-1] if result.history else {"epoch": 0.0, "step": 0.0}
    # there is nothing to tell of one component
    several = model.n_components > 1
    error = _classify(model, options, n_drawn, generator) if several else 0.0
    result.history[-1:] = [{**entry, "classification": error}]
    model.eval()
    return result


class _OnDraws(nn.Module):
    """The classifier alone, for the fit loop."""

    def __init__(self, classifier: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        error = cross_entropy(self.classifier(batch["x"]), batch["component"])
        return Loss(error, {})


def _classify(
    model: MixtureGAN, options: FitOptions, n: int, generator: torch.Generator | None
) -> float:
    @torch.no_grad()
    def pairs() -> dict[str, Tensor]:
        x, components = model.draw(n, generator)
        return {"x": x, "component": components}

    data = pairs()

    def renew(epoch: int) -> None:
        for name, tensor in pairs().items():
            data[name].copy_(tensor)

    batch = {"batch_size": min(options.batch_size, n), "log_path": None, "tensorboard": None}
    given = replace(options, **CLASSIFIER, **batch)  # pyright: ignore[reportArgumentType]
    task = _OnDraws(model.classifier)
    return fit(task, data, pairs(), options=given, generator=generator, on_epoch=renew).best_score
