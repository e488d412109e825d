"""A network of pixels, alone or told the component of a mixture."""

from typing import NamedTuple

import torch
from torch import Tensor

from anabranch.distributions.component_embeddings import ComponentEmbeddings
from anabranch.distributions.local_context import LocalContext
from anabranch.distributions.mixture import Mixture

# Of places, one in so many is looked at to choose a component, where that leaves so many.
EVERY, LEAST, STRIDE = 8, 16, 5
CHOSEN = 16384  # places that are looked at together


class LocalComponents(NamedTuple):
    """A network of pixels, what it is told of each of K components, and their log-weights.

    Attributes:
        network: of all components.
        embeddings: (K, C); C is 0 where there is one component.
        log_weights: (K,).
    """

    network: LocalContext
    embeddings: Tensor
    log_weights: Tensor

    @classmethod
    def of(cls, model: LocalContext | Mixture) -> "LocalComponents":
        """The parts of a network alone, or of a mixture of embeddings for one.

        Raises:
            ValueError: for a mixture of something else.
        """
        if isinstance(model, LocalContext):
            return cls(model, model.codes.new_zeros(1, 0), model.codes.new_zeros(1))
        found = model.groups[0] if len(model.groups) == 1 else None
        if isinstance(found, ComponentEmbeddings) and isinstance(found.density, LocalContext):
            return cls(found.density, found.embeddings, model.log_weights)
        raise ValueError("model must be a LocalContext, or a mixture of embeddings for one")

    def places_log_prob(self, x: Tensor, places: Tensor, components: Tensor) -> Tensor:
        r"""Log-probabilities of some places by the component of each image, (n, m).

        Args:
            x: (n, \*event_shape).
            places: (m,).
            components: (n,).
        """
        return self.network.places_log_prob(x, places, self.embeddings[components])

    @torch.no_grad()
    def likeliest(self, x: Tensor, places: Tensor) -> Tensor:
        r"""The component that is likeliest by some places, (n,).

        Args:
            x: (n, \*event_shape).
            places: (m,), for which all places are taken to speak.
        """
        scale = self.network.neighbourhood.size / len(places)
        found = []
        for component, log_weight in enumerate(self.log_weights):
            given = torch.full((len(x),), component, device=x.device)
            log_prob = self.places_log_prob(x, places, given).sum(1)
            found.append(scale * log_prob + log_weight)
        return torch.stack(found).argmax(0)

    def switching_log_prob(self, x: Tensor) -> Tensor:
        r"""Log-probability of images and of the components that are likeliest by some places.

        It is the code length of a coder that sends the component first, at most the log-probability
        by the mixture of all components.

        Args:
            x: (n, \*event_shape).

        Returns:
            (n,), in nats.
        """
        places = choosing_places(self.network.neighbourhood.size).to(x.device)
        parts = []
        for images in x.split(max(1, CHOSEN // len(places))):
            components = self.likeliest(images, places)
            context = self.embeddings[components] if self.embeddings.shape[1] else None
            parts.append(self.network.log_prob(images, context) + self.log_weights[components])
        return torch.cat(parts) if parts else x.new_zeros(0)


def choosing_places(size: int) -> Tensor:
    """The places by which the component of an image is chosen: one of every eight, or all of few.

    One in eight tells components apart nearly as well as all of them, at a fraction of the time.
    Which of the eight it is changes, so that no column is left out whatever the width.

    Example:
        >>> choosing_places(784)[:5], len(choosing_places(784)), len(choosing_places(64))
        (tensor([ 0, 13, 18, 31, 36]), 98, 64)
    """
    if size < EVERY * LEAST:
        return torch.arange(size)
    blocks = torch.arange(size // EVERY)
    return blocks * EVERY + blocks * STRIDE % EVERY
