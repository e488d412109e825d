"""What the noise beside an event is told: the event, and a context behind it."""

import torch
from torch import Generator, Tensor

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.transform import Pair
from anabranch.functional.shapes import Shape


def told_shape(name: str, event_shape: Shape, context_shape: Shape) -> Shape:
    """The shape of an event with a context behind it along the first axis.

    Raises:
        ValueError: naming the layer, where the context does not fit there.

    Example:
        >>> told_shape("", (1, 4, 4), (3, 4, 4))
        (4, 4, 4)
    """
    if not context_shape:
        return event_shape
    if len(context_shape) != len(event_shape) or context_shape[1:] != event_shape[1:]:
        raise ValueError(
            f"{name}: a context of {context_shape} does not fit behind an event of {event_shape}"
        )
    return (event_shape[0] + context_shape[0], *event_shape[1:])


def check_noise(name: str, noise: Distribution, event_shape: Shape, context_shape: Shape) -> None:
    """Refuse noise that is not told the event with its context, or nothing at all.

    Raises:
        ValueError: naming the layer.

    Example:
        >>> from anabranch.distributions import DiagonalNormal
        >>> check_noise("", DiagonalNormal(2, context_features=3), (2,), (1,))
    """
    told = told_shape(name, event_shape, context_shape)
    if noise.context_shape != told and (noise.context_shape or context_shape):
        behind = f" with a context of {context_shape}" if context_shape else ""
        raise ValueError(
            f"{name}: the event is of {event_shape}{behind}, "
            f"the noise takes a context of shape {noise.context_shape}"
        )


def told(x: Tensor, context: Tensor | None, event_axes: int) -> Tensor:
    """Events with their contexts behind them along the first axis of an event.

    Example:
        >>> told(torch.zeros(5, 2), torch.ones(5, 1), 1)[0]
        tensor([0., 0., 1.])
    """
    if context is None:
        return x
    lead = torch.broadcast_shapes(x.shape[:-event_axes], context.shape[:-event_axes])
    parts = [part.expand(*lead, *part.shape[-event_axes:]) for part in (x, context)]
    return torch.cat(parts, -event_axes)


def drawn(noise: Distribution, x: Tensor, event_shape: Shape, generator: Generator | None) -> Pair:
    """A draw of the noise for each event of x, with its log-density; x is what it may be told.

    Example:
        >>> from anabranch.distributions import Normal
        >>> drawn(Normal(3), torch.zeros(5, 2), (2,), None)[0].shape
        torch.Size([5, 3])
    """
    if noise.context_shape:
        return noise.rsample_and_log_prob((), x, generator)
    lead = x.shape[: x.ndim - len(event_shape)]
    if len(lead) > 1:  # behind the component axis
        lead = lead[len(noise.batch_shape) :]
    return noise.rsample_and_log_prob(tuple(lead), None, generator)
