"""Laws of tails: survival, its inverse and density of a standard upper tail, in logarithms."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

from anabranch.functional.logspace import log1mexp
from anabranch.functional.normal_scores import normal_score
from anabranch.functional.numbers import check_positive
from anabranch.functional.roots import implicit

TailSpec = str | Mapping[str, object]


@dataclass(frozen=True)
class Tail(ABC):
    """A law of the line, or of its positive half, whose upper tail others take.

    Source of the use: Wiese, Knobloch, Korn (2019), "Copula & marginal flows", arXiv:1907.03361.
    """

    @property
    def whole(self) -> bool:
        """Whether it is a law of the whole line, and more than a tail."""
        return True

    @abstractmethod
    def log_survival(self, s: Tensor) -> Tensor:
        r""":math:`\log P(S > s)`, of the shape of s, in float64."""

    @abstractmethod
    def inverse(self, log_p: Tensor) -> Tensor:
        r"""The s with :math:`\log P(S > s) = \log p`, for p up to a half."""

    @abstractmethod
    def log_density(self, s: Tensor) -> Tensor:
        """The log-density at s."""


@dataclass(frozen=True)
class GaussianTail(Tail):
    """That of the normal law: beyond all powers.

    Example:
        >>> tail = GaussianTail()
        >>> tail.inverse(tail.log_survival(torch.tensor(3.0).double()))
        tensor(3.0000, dtype=torch.float64)
    """

    def log_survival(self, s: Tensor) -> Tensor:
        """See `Tail`."""
        return torch.special.log_ndtr(-s)

    def inverse(self, log_p: Tensor) -> Tensor:
        """See `Tail`."""
        return -normal_score(log_p, log1mexp(-log_p))

    def log_density(self, s: Tensor) -> Tensor:
        """See `Tail`."""
        return -s.square() / 2 - 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class ParetoTail(Tail):
    r"""The generalised Pareto law of what exceeds a high threshold.

    .. math:: P(S > s) = (1 + \xi s)^{-1/\xi}, \qquad s > 0

    Args:
        index: :math:`\xi`, one over the power with which the tail falls.

    Raises:
        ValueError: for an index that is not positive.

    Source: Pickands (1975), "Statistical inference using extreme order statistics".

    Example:
        >>> ParetoTail(0.5).log_survival(torch.tensor(2.0).double()).exp()  # 1 / 2**2
        tensor(0.2500, dtype=torch.float64)
    """

    index: float = 0.25

    def __post_init__(self) -> None:
        check_positive(self, ("index",))

    @property
    def whole(self) -> bool:
        """It has no other half."""
        return False

    def log_survival(self, s: Tensor) -> Tensor:
        """See `Tail`."""
        return -torch.log1p(self.index * s) / self.index

    def inverse(self, log_p: Tensor) -> Tensor:
        """See `Tail`."""
        return torch.expm1(-self.index * log_p) / self.index

    def log_density(self, s: Tensor) -> Tensor:
        """See `Tail`."""
        return -(1 + 1 / self.index) * torch.log1p(self.index * s)


@dataclass(frozen=True)
class StudentTail(Tail):
    r"""That of Student's t law, which falls with a power as Pareto's and bends as a normal before.

    Args:
        df: degrees of freedom, the power.

    Raises:
        ValueError: for df that is not positive.

    Example:
        >>> tail = StudentTail(3.0)  # 5.8409 is its quantile of 0.995
        >>> tail.log_survival(torch.tensor(5.8409093).double()).exp()
        tensor(0.0050, dtype=torch.float64)
    """

    df: float = 3.0

    def __post_init__(self) -> None:
        check_positive(self, ("df",))

    def log_survival(self, s: Tensor) -> Tensor:
        """See `Tail`."""
        return _log_student(-s, self)

    def inverse(self, log_p: Tensor) -> Tensor:
        """See `Tail`."""
        if log_p.is_meta:
            return torch.empty_like(log_p)
        with torch.no_grad():
            found = _scipy_special().stdtrit(self.df, log_p.detach().exp().cpu().numpy())
            root = torch.as_tensor(found, dtype=log_p.dtype, device=log_p.device)
            slope = (self.log_density(root) - log_p).exp()
        return -implicit(lambda s: _log_student(s, self), root, log_p, slope)

    def log_density(self, s: Tensor) -> Tensor:
        """See `Tail`."""
        half = (self.df + 1) / 2
        level = math.lgamma(half) - math.lgamma(self.df / 2) - 0.5 * math.log(self.df * math.pi)
        return level - half * torch.log1p(s.square() / self.df)


TAILS: dict[str, type[Tail]] = {
    "gaussian": GaussianTail,
    "pareto": ParetoTail,
    "student": StudentTail,
}


def make_tail(spec: TailSpec) -> Tail:
    """A tail by its name, or by {"name": ..., keyword: value}.

    Raises:
        ValueError: for an unknown name or keyword.

    Example:
        >>> make_tail({"name": "student", "df": 4.0})
        StudentTail(df=4.0)
    """
    name, settings = (spec, {}) if isinstance(spec, str) else (spec.get("name"), dict(spec))
    settings.pop("name", None)
    if name not in TAILS:
        raise ValueError(f"a tail is one of {sorted(TAILS)}, got {spec!r}")
    try:
        return TAILS[str(name)](**settings)
    except TypeError as error:
        raise ValueError(f"tail {name!r} has no keyword of {sorted(settings)}: {error}") from error


def _log_student(s: Tensor, law: StudentTail) -> Tensor:
    """The logarithm of the distribution function, with derivatives of any order."""
    return _StudentLogCDF.apply(s, law)  # pyright: ignore[reportReturnType]


def _scipy_special() -> ModuleType:
    """Import scipy where it is needed: it takes a while, and changes the filters of warnings."""
    from scipy import special

    return special


class _StudentLogCDF(torch.autograd.Function):
    """torch has no incomplete beta function, scipy has; the derivative is the density."""

    generate_vmap_rule = False

    @staticmethod
    def forward(s: Tensor, law: StudentTail) -> Tensor:
        """Not less than the smallest number's logarithm."""
        if s.is_meta:
            return torch.empty_like(s)
        p = _scipy_special().stdtr(law.df, s.detach().cpu().numpy())
        found = torch.as_tensor(p, dtype=s.dtype, device=s.device)
        return found.clamp_min(torch.finfo(s.dtype).tiny).log()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # noqa: ANN001 - as torch calls it
        """Keep what the derivative needs."""
        s, ctx.law = inputs
        ctx.save_for_backward(s)

    @staticmethod
    def backward(ctx, gradient):  # noqa: ANN001, ANN205  # pyright: ignore[reportIncompatibleMethodOverride]
        """Density over distribution."""
        (s,) = ctx.saved_tensors
        return gradient * torch.exp(ctx.law.log_density(s) - _log_student(s, ctx.law)), None
