"""Folds: maps that lay several pieces of data space over one latent space."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from anabranch.contracts.transform import Transform
from anabranch.functional import bounded, canonical, check_dtype, expand_batch, log1mexp
from anabranch.functional.shapes import Shape
from anabranch.networks import MLP, select_component
from anabranch.transforms.compose import Compose
from anabranch.transforms.preprocessing import hashed_uniform


class Fold(Transform):
    r"""A piecewise map along one direction, many to one, with a gate that says which piece.

    .. math:: z = x + (f(t) - t)\, u, \quad t = u^\top x - a, \qquad
        \mathrm{term} = \log p(k \mid z) + \log|f'(t)|, \quad k = \mathrm{branch}(x)

    The scalar fold f acts along a learned direction u, a unit vector, from a learned location a;
    what is orthogonal to u stays. Exactly one branch k holds a point, so that the density is exact,
    without a sum over branches. The gate :math:`p(k \mid z)` is a small network of all of z.
    ``encode(decode(z))`` gives z back; ``decode(encode(x))`` may land on another branch.

    ``decode`` draws the branch. Its uniform number is a hash of the bits of z and of ``salt``, a
    number that each fold draws when it is made: over draws of z it is uniform and independent of
    all else, and samples, the rows of a batch and compiled code need no further source of
    randomness. One and the same z always takes the same branch; a z that another batch size rounds
    otherwise may take another.

    ``initialize(x)`` lays the fold where one Gaussian fits best behind it: of random directions,
    the coordinates, and some locations in each.

    Args:
        features: D.
        coordinate: which feature is folded at the start.
        hidden: hidden sizes of the gate's network.
        context_features: size of the context, which the gate sees; 0 for none.
        activation: activation of the gate's network.
        bound: limit of the log-odds that the network can give.
        batch_shape: the component axis.
        generator: source of the initial weights and of the salt.

    Attributes:
        n_branches: how many branches it has.

    Raises:
        ValueError: for a coordinate that is none of the features.

    Source: Dinh, Sohl-Dickstein, Larochelle, Pascanu (2019), "A RAD approach to deep mixture
    models", arXiv:1903.07714; inference surjections in Nielsen et al. (2020), arXiv:2007.02731.
    """

    n_branches: int
    n_logits: int
    salt: Tensor

    bijective = False

    def __init__(
        self,
        features: int,
        *,
        coordinate: int = 0,
        hidden: Sequence[int] = (16,),
        context_features: int = 0,
        activation: str = "silu",
        bound: float = 8.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        if not 0 <= coordinate < features:
            raise ValueError(f"coordinate must be in 0..{features - 1}, got {coordinate}")
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        self.bound = bound
        direction = torch.eye(features)[coordinate].expand(*batch_shape, 1, features)
        self.direction = nn.Parameter(direction.clone())
        self.loc = nn.Parameter(torch.zeros(*batch_shape, 1))
        self.log_scale = nn.Parameter(torch.zeros(*batch_shape, 1))
        self.gate = MLP(
            features,
            self.n_logits,
            hidden,
            context_features=context_features,
            activation=activation,
            batch_shape=batch_shape,
            zero_last=True,
            generator=generator,
        )
        salt = torch.randint(2**31, (*batch_shape, 1, 1), generator=generator)
        self.register_buffer("salt", salt)

    def branch(self, x: Tensor) -> Tensor:
        """Which branch holds each point, 0..n_branches-1; int64 of the leading shape of x.

        Args:
            x: as for ``encode``.

        Raises:
            ValueError: for a wrong shape.
            TypeError: for a dtype other than the transform's.
        """
        check_dtype(self, x, "x")
        points, lead = canonical(x, self.event_shape, self.batch_shape, "x")
        k = self._branch((points * self._unit()).sum(-1) - self.loc)
        return k if self.batch_shape else k.reshape(lead)

    def _unit(self) -> Tensor:
        return self.direction / self.direction.norm(dim=-1, keepdim=True)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        unit = self._unit()
        t = (x * unit).sum(-1) - self.loc
        k = self._branch(t)
        folded, log_slope = self._fold(t, k)
        z = x + (folded - t).unsqueeze(-1) * unit
        return z, _pick(self._gated(z, unit, context), k) + log_slope

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        unit = self._unit()
        z = expand_batch(z, self.batch_shape, 1)
        log_gate = self._gated(z, unit, context)
        k = self._drawn(z, log_gate)
        folded = (z * unit).sum(-1) - self.loc
        t, log_slope = self._unfold(folded, k)
        return z + (t - folded).unsqueeze(-1) * unit, log_slope - _pick(log_gate, k)

    def _gated(self, z: Tensor, unit: Tensor, context: Tensor | None) -> Tensor:
        """Log p(k | z), (n_branches, *batch_shape, N)."""
        columns = self.gate.columns(z.mT, None if context is None else context.mT)
        logits = bounded(columns, self.bound).movedim(-2, 0)
        return self._log_gate((z * unit).sum(-1) - self.loc, logits)

    def _drawn(self, z: Tensor, log_gate: Tensor) -> Tensor:
        # All bits count: those of a double that holds a float lie in its upper half.
        bits = z.detach().contiguous().view(_INTEGERS[z.dtype]).to(torch.int64)
        u = hashed_uniform((bits >> 32) ^ bits ^ self.salt)[..., 0]
        reached = log_gate.detach().exp().cumsum(0)
        # the total is one up to rounding, and a branch of probability zero is never drawn
        return (u.to(z.dtype) * reached[-1] >= reached[:-1]).sum(0)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        if not self.batch_shape:
            lay_fold(self, x, context)
            return
        x = expand_batch(x, self.batch_shape, 1)
        for k in range(self.batch_shape[0]):
            own = context if context is None or context.ndim == 2 else context[k]
            select_component(self, k)._initialize(
                x[k], own, generator
            )  # its tensors are views of these

    @abstractmethod
    def _branch(self, t: Tensor) -> Tensor:
        """The branch of t."""

    @abstractmethod
    def _fold(self, t: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """f(t) and log|f'(t)| on branch k."""

    @abstractmethod
    def _unfold(self, z: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """T on branch k, and log|dt/df|."""

    @abstractmethod
    def _log_gate(self, z: Tensor, logits: Tensor) -> Tensor:
        """Log p(k | f(t) = z) from the network's logits, such that the density is continuous."""

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, n_branches={self.n_branches}"


class AbsoluteFold(Fold):
    r"""Two branches that mirror each other at a learned point.

    .. math:: f(t) = \tfrac1\beta \log(e^{\beta|t|} - 1), \qquad
        p(+ \mid z) = \sigma(\beta|t|\, g(z))

    The absolute value alone has the image :math:`[0, \infty)`, where a base on the whole line
    loses mass. The inverse of softplus opens the half-line to the line: it is close to |t| beyond
    :math:`1/\beta`, and a logarithm nearer to zero. At zero itself the gate is one half, and the
    density is continuous.

    Args:
        features: D.
        sharpness: :math:`\beta` at the start; training keeps it within a factor of two, since a
            sharp fold presses the lower tail of z into a sliver that single precision cannot tell
            from the fold itself.
        **settings: of `Fold`.

    Raises:
        ValueError: for a sharpness that is not positive, and as for `Fold`.

    Example:
        >>> fold = AbsoluteFold(1, sharpness=1.0)
        >>> x = torch.tensor([[-2.0], [2.0]])
        >>> z, term = fold.encode(x)
        >>> fold.branch(x), bool(z[0] == z[1]), term.detach().exp()
        (tensor([0, 1]), True, tensor([0.5783, 0.5783]))
    """

    n_branches = 2
    n_logits = 1

    def __init__(self, features: int, *, sharpness: float = 2.0, **settings: Any) -> None:
        if not sharpness > 0:
            raise ValueError(f"sharpness must be positive, got {sharpness}")
        super().__init__(features, **settings)
        self.sharpness = sharpness

    def _beta(self) -> Tensor:
        return self.sharpness * bounded(self.log_scale, math.log(2)).exp()

    def _branch(self, t: Tensor) -> Tensor:
        return (t >= 0).to(torch.int64)

    def _fold(self, t: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        beta = self._beta()
        size = (beta * t.abs()).clamp_min(torch.finfo(t.dtype).tiny)
        log_rest = log1mexp(size)
        return (size + log_rest) / beta, -log_rest

    def _unfold(self, z: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        beta = self._beta()
        size = softplus(beta * z) / beta
        return torch.where(k == 1, size, -size), logsigmoid(beta * z)

    def _log_gate(self, z: Tensor, logits: Tensor) -> Tensor:
        log_odds = softplus(self._beta() * z) * logits[0]
        return torch.stack((logsigmoid(-log_odds), logsigmoid(log_odds)))


class TriFold(Fold):
    r"""Three segments of slopes -1, 1, -1 that meet at :math:`\pm b`, learned.

    .. math:: f(t) = \begin{cases} -t - 2b & t < -b \\ t & |t| \le b \\ 2b - t & t > b
        \end{cases}

    The outer branches have the images :math:`(-b, \infty)` and :math:`(-\infty, b)`, the middle
    one :math:`(-b, b)`. The density is continuous because the weights of the two branches that meet
    at an end of an image vanish there,

    .. math:: w_1 = e^{g_1} (z + b)_+, \quad w_2 = e^{g_2} (z + b)_+ (b - z)_+, \quad
        w_3 = e^{g_3} (b - z)_+, \quad p(k \mid z) = w_k / \textstyle\sum_j w_j

    so that the density is zero at :math:`\pm b`: the fold points become the empty valleys between
    modes.

    Args:
        features: D.
        width: b at the start; training keeps it within a factor of twenty.
        **settings: of `Fold`.

    Raises:
        ValueError: for a width that is not positive, and as for `Fold`.

    Example:
        >>> fold = TriFold(1, width=1.0)
        >>> x = torch.tensor([[-2.5], [0.5], [1.5]])
        >>> z, term = fold.encode(x)
        >>> fold.branch(x), z.detach().ravel(), term.detach().exp()
        (tensor([0, 1, 2]), tensor([0.5000, 0.5000, 0.5000]), tensor([0.5455, 0.2727, 0.1818]))
    """

    n_branches = 3
    n_logits = 3

    def __init__(self, features: int, *, width: float = 1.0, **settings: Any) -> None:
        if not width > 0:
            raise ValueError(f"width must be positive, got {width}")
        super().__init__(features, **settings)
        self.width = width

    def _b(self) -> Tensor:
        return self.width * bounded(self.log_scale, 3.0).exp()

    def _branch(self, t: Tensor) -> Tensor:
        b = self._b()
        return (t >= -b).to(torch.int64) + (t > b).to(torch.int64)

    def _fold(self, t: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        sign = torch.where(k == 1, 1.0, -1.0).to(t.dtype)
        return sign * (t - 2 * self._b() * (k - 1)), torch.zeros_like(t)

    def _unfold(self, z: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        sign = torch.where(k == 1, 1.0, -1.0).to(z.dtype)
        return sign * z + 2 * self._b() * (k - 1), torch.zeros_like(z)

    def _log_gate(self, z: Tensor, logits: Tensor) -> Tensor:
        b = self._b()
        left, right = _log_positive(z + b), _log_positive(b - z)
        return torch.log_softmax(logits + torch.stack((left, left + right, right)), 0)


N_DIRECTIONS, QUANTILES = 24, (0.3, 0.4, 0.5, 0.6, 0.7)
N_ROWS, N_NEAREST, NEIGHBOUR, LUMP = 600, 200, 3, 0.5


@torch.no_grad()
def lay_fold(fold: Fold, x: Tensor, context: Tensor | None = None) -> None:
    r"""Give a fold the direction and the location behind which one Gaussian fits x best.

    .. math:: \min_{u, a} \tfrac12 \log\det \operatorname{Cov}(z) - \overline{\mathrm{term}}

    The candidates are the coordinates and random directions, of a generator of its own that the
    fold's salt seeds, each at some quantiles of the projections.

    Args:
        fold: without component axis; its direction and loc are overwritten.
        x: (N, D).
        context: (N, C) where the fold takes one.
    """
    (features,) = fold.event_shape
    generator = torch.Generator().manual_seed(int(fold.salt.flatten()[0]))
    rows = torch.randperm(len(x), generator=generator)[:N_ROWS].to(x.device)
    x, context = x[rows], None if context is None else context[rows]
    random = torch.randn(N_DIRECTIONS, features, generator=generator)
    best, best_score = (fold.direction.clone(), fold.loc.clone()), torch.inf
    for direction in torch.cat((torch.eye(features)[:N_DIRECTIONS], random)).to(x):
        fold.direction.copy_(direction / direction.norm())
        for loc in _locations(x @ fold.direction[0]):
            fold.loc.fill_(loc)
            score = _score(*fold._encode(x, context, None))
            if score < best_score:
                best, best_score = (fold.direction.clone(), fold.loc.clone()), score
    fold.direction.copy_(best[0])
    fold.loc.copy_(best[1])


def _locations(t: Tensor) -> Tensor:
    """Quantiles, and the middle: with two clusters of unlike size no quantile lies between them."""
    low, *inner, high = torch.quantile(t, t.new_tensor((0.05, *QUANTILES, 0.95)))
    return torch.stack((*inner, (low + high) / 2))


def _score(z: Tensor, term: Tensor) -> float:
    """Entropy behind a fold, up to constants, and half the negative log-likelihood of a Gaussian.

    The entropy, by nearest neighbours (Kozachenko, Leonenko, 1987), tells whether the pieces lie on
    each other; the Gaussian prefers folds that leave one lump.
    """
    z, offset = z.double(), float(term.double().mean())
    distances = torch.cdist(z[:N_NEAREST], z)
    nearest = distances.kthvalue(min(NEIGHBOUR + 1, len(z)), dim=-1).values  # first is the point
    entropy = z.shape[-1] * nearest.clamp_min(1e-12).log().mean() - offset
    covariance = torch.atleast_2d(torch.cov(z.mT))
    jitter = 1e-9 * torch.eye(len(covariance), dtype=z.dtype, device=z.device)
    gaussian = 0.5 * torch.logdet(covariance + jitter) - offset
    return float(entropy + LUMP * gaussian)


def fold_codes(transform: Transform, x: Tensor, context: Tensor | None = None) -> Tensor:
    """The branches that points take in all folds of a transform: their discrete code.

    Args:
        transform: a fold, or a composition that holds folds at any depth.
        x: (N, D), or with a component axis (*batch_shape, N, D).
        context: as for ``encode``.

    Returns:
        int64, (..., N, n_folds), in the order of ``encode``.

    Example:
        >>> chain = Compose([AbsoluteFold(2, coordinate=0), AbsoluteFold(2, coordinate=1)])
        >>> fold_codes(chain, torch.tensor([[2.0, 0.1], [-2.0, 3.0]]))
        tensor([[1, 1],
                [0, 1]])
    """
    codes: list[Tensor] = []
    _collect(transform, x, context, codes)
    return torch.stack(codes, -1) if codes else x.new_zeros((*x.shape[:-1], 0), dtype=torch.int64)


def _collect(
    transform: Transform, x: Tensor, context: Tensor | None, codes: list[Tensor]
) -> Tensor:
    """Add the branches of x to codes; give z."""
    if isinstance(transform, Compose):
        for part in transform.transforms:
            x = _collect(part, x, context, codes)
        return x
    if isinstance(transform, Fold):
        codes.append(transform.branch(x))
    return transform.encode(x, context)[0]


_INTEGERS = {torch.float64: torch.int64, torch.float32: torch.int32, torch.float16: torch.int16}
_INTEGERS[torch.bfloat16] = torch.int16


def _pick(log_gate: Tensor, k: Tensor) -> Tensor:
    return log_gate.gather(0, k.unsqueeze(0)).squeeze(0)


def _log_positive(s: Tensor) -> Tensor:
    """Log of the positive part, minus infinity below zero.

    At zero itself it is as low as the dtype has it: a point on a fold gets a density of next to
    zero, with finite gradients, and not a logarithm of zero.
    """
    log_s = s.clamp_min(torch.finfo(s.dtype).tiny).log()
    return torch.where(s >= 0, log_s, -torch.inf)
