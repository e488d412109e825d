"""Parts of fitted estimators as trees for files, and as facts."""

import dataclasses
import math
from typing import Any

import torch
from torch import nn

from anabranch.archive import Tree
from anabranch.distributions import Hedged
from anabranch.estimators.estimator import Json, State
from anabranch.models import build
from anabranch.models.blueprint import check_blueprint
from anabranch.training import FitResult


def module_state(module: nn.Module) -> dict[str, Tree]:
    """A module that a recipe built, as a tree.

    Example:
        >>> from anabranch.models import realnvp
        >>> flow = module_from(module_state(realnvp(2, n_layers=1, seed=0)))
        >>> flow.recipe["name"]
        'realnvp'
    """
    built: Any = module
    return {
        "recipe": built.recipe,
        "state": dict(module.state_dict()),
        "frozen": [name for name, p in module.named_parameters() if not p.requires_grad],
    }


def module_from(tree: State) -> Any:
    """The module of a tree again, in evaluation mode.

    Raises:
        ValueError: where the tensors are not those that the recipe makes, or are not finite.
    """
    recipe = tree["recipe"]
    check_blueprint(recipe["name"], recipe["arguments"], tree["state"])
    module = build(recipe["name"], **recipe["arguments"])
    module.load_state_dict(tree["state"])
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in tree["frozen"])
    return module.eval()


def result_state(result: FitResult) -> dict[str, Tree]:
    """What a run of the loop did, as a tree; ``FitResult(**tree)`` is its inverse."""
    return dataclasses.asdict(result)


def result_facts(result: FitResult) -> dict[str, Json]:
    """How long a run of the loop took, and why it ended."""
    return {
        "epochs": int(result.history[-1]["epoch"]),
        "best_epoch": result.best_epoch,
        "stopped": result.stopped,
        "seconds": result.seconds,
        **({"gain": list(result.gain)} if result.gain else {}),
    }


def module_facts(module: nn.Module) -> dict[str, Json]:
    """The recipe of a module, its size, and the mean share of flows that are hedged."""
    built: Any = module
    facts = {
        "recipe": built.recipe["name"],
        "arguments": built.recipe["arguments"],
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
    }
    shares = [float(part.share.mean()) for part in module.modules() if isinstance(part, Hedged)]
    return facts | ({"share_of_flows": sum(shares) / len(shares)} if shares else {})


def finite(value: float) -> float | None:
    """A number that JSON can hold."""
    return float(value) if math.isfinite(value) else None


def optional_tensor(array: Any) -> torch.Tensor | None:
    """An array as a tensor, where there is one."""
    return None if array is None else torch.as_tensor(array)
