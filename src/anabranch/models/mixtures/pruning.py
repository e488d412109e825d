"""Taking components out of a mixture."""

from collections.abc import Sequence
from typing import Any

import torch

from anabranch.models.mixtures.flow_mixture import MixtureModel
from anabranch.models.registry import build


def keep_components(model: MixtureModel, keep: Sequence[int]) -> MixtureModel:
    """A model of some components of another, with copies of their parameters.

    The mixture weights and the outputs of the posterior network are those of the components that
    stay, renormalised.

    Args:
        model: built by the recipe `flow_mixture`, all components of one kind.
        keep: their numbers, in the order they shall have.

    Raises:
        ValueError: for no component, or components of unlike kinds.

    Example:
        >>> from anabranch.models import flow_mixture
        >>> keep_components(flow_mixture(2, 5, seed=0), [0, 3]).mixture.n_components
        2
    """
    if not len(keep):
        raise ValueError("keep must name at least one component")
    if len(model.mixture.groups) > 1:
        raise ValueError("components of unlike kinds cannot be taken out")
    recipe: Any = model.recipe
    kept = build(recipe["name"], **{**recipe["arguments"], "n_components": len(keep)})
    index = torch.as_tensor(list(keep))
    # what has another first dimension in the smaller model is stacked over components
    smaller = kept.state_dict()
    state = {
        name: tensor if tensor.shape == smaller[name].shape else tensor[index.to(tensor.device)]
        for name, tensor in model.state_dict().items()
    }
    kept.load_state_dict(state)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    for name, parameter in kept.named_parameters():
        parameter.requires_grad_(name not in frozen)
    assert isinstance(kept, MixtureModel)
    return kept.to(index.device)
