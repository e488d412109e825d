"""Settings of a `FlowMixture`, refused before any work where they cannot be meant."""

import json
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from anabranch.algorithms.gaussians import StartOptions
from anabranch.algorithms.gaussians.starts import COVARIANCE_TYPES
from anabranch.estimators.numbers import (
    check_not_negative,
    check_positive,
    check_share,
    check_whole,
)
from anabranch.estimators.starts import INIT_PARAMS

if TYPE_CHECKING:
    from anabranch.estimators.flow_mixture import FlowMixture

CHOICES = {
    "inference": ("exact", "variational", "invariant"),
    "algorithm": ("gradient", "em"),
    "init_params": INIT_PARAMS,
    "covariance_type": ("auto", *COVARIANCE_TYPES),
    "semi_supervised": ("joint", "alternate"),
    "temperature_unit": ("step", "epoch"),
}
# how mixture weights come about, beside given numbers
WEIGHTS = ("learned", "uniform", "exact", "network")


def check_components(n_components: Any) -> None:
    """None, "auto" or a positive integer."""
    if n_components is None or (isinstance(n_components, str) and n_components == "auto"):
        return
    if not isinstance(n_components, Integral) or n_components < 1:
        raise ValueError(
            f"n_components must be a positive integer, 'auto' or None, got {n_components!r}"
        )


def check_settings(settings: "FlowMixture", n_rows: int, n_components: int) -> None:
    """Refuse settings that are out of range or do not go together.

    Raises:
        ValueError: naming the setting, what was given and what was expected.
    """
    for name, allowed in CHOICES.items():
        if getattr(settings, name) not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {getattr(settings, name)!r}")
    if settings.algorithm == "em" and settings.inference != "exact":
        raise ValueError("algorithm='em' needs inference='exact'")
    if n_rows < n_components:
        raise ValueError(
            f"X has {n_rows} rows, fewer than the {n_components} components: n_samples must "
            "be at least n_components"
        )
    check_share(settings, ("validation_fraction",))
    rate = settings.learning_rate
    if rate != "auto" and not (isinstance(rate, float | int) and rate > 0):
        raise ValueError(f"learning_rate must be 'auto' or a positive number, got {rate!r}")
    check_whole(settings, ("n_init", "invariant_steps"), 1)
    check_positive(settings, ("reg_covar", "label_weight"))
    check_not_negative(settings, ("component_cost", "pretrain_epochs", "snapshots"))
    _check_regularisation(settings)
    _check_auto(settings)
    _check_weights(settings.weights, n_components)


def check_warm(old: dict[str, Any], new: dict[str, Any]) -> None:
    """A warm start trains the last model, which must be the one that is asked for.

    Args:
        old: arguments that the last model was built with, plain JSON values.
        new: those of the one that is asked for.

    Raises:
        ValueError: naming the arguments that differ.
    """
    new = json.loads(json.dumps(new))
    different = [key for key in new if old[key] != new[key]]
    if different:
        raise ValueError(
            "warm_start goes on with the last model, which differs in "
            + ", ".join(f"{key} ({old[key]!r}, now {new[key]!r})" for key in different)
            + ": fit with warm_start=False"
        )


def regularisation(settings: "FlowMixture") -> dict[str, float]:
    """The weights of consistency and balance, by default those of the inference."""
    invariant = settings.inference == "invariant"
    consistency, balance = settings.consistency, settings.balance
    return {
        "consistency": float(invariant if consistency is None else consistency),
        "balance": (0.2 if invariant else 0.0) if balance is None else float(balance),
    }


def start_options(settings: "FlowMixture", n_components: int) -> StartOptions:
    """How starts are searched."""
    return StartOptions(n_components, settings.covariance_type, settings.reg_covar)


def _check_regularisation(settings: "FlowMixture") -> None:
    check_not_negative(settings, ("consistency", "balance"), optional=True)
    weights = regularisation(settings)
    if settings.inference == "invariant" and not all(weights.values()):
        raise ValueError("inference='invariant' needs consistency and balance, which train q")
    if weights["balance"] and not weights["consistency"]:
        raise ValueError("balance goes with consistency: alone it would make q certain of anything")


def _check_auto(settings: "FlowMixture") -> None:
    if settings.n_components != "auto":
        return
    most = settings.max_components
    if not isinstance(most, Integral) or most < 1:
        raise ValueError(f"max_components must be a positive integer, got {most!r}")
    if settings.component_cost * most >= 1:
        raise ValueError(
            f"component_cost must be below 1 / max_components = {1 / most:.3g}, else no component "
            f"could live; got {settings.component_cost}"
        )
    if isinstance(settings.flow, list | tuple):
        raise ValueError("n_components='auto' needs one flow for all components, not a list")
    if not isinstance(settings.weights, str):
        raise ValueError("n_components='auto' sets the weights: leave weights at 'learned'")


def _check_weights(weights: Any, n_components: int) -> None:
    if isinstance(weights, str):
        if weights not in WEIGHTS:
            raise ValueError(
                f"weights must be one of {WEIGHTS} or {n_components} positive numbers, "
                f"got {weights!r}"
            )
        return
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (n_components,) or not (given > 0).all():
        raise ValueError(f"weights must be {n_components} positive numbers, got {weights}")
