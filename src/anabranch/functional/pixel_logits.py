"""Logits of a pixel's levels, from what a network says of it."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def median_edge(left: Tensor, above: Tensor, corner: Tensor) -> Tensor:
    r"""The middle one of left, above and left + above - corner.

    At an edge that is the neighbour on the pixel's side, elsewhere the plane through all three.

    Source: Weinberger, Seroussi, Sapiro (2000), "The LOCO-I lossless image compression algorithm".

    Example:
        >>> values = torch.tensor([10]), torch.tensor([200]), torch.tensor([200])
        >>> median_edge(*values), median_edge(values[0], values[1], values[0])
        (tensor([10]), tensor([200]))
    """
    low, high = torch.minimum(left, above), torch.maximum(left, above)
    return torch.minimum(torch.maximum(left + above - corner, low), high)


def pixel_logits(outputs: Tensor, predicted: Tensor, seen: Tensor) -> Tensor:
    r"""Logits of the levels v of a pixel from three parts.

    .. math:: l_v = a_v + r_{v - \hat x} + g\, 1[v \text{ seen}]

    where r is 0 further than its reach from the predicted level: what is said relative to it has
    not to be learned for each level anew.

    Args:
        outputs: (n, levels + 2 reach + 1 + 1) a, r and g, floats that may hold whole numbers.
        predicted: (n,) levels.
        seen: (n, levels) ones and zeros.

    Returns:
        (n, levels).

    Example:
        >>> outputs = torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0, 5.0]])
        >>> pixel_logits(outputs, torch.tensor([3]), torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor([[5., 0., 1., 2.]])
    """
    levels = seen.shape[-1]
    window = outputs.shape[-1] - levels - 1
    reach = window // 2
    absolute, relative, gain = outputs.split([levels, window, 1], -1)
    wide = pad(absolute + gain * seen, (reach, reach))
    index = predicted.unsqueeze(-1) + torch.arange(window, device=predicted.device)
    return wide.scatter_add_(-1, index, relative)[..., reach : reach + levels]
