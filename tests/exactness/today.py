"""How what was recorded under a name is called today: all that a renaming has to edit here.

Cases speak the names of 279495c. Nothing else in this folder imports a recipe, an estimator or a
procedure.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import anabranch
from anabranch import models, objectives, training

# Recorded name of a recipe -> today's, such as {"gmvae": "nvisa"}.
RECIPES: dict[str, str] = {}

# Estimator -> recorded name of a setting -> today's. A dot leads into a group, as in
# {"FlowMixture": {"temperature_decay": "temperature.decay"}}.
SETTINGS: dict[str, dict[str, str]] = {}

# Checkpoints of 0.1.0 that are resumed to the recorded end. The others are refused in a sentence.
RESUMED = ("fit", "FlowMixture")

fit = training.fit
fit_adversarial = training.fit_adversarial
fit_reverse_kl = training.fit_variational
greedy_ascent = training.greedy_ascent
FitOptions = training.FitOptions


def build(recorded: str, **arguments: Any) -> nn.Module:
    """The model of a recipe."""
    return models.build(RECIPES.get(recorded, recorded), **arguments)


def trainable(model: nn.Module) -> nn.Module:
    """What `fit` takes to train a model that a recipe has built."""
    return objectives.Likelihood(model) if hasattr(model, "log_prob") else model


def reverse_kl(model: nn.Module, log_density: Callable[[Tensor], Tensor]) -> nn.Module:
    """What `fit_reverse_kl` takes."""
    return objectives.ReverseKL(model, log_density)


def game(
    critic: Callable[[Tensor, Tensor], Tensor],
    generator: Callable[[Tensor], Tensor],
    slope: Callable[..., Tensor],
    weight: float,
) -> Any:
    """What `fit_adversarial` plays."""
    return training.Game(critic=critic, generator=generator, slope=slope, weight=weight)


def sampler(model: nn.Module) -> Callable[..., Tensor] | None:
    """What draws rows from a model, given their number, a context and a source of randomness."""
    density = getattr(model, "mixture", model)
    return density.sample if hasattr(density, "log_prob") else None


def estimator(name: str, **settings: Any) -> Any:
    """An estimator with settings under their recorded names."""
    known = SETTINGS.get(name, {})
    told: dict[str, Any] = {}
    for recorded, value in settings.items():
        *groups, setting = known.get(recorded, recorded).split(".")
        place = told
        for group in groups:
            place = place.setdefault(group, {})
        place[setting] = value
    return getattr(anabranch, name)(**told)


def parameters(fitted: Any) -> list[Tensor]:
    """All that a fit has learned, in any order."""
    if isinstance(fitted, nn.Module):
        return list(fitted.parameters())
    found = list(fitted.model_.parameters()) if hasattr(fitted, "model_") else []
    inner = getattr(fitted, "mixture_", fitted)
    names = ("weights_", "means_", "covariances_")
    return found + [torch.as_tensor(getattr(inner, n)) for n in names if hasattr(inner, n)]


def histories(fitted: Any) -> list[list[dict[str, float]]]:
    """The histories of the runs of the fit loop that an estimator tells of."""
    if hasattr(fitted, "fit_results_"):
        return [result.history for result in fitted.fit_results_.values()]
    return [fitted.history_] if hasattr(fitted, "history_") else []
