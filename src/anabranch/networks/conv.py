"""The stacked convolution, and how images lie in rows of features."""

import math
from collections.abc import Callable, Sequence
from functools import partial
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
    r"""K independent convolutions.

    .. math:: y_{ko} = b_{ko} + \sum_i W_{koi} * x_{ki}

    Stride one, and zeros around the image so that it keeps its size.

    The components take turns. One grouped convolution of them all costs .85 to 1.5 times as much on
    a CPU, and the merged layout that it wants costs two transposes more; so a network of several
    layers asks `each` for its components' convolutions and runs through all layers for one
    component after the other.

    With ``weight_norm`` each kernel is its direction times a length, :math:`W_o = g_o v_o / |v_o|`
    (Salimans, Kingma 2016, arXiv:1602.07868); g starts at \|v\|, or at zero.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the kernel, an odd number.
        batch_shape: the component axis; () for one convolution.
        zero: start at the zero map.
        weight_norm: whether kernels have lengths of their own.
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
        weight_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}")
        self.batch_shape = tuple(batch_shape)
        limit = 1.0 / math.sqrt(in_channels * kernel_size**2)
        limits = 0.0 if zero and not weight_norm else limit, 0.0 if zero else limit
        weight = torch.empty(*batch_shape, out_channels, in_channels, kernel_size, kernel_size)
        bias = torch.empty(*batch_shape, out_channels)
        self.weight = nn.Parameter(weight.uniform_(-limits[0], limits[0], generator=generator))
        self.bias = nn.Parameter(bias.uniform_(-limits[1], limits[1], generator=generator))
        self.length = None
        if weight_norm:
            length = self.weight.detach().flatten(-3).norm(dim=-1)
            self.length = nn.Parameter(torch.zeros_like(length) if zero else length)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (*batch_shape, N, in, H, W) to (*batch_shape, N, out, H, W)."""
        if not self.batch_shape:
            return self.each()[0](x)
        images = expand_batch(x, self.batch_shape, 3).flatten(0, len(self.batch_shape) - 1)
        answers = [step(one) for step, one in zip(self.each(), images.unbind(), strict=True)]
        return torch.stack(answers).unflatten(0, self.batch_shape)

    def each(self, dtype: torch.dtype | None = None) -> list[Callable[[Tensor], Tensor]]:
        """The convolution of every component, from (N, in, H, W) to (N, out, H, W).

        Args:
            dtype: in which weights are, their own by default.
        """
        n_axes = len(self.batch_shape)
        pairs = [(self.kernel(), self.bias)]
        if n_axes:
            stacked = (t.flatten(0, n_axes - 1).unbind() for t in pairs[0])
            pairs = list(zip(*stacked, strict=True))
        padding = self.weight.shape[-1] // 2
        return [
            partial(conv2d, weight=kernel.to(dtype), bias=bias.to(dtype), padding=padding)
            for kernel, bias in pairs
        ]

    def kernel(self) -> Tensor:
        """The kernels, (*batch_shape, out, in, k, k)."""
        if self.length is None:
            return self.weight
        norm = self.weight.square().sum((-3, -2, -1)).sqrt()
        return self.weight * (self.length / norm.clamp_min(1e-12))[..., None, None, None]

    def extra_repr(self) -> str:
        """What repr shows of it."""
        outputs, inputs, kernel_size = self.weight.shape[-4:-1]
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        return f"{inputs}, {outputs}, kernel_size={kernel_size}{stack}"


def by_component(
    paths: Sequence[Callable[..., Tensor]], batch_shape: Shape, *stacks: Tensor
) -> Tensor:
    r"""Run every component's own path through a network on its images.

    Args:
        paths: of each component, from the parts of ``stacks`` that are its own to images
            (N, C', H, W).
        batch_shape: the component axis.
        stacks: (N, ...) for all, or (\*batch_shape, N, ...), of four axes without a component axis.

    Returns:
        (\*batch_shape, N, C', H, W).

    Example:
        >>> double, halve = (lambda x: 2 * x), (lambda x: x / 2)
        >>> by_component([double, halve], (2,), torch.ones(1, 1, 1, 1)).flatten()
        tensor([2.0000, 0.5000])
    """
    if not batch_shape:
        return paths[0](*stacks)
    spread = [
        expand_batch(stack, batch_shape, 3).flatten(0, len(batch_shape) - 1).unbind()
        for stack in stacks
    ]
    answers = [path(*parts) for path, *parts in zip(paths, *spread, strict=True)]
    return torch.stack(answers).unflatten(0, batch_shape)
