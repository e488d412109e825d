"""Greedy ascent: the steps of a composition are set one after another."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from anabranch.distributions import Flow
from anabranch.functional import standard_normal_log_prob
from anabranch.transforms import (
    Compose,
    Elementwise,
    LocalExpansion,
    Radial,
    Rotation,
    Transform,
    TriangularAffine,
)
from anabranch.transforms.radial import raw_parameters

# how many points, as a share, an expansion may reach; and how far one step goes
SHARES = (0.05, 0.7)
SCALES = (0.5, 2.0)
NEWTON_STEPS = 4
FEW, MANY = 1000, 10_000  # rows that tell the reaches, and by which candidates are compared


@dataclass
class AscentResult:
    """What an ascent did.

    Attributes:
        train: mean log-density of the training rows, in nats, after whitening and after each step.
        validation: of the held-out rows, likewise; empty where there are none.
        steps: steps that were kept.
        stopped: "n_steps" or "patience".
    """

    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    steps: int = 0
    stopped: str = "n_steps"


@dataclass
class _Rows:
    """Rows on their way through the composition."""

    y: Tensor
    term: Tensor

    def through(self, layer: Transform) -> "_Rows":
        y, term = layer.encode(self.y)
        return _Rows(y, self.term + term)

    def score(self) -> float:
        return (standard_normal_log_prob(self.y) + self.term).mean().item()


@torch.no_grad()
def greedy_ascent(
    flow: Flow,
    x: Tensor,
    validation: Tensor | None = None,
    *,
    candidates: int = 16,
    patience: int = 50,
    generator: torch.Generator | None = None,
) -> AscentResult:
    r"""Set each step of a `tabak_turner` flow so that the likelihood of the data rises.

    The data are whitened, and then go from step to step. A step is an expansion around a point of
    the data; its reach covers a random share of them. Of some candidates it takes the one whose
    Newton step promises most. With :math:`t = \alpha / (\alpha + r)` the log-likelihood is concave
    in :math:`\sigma = s - 1`,

    .. math:: L(\sigma) = \mathbb{E}\left[-\tfrac12 \|y + \sigma t (y - c)\|^2
        + (D - 1) \log(1 + \sigma t) + \log(1 + \sigma t^2)\right],

    so that a few Newton steps maximise it. A step that would not raise it stays the identity: the
    likelihood of the training rows never falls. The flow holds all steps, in the order taken.

    Args:
        flow: an unset one, of `TriangularAffine`, `Rotation`, `Radial` and
            `Elementwise` `LocalExpansion` over a standard normal, without component axis.
        x: training rows (N, D).
        validation: held-out rows; steps after the best mean log-density of these are undone.
        candidates: how many expansions each step chooses from.
        patience: steps without a better score of the held-out rows before the ascent stops.
        generator: source of centres and reaches.

    Returns:
        An `AscentResult`.

    Raises:
        ValueError: for a flow of other parts, or fewer rows than D + 1.

    Source: Tabak, Turner (2013), doi:10.1002/cpa.21423.

    Example:
        >>> from anabranch.models import tabak_turner
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).exp()
        >>> flow = tabak_turner(2, n_steps=20, seed=0)
        >>> result = greedy_ascent(flow, x, generator=torch.Generator().manual_seed(0))
        >>> result.train[-1] - result.train[0] > 0.5
        True
    """
    layers = _layers(flow, x)
    dtype = x.dtype
    flow.double()
    source = generator if generator is not None else torch.Generator(x.device).manual_seed(0)
    rows = [
        _Rows(part.double(), part.new_zeros(len(part)).double())
        for part in (x, validation)
        if part is not None
    ]
    result = AscentResult()
    done: list[Transform] = []
    for layer in layers:
        changed = _set(layer, rows[0].y, candidates, source)
        rows = [part.through(layer) for part in rows]
        if not changed:
            continue
        done.append(layer)
        result.train.append(rows[0].score())
        result.validation += [part.score() for part in rows[1:]]
        if validation is not None and len(done) - 1 - _best(result) > patience:
            result.stopped = "patience"
            break
    result.steps = len(done) - 1 if validation is None else _best(result)
    for layer in done[1 + result.steps :]:
        _reset(layer)
    flow.to(dtype)
    return result


def _layers(flow: Flow, x: Tensor) -> list[Transform]:
    """The parts of the flow, if it is one that can be set."""
    transform = flow.transform
    layers = transform.transforms if isinstance(transform, Compose) else [transform]
    known = all(
        isinstance(layer, TriangularAffine | Rotation | Radial)
        or (isinstance(layer, Elementwise) and isinstance(layer.scalar_map, LocalExpansion))
        for layer in layers
    )
    plain = not (flow.batch_shape or flow.context_features)
    if not (known and plain and isinstance(layers[0], TriangularAffine)):
        raise ValueError(
            "flow must be one of recipe 'tabak_turner' without batch_shape or context, got "
            f"{type(flow).__name__} with {[type(layer).__name__ for layer in layers[:4]]}"
        )
    if x.ndim != 2 or len(x) <= x.shape[-1]:
        raise ValueError(f"x must have shape (N, D) with N > D, got {tuple(x.shape)}")
    return layers


def _set(layer: Transform, rows: Tensor, candidates: int, source: torch.Generator) -> bool:
    """Set a layer from the rows that come to it; whether it changes their likelihood."""
    if isinstance(layer, TriangularAffine):
        centred = rows - rows.mean(0)
        layer.set_gaussian(rows.mean(0), torch.linalg.cholesky(centred.mT @ centred / len(rows)))
        return True
    if isinstance(layer, Radial):
        centre, alpha, scale = best_expansion(rows.unsqueeze(0), candidates, source)
        layer.set_parameters(centre[0], alpha[0], scale[0])
    elif isinstance(layer, Elementwise):
        centre, alpha, scale = best_expansion(rows.mT.unsqueeze(-1), candidates, source)
        raw = torch.cat((centre[:, 0], *raw_parameters(alpha, scale)))
        layer.params.copy_(raw.unsqueeze(-1))
    else:
        return False
    return bool((scale != 1).any())


def _reset(layer: Transform) -> None:
    """Make a step the identity."""
    if isinstance(layer, Radial):
        layer.parameters_of.free.zero_()
    elif isinstance(layer, Elementwise):
        layer.params.zero_()


def _best(result: AscentResult) -> int:
    return max(range(len(result.validation)), key=result.validation.__getitem__)


def best_expansion(
    y: Tensor, candidates: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """The expansion that raises the normal log-likelihood of points most, of some candidates.

    Args:
        y: (B, N, D), B sets of points, each with an expansion of its own.
        candidates: how many centres and reaches are compared.
        generator: source of them.

    Returns:
        Centres (B, D), radii (B,) and scales (B,); a scale of 1 where none raises it.

    Example:
        >>> y = torch.linspace(-0.1, 0.1, 50).reshape(1, 50, 1)
        >>> _, _, scale = best_expansion(y, 4, torch.Generator().manual_seed(0))
        >>> scale > 1.5
        tensor([True])
    """
    centre, alpha = _most_promising(y, candidates, generator)
    offset = y - centre.unsqueeze(1)
    near = _near(torch.linalg.vector_norm(offset, dim=-1), alpha)
    sigma = torch.zeros_like(alpha)
    for _ in range(NEWTON_STEPS):
        slope, curvature = _derivatives(y, offset, near, sigma)
        sigma = (sigma - slope / curvature).clamp(SCALES[0] - 1, SCALES[1] - 1)
    gain = _likelihood(y, offset, near, sigma) - _likelihood(y, offset, near, 0 * sigma)
    return centre, alpha, 1 + torch.where(gain > 0, sigma, 0.0)


def _most_promising(
    y: Tensor, candidates: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Centre and radius of the candidate whose Newton step from the identity gains most."""
    sets, n, _ = y.shape
    picks = torch.randint(n, (sets, candidates), generator=generator, device=y.device)
    centres = y.gather(1, picks.unsqueeze(-1).expand(-1, -1, y.shape[-1]))
    some = y[:, :: max(1, n // MANY)].unsqueeze(1)
    offset = some - centres.unsqueeze(2)  # (B, candidates, n, D)
    radius = torch.linalg.vector_norm(offset, dim=-1)
    alpha = _reaches(radius, generator)
    identity = torch.zeros_like(alpha)
    slope, curvature = _derivatives(some, offset, _near(radius, alpha), identity)
    best = (slope.square() / -curvature).argmax(1)
    chosen = torch.arange(sets, device=y.device), best
    return centres[chosen], alpha[chosen]


def _reaches(radius: Tensor, generator: torch.Generator) -> Tensor:
    """Radii (B, candidates) that hold random shares of the points, uniform in their logarithm."""
    low, high = (math.log(share) for share in SHARES)
    noise = torch.rand(radius.shape[:-1], generator=generator, device=radius.device)
    shares = torch.exp(low + (high - low) * noise).to(radius.dtype)
    radius = radius[..., :: max(1, radius.shape[-1] // FEW)]
    ranks = (shares * radius.shape[-1]).long()
    return radius.sort(-1).values.gather(-1, ranks.unsqueeze(-1)).squeeze(-1).clamp_min(0.01)


def _near(radius: Tensor, alpha: Tensor) -> Tensor:
    return alpha.unsqueeze(-1) / (alpha.unsqueeze(-1) + radius)


def _likelihood(y: Tensor, offset: Tensor, near: Tensor, sigma: Tensor) -> Tensor:
    """Mean over the points of the normal log-likelihood after an expansion, up to a constant."""
    sigma = sigma.unsqueeze(-1)
    moved = y + (sigma * near).unsqueeze(-1) * offset
    across = (y.shape[-1] - 1) * torch.log1p(sigma * near)
    return (across + torch.log1p(sigma * near.square()) - 0.5 * moved.square().sum(-1)).mean(-1)


def _derivatives(y: Tensor, offset: Tensor, near: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """First and second derivative of `_likelihood` by sigma; the second is negative."""
    sigma = sigma.unsqueeze(-1)
    across, along = near / (1 + sigma * near), near.square() / (1 + sigma * near.square())
    size = near * torch.linalg.vector_norm(offset, dim=-1)
    pull = near * (y * offset).sum(-1) + sigma * size.square()
    others = y.shape[-1] - 1
    slope = others * across + along - pull
    curvature = -(others * across.square() + along.square() + size.square())
    return slope.mean(-1), curvature.mean(-1)
