"""Small models that say much of everything, as no training would make them."""

import numpy as np
import torch

from anabranch.coding import IntegerModel, freeze
from anabranch.distributions import LocalContext


def drawn_model(shape=(5, 6), levels=256, seed=0, **settings):
    """A float model with random weights, large enough that neighbours decide, and a fair guess."""
    source = torch.Generator().manual_seed(seed)
    known = {"n_neighbours": 10, "hidden": [12, 8], "n_mirrored": 3, "reach": min(6, levels - 1)}
    model = LocalContext(shape, levels=levels, generator=source, **(known | settings))
    with torch.no_grad():
        for layer in model.layers:
            layer.weight.normal_(0, 0.4, generator=source)
        model.last.weight.normal_(0, 0.1, generator=source)
        reach = known["reach"]
        near = 6 - 0.5 * torch.arange(-reach, reach + 1).abs()
        model.last.bias[levels : levels + len(near), 0] = near
    return model


def images(shape=(5, 6), levels=256, n=7, seed=0):
    """Images whose neighbours are alike, so that contexts are."""
    steps = np.random.default_rng(seed).integers(-3, 4, (n, *shape)).cumsum(-1).cumsum(1)
    return (steps % levels).astype(np.uint8)


def integer_model(shape=(5, 6), levels=256, seed=0, **settings) -> IntegerModel:
    return freeze(
        drawn_model(shape, levels, seed, **settings), torch.as_tensor(images(shape, levels))
    )


def pixels(model, n=7, seed=0):
    return images(model.event_shape, model.levels, n, seed).reshape(n, -1)
