"""The value of a trainable model's forward."""

from typing import NamedTuple

from torch import Tensor


class Loss(NamedTuple):
    """A total to minimise, and named terms to watch; means over the batch, in nats.

    Example:
        >>> import torch
        >>> loss = Loss(torch.tensor(2.0), {"nll": torch.tensor(2.0)})
        >>> loss.total
        tensor(2.)
    """

    total: Tensor
    terms: dict[str, Tensor]
