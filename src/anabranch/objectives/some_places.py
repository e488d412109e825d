"""The likelihood of images, at some of their places a step."""

from collections.abc import Mapping

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.distributions.local_components import LocalComponents
from anabranch.distributions.local_context import LocalContext
from anabranch.distributions.mixture import Mixture


class SomePlaces(Objective):
    r"""Negative log-probability of an image, estimated from places drawn anew for each batch.

    .. math:: -\frac{T}{|S| N} \sum_n \sum_{t \in S} \log p(x_{nt} \mid x_{n,<t}, k_n)

    Places of one image say much the same, so that a step over some places of many images learns
    more than one over all places of few. Of a mixture, each image is given its component k; in
    evaluation it is the likeliest by every eighth place, and costs its index.

    Args:
        distribution: what is trained, a network or a mixture of embeddings for one.
        share: of the places, in training; in evaluation all are looked at.
        reduced: whether products are rounded to bfloat16 in training.

    Raises:
        ValueError: for a share outside (0, 1], or a mixture of something else.

    Batches are dicts of ``x`` (N, \*event_shape), of any dtype, and of a mixture ``component`` (N,)
    in training.

    Example:
        >>> model = LocalContext((4, 4), levels=2, n_neighbours=6, hidden=[8])
        >>> loss = SomePlaces(model, share=0.5)({"x": torch.zeros(1, 4, 4)})
        >>> round(loss.total.item(), 3)
        11.09
    """

    stochastic = True

    def __init__(
        self, distribution: LocalContext | Mixture, share: float = 0.25, *, reduced: bool = False
    ) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(f"share must be in (0, 1], got {share}")
        LocalComponents.of(distribution)
        self.distribution, self.share, self.reduced = distribution, share, reduced

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The estimate, in nats an image, which is also the term "nll"."""
        parts = LocalComponents.of(self.distribution)
        size = parts.network.neighbourhood.size
        x = batch["x"].to(parts.network.codes.dtype)
        if self.training:
            order = torch.randperm(size, generator=generator, device=x.device)
            places = order[: max(1, round(self.share * size))]
            components = batch.get("component", torch.zeros(len(x), dtype=torch.long))
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.reduced):
                nll = -size * parts.places_log_prob(x, places, components.to(x.device)).mean()
        else:
            nll = -parts.switching_log_prob(x).mean()
        return Loss(nll, {"nll": nll})
