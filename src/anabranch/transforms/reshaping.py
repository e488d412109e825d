"""Maps that only arrange the numbers of an event in another shape."""

from math import prod

from torch import Generator, Tensor

from anabranch.contracts.transform import Pair, Transform
from anabranch.functional.shapes import Shape, as_shape


class Reshape(Transform):
    """The same numbers in another shape, row after row, term zero: a view.

    Args:
        event_shape: shape of a data point, or its size.
        latent_shape: shape of a latent.

    Raises:
        ValueError: for shapes of unlike sizes.

    Example:
        >>> import torch
        >>> Reshape(4, (1, 2, 2)).encode(torch.arange(4.0))[0]
        tensor([[[0., 1.],
                 [2., 3.]]])
    """

    domain = codomain = None

    def __init__(self, event_shape: int | Shape, latent_shape: int | Shape) -> None:
        sizes = [prod(as_shape(s, "shape")) for s in (event_shape, latent_shape)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"event_shape {event_shape} holds {sizes[0]} numbers, "
                f"latent_shape {latent_shape} holds {sizes[1]}"
            )
        super().__init__(event_shape, latent_shape)

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        lead = x.shape[: x.ndim - len(self.event_shape)]
        return x.reshape(*lead, *self.latent_shape), x.new_zeros(lead)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        lead = z.shape[: z.ndim - len(self.latent_shape)]
        return z.reshape(*lead, *self.event_shape), z.new_zeros(lead)


class Squeeze(Transform):
    r"""Turn squares of pixels into channels, (C, H, W) to (4 C, H/2, W/2), term zero.

    .. math:: z_{4c + 2a + b,\, i,\, j} = x_{c,\, 2i + a,\, 2j + b}, \qquad a, b \in \{0, 1\}

    so that channel c becomes the four channels of its upper left, upper right, lower left and lower
    right pixels, in this order.

    Args:
        event_shape: (C, H, W).
        side: of the squares; it divides H and W.

    Raises:
        ValueError: for a shape that is no image's, or a side that does not divide it.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), "Density estimation using Real NVP",
    arXiv:1605.08803, section 3.6.

    Example:
        >>> import torch
        >>> image = torch.arange(4.0).reshape(1, 2, 2)
        >>> Squeeze((1, 2, 2)).encode(image)[0].flatten()
        tensor([0., 1., 2., 3.])
    """

    domain = codomain = None

    def __init__(self, event_shape: Shape, *, side: int = 2) -> None:
        channels, height, width = image_shape(event_shape)
        check_divides(side, height, width)
        super().__init__(event_shape, (channels * side**2, height // side, width // side))
        self.side = side

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        squares = x.unflatten(-1, (-1, self.side)).unflatten(-3, (-1, self.side))
        z = squares.movedim((-3, -1), (-4, -3)).flatten(-5, -3)  # (.., C, a, b, H/2, W/2)
        return z, x.new_zeros(x.shape[:-3])

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        squares = z.unflatten(-3, (-1, self.side, self.side))
        x = squares.movedim((-4, -3), (-3, -1)).flatten(-2).flatten(-3, -2)
        return x, z.new_zeros(z.shape[:-3])


def image_shape(event_shape: Shape) -> tuple[int, int, int]:
    """Channels, height and width.

    Raises:
        ValueError: for a shape of other than three axes.

    Example:
        >>> image_shape((3, 32, 32))
        (3, 32, 32)
    """
    shape = as_shape(event_shape, "event_shape")
    if len(shape) != 3:
        raise ValueError(f"event_shape must be (C, H, W), got {event_shape}")
    return shape  # pyright: ignore[reportReturnType] - just counted


def check_divides(side: int, height: int, width: int) -> None:
    """Refuse squares that do not tile an image.

    Raises:
        ValueError: naming the sides of both.
    """
    if side < 1 or height % side or width % side:
        raise ValueError(f"squares of side {side} do not tile an image of {height} x {width}")
