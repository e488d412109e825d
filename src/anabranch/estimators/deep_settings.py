"""Settings of a `DeepMixture`: checked, and made into those of the fit loop."""

import math
from typing import TYPE_CHECKING, Any

from anabranch.estimators.numbers import (
    check_dict,
    check_not_negative,
    check_positive,
    check_share,
    check_sizes,
    check_whole,
)
from anabranch.models import GaussianMixtureVAE
from anabranch.models.autoencoders.gmvae import POSTERIORS
from anabranch.models.autoencoders.likelihoods import LIKELIHOODS
from anabranch.models.autoencoders.mixture_vae import INFERENCES, OBJECTIVES
from anabranch.procedures.std_annealing import first_std, std_annealing
from anabranch.training import (
    FitOptions,
    LateFloat32,
    RateHalving,
    Schedule,
    ScheduledBuffer,
)

if TYPE_CHECKING:
    from anabranch.estimators.deep_mixture import DeepMixture

# Of an invariant q, in units of the weight of consistency.
BALANCE = 0.2
# Of the steps of a run in bfloat16, the last, which are taken in float32.
FLOAT32_SHARE = 0.1
CHOICES = {
    "likelihood": LIKELIHOODS,
    "objective": OBJECTIVES,
    "posterior": POSTERIORS,
    "inference": (None, *INFERENCES),
    "init_params": ("autoencoder", "invariant", "random"),
}


def check_deep_settings(settings: "DeepMixture", n_rows: int, n_components: int) -> None:
    """Refuse settings that are out of range or do not go together.

    Raises:
        ValueError: naming the setting, what was given and what was expected.
    """
    for name, allowed in CHOICES.items():
        if getattr(settings, name) not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {getattr(settings, name)!r}")
    check_whole(settings, ("latent", "n_init", "n_score_samples", "invariant_steps"), 1)
    check_whole(settings, ("init_epochs", "max_epochs", "rate_halvings"), 0)
    check_whole(settings, ("batch_size",), 1)
    if settings.n_components is not None:
        check_whole(settings, ("n_components",), 1)
    if settings.samples is not None:
        check_whole(settings, ("samples",), 2 if settings.objective == "vimco" else 1)
    check_sizes("hidden", settings.hidden)
    check_dict(settings, ("fit_options",))
    if n_rows < n_components:
        raise ValueError(
            f"X has {n_rows} rows, fewer than the {n_components} components: n_samples must "
            "be at least n_components"
        )
    _check_numbers(settings)


def _check_numbers(settings: "DeepMixture") -> None:
    check_share(settings, ("validation_fraction", "std_share"))
    check_positive(settings, ("reg_covar", "std_last", "learning_rate", "label_weight"))
    check_not_negative(settings, ("weight_decay",))
    check_not_negative(settings, ("consistency", "balance"), optional=True)
    _check_weights(settings)
    first = settings.std_first
    if isinstance(first, str) and first != "auto":
        raise ValueError(f"std_first must be 'auto', None or a number, got {first!r}")
    if isinstance(first, float | int) and first < settings.std_last:
        raise ValueError(f"std_first must be at least std_last={settings.std_last}, got {first}")


def _check_weights(settings: "DeepMixture") -> None:
    weights = regularisation(settings)
    if weights["balance"] and not weights["consistency"]:
        raise ValueError("balance goes with consistency: alone it would make q certain of anything")
    for name in ("inference", "init_params"):
        if getattr(settings, name) == "invariant" and not all(weights.values()):
            raise ValueError(f"{name}='invariant' needs consistency and balance, which train q")


def inference(settings: "DeepMixture") -> str:
    """How q(y|x) is trained, by default as it was begun."""
    if settings.inference is not None:
        return settings.inference
    return "invariant" if settings.init_params == "invariant" else "variational"


def regularisation(settings: "DeepMixture") -> dict[str, float]:
    """The weights of consistency and balance, by default those that an invariant q needs."""
    invariant = "invariant" in (settings.inference, settings.init_params)
    consistency, balance = settings.consistency, settings.balance
    weight = float(invariant if consistency is None else consistency)
    usual = BALANCE * weight if invariant else 0.0
    return {"consistency": weight, "balance": usual if balance is None else float(balance)}


def deep_options(settings: "DeepMixture", n_rows: int, **changes: Any) -> FitOptions:
    """The settings of the loop; all epochs are run, for the annealing to come to its end."""
    given = {
        "max_epochs": settings.max_epochs,
        "batch_size": min(settings.batch_size, max(16, n_rows // 4)),
        "learning_rate": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "patience": None,
        "progress": None if settings.verbose else False,
    }
    return FitOptions(**{**given, **(settings.fit_options or {}), **changes})


def schedules(
    settings: "DeepMixture",
    model: GaussianMixtureVAE,
    options: FitOptions,
    shape: tuple[int, int],
) -> list[Schedule]:
    """What changes during a run on (n, D) rows: standard deviations, learning rate, precision."""
    n_rows, n_features = shape
    steps = max(1, n_rows // min(options.batch_size, n_rows)) * max(1, options.max_epochs)
    found: list[Schedule] = []
    if settings.half_precision:
        found.append(LateFloat32(model, steps - math.ceil(FLOAT32_SHARE * steps)))
    if settings.rate_halvings:
        found.append(RateHalving(max(1, steps // (settings.rate_halvings + 1))))
    if settings.std_first is not None:
        first = first_std(n_features) if settings.std_first == "auto" else settings.std_first
        first = max(float(first), settings.std_last)
        bound = std_annealing(steps, first=first, last=settings.std_last, share=settings.std_share)
        found.append(ScheduledBuffer("std_bound", model.floor, bound))
    return found
