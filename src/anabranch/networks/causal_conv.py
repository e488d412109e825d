"""Convolutions over images that look only at the pixels before, row after row."""

import math
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from anabranch.functional.layout import channels_last
from anabranch.functional.shapes import Shape

# The gain that keeps the scale of what passes through rectifiers.
RELU = math.sqrt(2)


def colour_groups(n_maps: int, n_colours: int, repeats: int = 1) -> tuple[int, ...]:
    """The colour channel that each feature map belongs to: as many maps for one as for another.

    Args:
        n_maps: how many maps there are, at least one for each channel.
        n_colours: channels of the image.
        repeats: how often these maps come, such as for the gates of a unit.

    Raises:
        ValueError: for fewer maps than channels.

    Example:
        >>> colour_groups(6, 3), colour_groups(2, 2, repeats=2)
        ((0, 0, 1, 1, 2, 2), (0, 1, 0, 1))
    """
    if n_maps < n_colours:
        raise ValueError(f"channels must be at least the {n_colours} of the image, got {n_maps}")
    return tuple(i * n_colours // n_maps for i in range(n_maps)) * repeats


class CausalConv2d(nn.Module):
    r"""A convolution whose result at a pixel depends on the pixels before it, row after row.

    .. math:: y_{rc} = b + \sum_{i=1}^{R} \sum_{j=-p}^{p} W_{ij}\, x_{r-i,c+j}
        + \sum_{j=0}^{p} W_{0j}\, x_{r,c-j}

    At the pixel itself a map of colour g sees those of colours up to g (mask B of the paper), or,
    where ``strict``, below g (mask A). The kernel has only those taps that can differ from zero,
    but for the right part of its last row.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), "Pixel recurrent neural networks",
    arXiv:1601.06759.

    Args:
        inputs: the colour that each input map belongs to.
        outputs: the colour that each output map belongs to.
        kernel_size: 2p + 1, an odd number.
        rows: R, how many rows above are seen; p where None.
        strict: whether a map sees only colours before its own at the pixel itself.
        gain: by how much it scales independent inputs at first; 0 for the zero map.
        generator: source of the initial weights.

    Shapes:
        x: (N, in, H, W), giving (N, out, H, W).

    Raises:
        ValueError: for an even kernel.

    Example:
        >>> layer = CausalConv2d((0,), (0, 0), 3, strict=True)
        >>> x = torch.zeros(1, 1, 4, 4, requires_grad=True)
        >>> layer(x)[0, 0, 1, 1].backward()
        >>> (x.grad[0, 0] != 0).int()
        tensor([[1, 1, 1, 0],
                [1, 0, 0, 0],
                [0, 0, 0, 0],
                [0, 0, 0, 0]], dtype=torch.int32)
    """

    mask: Tensor

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        kernel_size: int = 3,
        *,
        rows: int | None = None,
        strict: bool = False,
        gain: float = RELU,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}")
        self.reach = kernel_size // 2
        self.rows = self.reach if rows is None else rows
        width = kernel_size if self.rows else self.reach + 1
        mask = torch.ones(len(outputs), len(inputs), self.rows + 1, width)
        mask[..., -1, self.reach + 1 :] = 0
        here = [[seen < own if strict else seen <= own for seen in inputs] for own in outputs]
        mask[..., -1, self.reach] = torch.tensor(here, dtype=mask.dtype)
        self.register_buffer("mask", mask, False)
        before = self.rows * kernel_size + self.reach
        fan_in = len(inputs) * before + sum(map(sum, here)) / len(outputs)
        self.weight = uniform_weight(mask.shape, gain, fan_in=fan_in, generator=generator)
        self.bias = nn.Parameter(torch.zeros(len(outputs)))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, in, H, W) to (N, out, H, W)."""
        if self.rows or self.reach:
            x = pad(x, (self.reach, self.reach if self.rows else 0, self.rows, 0))
        return channels_last(conv2d(x, self.weight * self.mask, self.bias))

    def steps(self, n: int, height: int, width: int) -> "CausalSteps":
        """The same for one pixel after the other, of n images."""
        return CausalSteps(self, (n, height, width))

    def extra_repr(self) -> str:
        """What repr shows of it."""
        outputs, inputs = self.weight.shape[:2]
        return f"{inputs}, {outputs}, kernel_size={2 * self.reach + 1}, rows={self.rows}"


class CausalSteps:
    """A causal convolution at one pixel after the other, which remembers what it has seen.

    What comes from the rows above is computed for a whole row at once.

    Args:
        layer: the convolution.
        size: number of images, height, width.

    Example:
        >>> layer = CausalConv2d((0,), (0,), 3)
        >>> steps = layer.steps(1, 2, 2)
        >>> steps.row(0)
        >>> steps.pixel(0, 0, torch.ones(1, 1)).shape
        torch.Size([1, 1])
    """

    def __init__(self, layer: CausalConv2d, size: Shape) -> None:
        n, height, width = size
        weight = (layer.weight * layer.mask).detach()
        p, self.n_rows = layer.reach, layer.rows
        self.bias, self.reach = layer.bias.detach(), p
        self.upper = weight[:, :, :-1]
        # taps of the row itself, in the order in which they lie in memory
        self.lower = weight[:, :, -1, : p + 1].permute(2, 1, 0).flatten(0, 1).contiguous()
        self.alone = not (p or self.n_rows)  # nothing has to be remembered
        # channels last, and zeros around
        size = (n, 0, 0) if self.alone else (n, height + self.n_rows, width + 2 * p)
        self.maps = weight.new_zeros(*size, weight.shape[1])
        self.above: Tensor | None = None

    def row(self, r: int) -> None:
        """Begin row r: the sum over the rows above, (W, N, out), for all its pixels."""
        if self.n_rows:
            seen = self.maps[:, r : r + self.n_rows].permute(0, 3, 1, 2)
            self.above = conv2d(seen, self.upper, self.bias)[:, :, 0].permute(2, 0, 1).contiguous()

    def see(self, r: int, c: int, x: Tensor) -> None:
        """Remember the pixel's maps, (N, in)."""
        if not self.alone:
            self.maps[:, r + self.n_rows, c + self.reach] = x

    def pixel(self, r: int, c: int, x: Tensor) -> Tensor:
        """The result at a pixel, (N, out), whose maps are (N, in)."""
        above = self.bias if self.above is None else self.above[c]
        if self.alone:
            return torch.addmm(above, x, self.lower)
        self.see(r, c, x)
        return self.at(r, c, above)

    def at(self, r: int, c: int, above: Tensor) -> Tensor:
        """The sum over the pixels of the row up to the pixel itself, which has been seen."""
        taps = self.maps[:, r + self.n_rows, c : c + self.reach + 1].flatten(1)
        return torch.addmm(above, taps, self.lower)


def uniform_weight(
    shape: Sequence[int],
    gain: float = 1.0,
    *,
    fan_in: float | None = None,
    generator: torch.Generator | None = None,
) -> nn.Parameter:
    r"""A weight, uniform within :math:`\pm g \sqrt{3 / n}`, by which unit inputs come to scale g.

    Source: He, Zhang, Ren, Sun (2015), "Delving deep into rectifiers", arXiv:1502.01852.

    Args:
        shape: (out, in, ...).
        gain: g; the root of two keeps the scale through rectifiers.
        fan_in: n, how many inputs an output has; all that the shape says where None.
        generator: source of the draws.

    Example:
        >>> bool((uniform_weight((4, 3, 1, 1)).abs() <= 1).all())
        True
    """
    n = prod(shape[1:]) if fan_in is None else max(fan_in, 1.0)
    limit = gain * math.sqrt(3 / n)
    return nn.Parameter(torch.empty(*shape).uniform_(-limit, limit, generator=generator))
