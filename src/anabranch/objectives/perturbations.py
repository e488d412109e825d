"""Perturbations under which the answers of a posterior network should not change."""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, normalize

LogQ = Callable[[Tensor], Tensor]


class Perturbation(nn.Module, ABC):
    """Rows (N, D) to rows (N, D) whose cluster is taken to be the same; abstract.

    ``perturbation(x, log_q, generator)``: ``log_q`` maps (N, D) to (K, N) log-probabilities, for
    perturbations that look at the network; ``generator`` may live on any device, None for torch's
    own on the CPU.
    """

    @abstractmethod
    def forward(
        self, x: Tensor, log_q: LogQ | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Perturb rows."""


class GaussianNoise(Perturbation):
    r"""Noise on every column: :math:`x'' = x + s\,\epsilon,\; \epsilon \sim N(0, I)`.

    Args:
        scale: s, in the units of x; for standardised columns, relative to their spread.

    Raises:
        ValueError: for a scale that is not positive.

    Example:
        >>> noise = GaussianNoise(0.1)
        >>> noise(torch.zeros(3, 2), generator=torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        self.scale = _positive("scale", scale)

    def forward(
        self, x: Tensor, log_q: LogQ | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Add noise; the network is not asked."""
        return x + self.scale * _normal(x, generator)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"scale={self.scale}"


class Adversarial(Perturbation):
    r"""Virtual adversarial noise: the small step that changes the network's answer most.

    .. math:: x'' = x + r \sqrt D\, \frac{g}{\|g\|}, \qquad
        g = \nabla_d\, \mathrm{KL}(q(\cdot \mid x) \,\|\, q(\cdot \mid x + d))\big|_{d = \xi u}

    with u a random direction: one power iteration towards the leading eigenvector of the
    divergence's Hessian. The length is that of `GaussianNoise` with ``scale=r``. It costs one more
    forward and backward pass of the network.

    Source: Miyato, Maeda, Koyama, Ishii (2018), "Virtual adversarial training", arXiv:1704.03976.

    Args:
        radius: r, root mean square of the step over columns, in the units of x; for standardised
            columns, relative to their spread.
        probe: xi, likewise the size of the step at which the gradient is taken.

    Raises:
        ValueError: for a radius or a probe that is not positive.

    Example:
        >>> def log_q(x):
        ...     return torch.log_softmax(torch.stack([x[:, 0], -x[:, 0]]), dim=0)
        >>> Adversarial(0.1)(torch.zeros(1, 2), log_q, torch.Generator().manual_seed(0)).abs()
        tensor([[0.1414, 0.0000]])
    """

    def __init__(self, radius: float = 0.1, *, probe: float = 1e-2) -> None:
        super().__init__()
        self.radius, self.probe = _positive("radius", radius), _positive("probe", probe)

    def forward(
        self, x: Tensor, log_q: LogQ | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Step against the network; parameters gather no gradient from the search."""
        if log_q is None:
            raise ValueError("adversarial noise needs log_q, the network that it works against")
        root = math.sqrt(x.shape[1])
        direction = normalize(_normal(x, generator), dim=1)
        with torch.no_grad():
            held = log_q(x).exp()
        with torch.enable_grad():
            point = (x.detach() + self.probe * root * direction).requires_grad_()
            # the cross-entropy has the gradient of the divergence
            cross_entropy = -(held * log_q(point)).sum()
            (gradient,) = torch.autograd.grad(cross_entropy, point)
        # where the network is flat, any direction is as good
        length = gradient.norm(dim=1, keepdim=True)
        step = torch.where(length > 0, gradient / length.clamp_min(1e-30), direction)
        return x + self.radius * root * step

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"radius={self.radius}, probe={self.probe}"


class RandomAffine(Perturbation):
    r"""Turn, scale, shear, shift and perhaps mirror each image, by bilinear interpolation.

    Angle, shear and shifts are uniform in plus or minus their limits, the scale uniform in its
    logarithm. What comes in from outside has the background's value.

    Args:
        image_shape: (height, width) or (channels, height, width) of the flattened rows.
        rotation: largest angle in radians.
        scale: smallest and largest magnification.
        shear: largest shear, the horizontal shift per vertical distance.
        shift: largest shift, in units of the sides.
        flip: mirror half of the images left to right.
        noise: standard deviation of normal noise on every pixel, in the units of x.
        background: value outside the image, likewise.

    Raises:
        ValueError: for an image_shape that is no shape, limits that are negative, a scale that is
            no pair of increasing positive numbers, or rows of another length.

    Example:
        >>> affine = RandomAffine((28, 28))
        >>> affine(torch.rand(5, 784), generator=torch.Generator().manual_seed(0)).shape
        torch.Size([5, 784])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        rotation: float = 0.3,
        scale: Sequence[float] = (0.85, 1.15),
        shear: float = 0.2,
        shift: float = 0.12,
        flip: bool = False,
        noise: float = 0.0,
        background: float = 0.0,
    ) -> None:
        super().__init__()
        self.image_shape = _image_shape(image_shape)
        self.rotation = _positive("rotation", rotation, zero=True)
        self.shear = _positive("shear", shear, zero=True)
        self.shift = _positive("shift", shift, zero=True)
        self.noise = _positive("noise", noise, zero=True)
        self.scale = _increasing("scale", scale)
        self.flip, self.background = bool(flip), float(background)

    def forward(
        self, x: Tensor, log_q: LogQ | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Move images; the network is not asked."""
        moved = warp(x, self.maps(len(x), generator).to(x), self.image_shape, self.background)
        return moved + self.noise * _normal(x, generator) if self.noise else moved

    def maps(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Random maps from output to input coordinates, (n, 2, 3); see `warp`."""
        u = torch.rand(6, n, generator=generator, device=_source(generator))
        turn, shear, *shift = u[:4].mul(2).sub(1) * u.new_tensor(
            [self.rotation, self.shear, 2 * self.shift, 2 * self.shift]
        ).unsqueeze(1)
        low, high = math.log(self.scale[0]), math.log(self.scale[1])
        zoom = (low + (high - low) * u[4]).neg().exp()
        mirror = torch.where(u[5] < 0.5, -1.0, 1.0) if self.flip else torch.ones_like(zoom)
        cos, sin = zoom * turn.cos(), zoom * turn.sin()
        across = torch.stack([mirror * cos, mirror * (shear * cos - sin), shift[0]], -1)
        return torch.stack([across, torch.stack([sin, shear * sin + cos, shift[1]], -1)], 1)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        names = ("rotation", "scale", "shear", "shift", "flip", "noise", "background")
        limits = ", ".join(f"{name}={getattr(self, name)}" for name in names)
        return f"{self.image_shape}, {limits}"


def warp(x: Tensor, maps: Tensor, image_shape: Sequence[int], background: float = 0.0) -> Tensor:
    r"""Images seen through affine maps, by bilinear interpolation.

    The output at coordinates (u, v) is the input at A (u, v) + b. The origin is the centre of the
    image; A works in lengths (a turn stays a turn in images that are not square), b in half sides.

    Args:
        x: (N, D) flattened images.
        maps: (N, 2, 3), each [A | b].
        image_shape: (height, width) or (channels, height, width), with product D.
        background: value outside the image.

    Returns:
        (N, D).

    Raises:
        ValueError: where D is not the product of image_shape.

    Example:
        >>> one_cell_on = torch.tensor([[[1.0, 0.0, 2 / 3], [0.0, 1.0, 0.0]]])
        >>> warp(torch.tensor([[1.0, 2.0, 3.0]]), one_cell_on, (1, 3), background=9.0)
        tensor([[2., 3., 9.]])
    """
    channels, height, width = _image_shape(image_shape)
    if x.ndim != 2 or x.shape[1] != channels * height * width:
        raise ValueError(
            f"image_shape {tuple(image_shape)} needs rows of {channels * height * width} values, "
            f"got x of shape {tuple(x.shape)}"
        )
    n, side = len(x), max(height, width)
    across = (2 * torch.arange(width, dtype=x.dtype, device=x.device) + 1 - width) / side
    down = (2 * torch.arange(height, dtype=x.dtype, device=x.device) + 1 - height) / side
    cells = torch.stack([*torch.meshgrid(across, down, indexing="xy")]).flatten(1)
    sides = maps.new_tensor([side / width, side / height])
    # one product for all images, and then the layout that the sampler reads
    linear = (maps[:, :, :2] * sides.view(1, 2, 1)).reshape(2 * n, 2)
    grid = (linear @ cells).view(n, 2, height, width) + maps[:, :, 2].view(n, 2, 1, 1)
    images = (x - background).view(n, channels, height, width)
    moved = grid_sample(images, grid.permute(0, 2, 3, 1), align_corners=False)
    return moved.reshape(n, -1) + background


PERTURBATIONS: dict[str, type[Perturbation]] = {
    "adversarial": Adversarial,
    "affine": RandomAffine,
    "noise": GaussianNoise,
}


def make_perturbation(
    spec: str | Mapping[str, Any],
    *,
    features: int | None = None,
    image_shape: Sequence[int] | None = None,
    background: float | None = None,
) -> Perturbation:
    """Build a perturbation from plain values.

    Args:
        spec: a name, "noise", "affine" or "adversarial", or {"name": ..., keyword: value}.
        features: D, checked against the image shape; None for no check.
        image_shape: of an affine perturbation whose spec gives none.
        background: likewise.

    Raises:
        ValueError: for an unknown name, a value out of range, or an image shape that is missing or
            does not match the features.
        TypeError: for a keyword that the perturbation does not have.

    Example:
        >>> make_perturbation({"name": "noise", "scale": 0.2})
        GaussianNoise(scale=0.2)
        >>> make_perturbation("affine", features=784, image_shape=(28, 28)).image_shape
        (1, 28, 28)
    """
    name, given = _name_and_keywords(spec)
    kind = PERTURBATIONS[name]
    if kind is RandomAffine:
        found = {"image_shape": image_shape, "background": background}
        given = {key: value for key, value in found.items() if value is not None} | given
        _check_image_shape(given.get("image_shape"), features)
    known = [key for key in inspect.signature(kind).parameters if key != "self"]
    for key in given:
        if key not in known:
            raise TypeError(f"perturbation {name!r} takes {', '.join(known)}; got {key!r}")
    return kind(**given)


def _name_and_keywords(spec: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    given: dict[str, Any] = {"name": spec} if isinstance(spec, str) else {}
    if isinstance(spec, Mapping):
        given = dict(spec)
    name = given.pop("name", None)
    if not isinstance(name, str) or name not in PERTURBATIONS:
        raise ValueError(
            f"perturbation must be one of {sorted(PERTURBATIONS)}, or a dict with such a name, "
            f"got {spec!r}"
        )
    return name, given


def _check_image_shape(image_shape: Sequence[int] | None, features: int | None) -> None:
    if image_shape is None:
        raise ValueError(
            "perturbation 'affine' needs image_shape, (height, width) or "
            "(channels, height, width) of the flattened rows"
        )
    size = math.prod(_image_shape(image_shape))
    if features is not None and size != features:
        raise ValueError(
            f"image_shape {tuple(image_shape)} holds {size} values, but rows have {features}"
        )


def _image_shape(image_shape: Sequence[int]) -> tuple[int, int, int]:
    shape = tuple(image_shape) if isinstance(image_shape, Sequence) else ()
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape)
    if len(shape) not in (2, 3) or not whole:
        raise ValueError(
            "image_shape must be (height, width) or (channels, height, width), positive integers, "
            f"got {image_shape!r}"
        )
    return (1, *shape) if len(shape) == 2 else shape  # pyright: ignore[reportReturnType]


def _positive(name: str, value: float, *, zero: bool = False) -> float:
    number = float(value) if isinstance(value, int | float) else math.nan
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        expected = "zero or positive" if zero else "positive"
        raise ValueError(f"{name} must be {expected} and finite, got {value!r}")
    return number


def _increasing(name: str, pair: Sequence[float]) -> tuple[float, float]:
    low, high = pair if isinstance(pair, Sequence) and len(pair) == 2 else (math.nan, math.nan)
    if not 0 < low <= high < math.inf:
        raise ValueError(f"{name} must be two increasing positive numbers, got {pair!r}")
    return float(low), float(high)


def _normal(x: Tensor, generator: torch.Generator | None) -> Tensor:
    noise = torch.randn(x.shape, dtype=x.dtype, generator=generator, device=_source(generator))
    return noise.to(x.device)


def _source(generator: torch.Generator | None) -> torch.device:
    """Where numbers are drawn: with a generator on the CPU, every device sees the same."""
    return torch.device("cpu") if generator is None else generator.device
