"""The stacked convolution, and how images lie in rows of features."""

import math
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from anabranch.functional import expand_batch
from anabranch.functional.shapes import Shape


def image_size(image_shape: Sequence[int], features: int | None = None) -> tuple[int, int, int]:
    """Channels, height and width of the images whose pixels are the features of a row.

    Pixels lie channel after channel, row after row.

    Args:
        image_shape: (H, W), or (C, H, W).
        features: how many pixels there have to be; None for any number.

    Raises:
        ValueError: where it is not two or three positive integers, or has another number of
            pixels than there are features.

    Example:
        >>> image_size([28, 28], 784)
        (1, 28, 28)
    """
    sizes = tuple(image_shape)
    if len(sizes) not in (2, 3) or not all(isinstance(s, int) and s > 0 for s in sizes):
        raise ValueError(
            f"image_shape must be (H, W) or (C, H, W) in positive integers, got {image_shape}"
        )
    if features is not None and prod(sizes) != features:
        raise ValueError(
            f"image_shape {list(sizes)} has {prod(sizes)} pixels, but a row has {features} features"
        )
    channels, height, width = (1, *sizes)[-3:]
    return channels, height, width


class Conv2d(nn.Module):
    r"""K independent convolutions in one grouped convolution.

    .. math:: y_{ko} = b_{ko} + \sum_i W_{koi} * x_{ki}

    Stride one, and zeros around the image so that it keeps its size.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the kernel, an odd number.
        batch_shape: the component axis; () for one convolution.
        zero: start at the zero map.
        generator: source of the initial weights, uniform within ±1/sqrt(fan-in).

    Shapes:
        x: (N, in, H, W) or (*batch_shape, N, in, H, W), giving (*batch_shape, N, out, H, W).

    Raises:
        ValueError: for an even kernel.

    Example:
        >>> layer = Conv2d(1, 4, batch_shape=(5,))
        >>> layer(torch.zeros(7, 1, 8, 6)).shape
        torch.Size([5, 7, 4, 8, 6])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        batch_shape: Shape = (),
        zero: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}")
        self.batch_shape = tuple(batch_shape)
        limit = 0.0 if zero else 1.0 / math.sqrt(in_channels * kernel_size**2)
        weight = torch.empty(*batch_shape, out_channels, in_channels, kernel_size, kernel_size)
        bias = torch.empty(*batch_shape, out_channels)
        self.weight = nn.Parameter(weight.uniform_(-limit, limit, generator=generator))
        self.bias = nn.Parameter(bias.uniform_(-limit, limit, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (*batch_shape, N, in, H, W) to (*batch_shape, N, out, H, W)."""
        return spread_stack(self.maps(merge_stack(x, self.batch_shape)), self.batch_shape)

    def maps(self, x: Tensor) -> Tensor:
        """The same with the component axis merged into the channels, (N, K in, H, W)."""
        weight = self.weight.reshape(-1, *self.weight.shape[-3:])
        return conv2d(
            x,
            weight,
            self.bias.reshape(-1),
            padding=weight.shape[-1] // 2,
            groups=prod(self.batch_shape),
        )

    def extra_repr(self) -> str:
        """What repr shows of it."""
        outputs, inputs, kernel_size = self.weight.shape[-4:-1]
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        return f"{inputs}, {outputs}, kernel_size={kernel_size}{stack}"


def merge_stack(x: Tensor, batch_shape: Shape) -> Tensor:
    """Merge the component axis of images (*batch_shape, N, C, H, W) into channels, (N, K C, H, W).

    Example:
        >>> merge_stack(torch.zeros(5, 7, 2, 4, 4), (5,)).shape
        torch.Size([7, 10, 4, 4])
    """
    if not batch_shape:
        return x
    stacked = expand_batch(x, batch_shape, 3).reshape(prod(batch_shape), *x.shape[-4:])
    return stacked.transpose(0, 1).flatten(1, 2)


def spread_stack(x: Tensor, batch_shape: Shape) -> Tensor:
    """Undo `merge_stack`: (N, K C, H, W) to (*batch_shape, N, C, H, W).

    Example:
        >>> spread_stack(torch.zeros(7, 10, 4, 4), (5,)).shape
        torch.Size([5, 7, 2, 4, 4])
    """
    if not batch_shape:
        return x
    channels = x.shape[1] // prod(batch_shape)
    spread = x.unflatten(1, (prod(batch_shape), channels)).transpose(0, 1)
    return spread.reshape(*batch_shape, *spread.shape[1:])
