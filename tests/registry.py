"""Every transform and distribution, with its configurations: what the battery runs on.

Adding a transform is adding one `Case` to `TRANSFORMS`; a test asserts that no exported class is
missing. A case makes nothing before its test runs. Parameters are perturbed away from the identity,
and everything is drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch import distributions as td

from anabranch.contracts import Blocks, Circle, Domain, Integers, Interval, Product, Sphere
from anabranch.contracts.domain import CIRCLE, REAL, UNIT
from anabranch.distributions import (
    Beta,
    Categories,
    Cauchy,
    Chain,
    ComponentEmbeddings,
    ConditionalMixture,
    ContaminatedMixture,
    ContextNormal,
    DiagonalNormal,
    DiscretizedLogistic,
    Distribution,
    Embedded,
    Exponential,
    Flow,
    Gamma,
    GaussianCopula,
    GaussianMixtureHead,
    GeneralizedNormal,
    Gumbel,
    HamiltonianFlow,
    Hedged,
    Independent,
    Kent,
    KernelDensity,
    Laplace,
    LatentTree,
    LocalContext,
    Logistic,
    LogisticBeta,
    LowRankNormal,
    MetropolisFlow,
    Mixture,
    Normal,
    OneHotCategorical,
    StudentT,
    TailedSpline,
    TemporalPrior,
    TorchBase,
    TreeStructure,
    TruncatedNormal,
    Uniform,
    UniformSphere,
    VampPrior,
    VonMises,
    VonMisesFisher,
    WithCategories,
)
from anabranch.functional import as_shape, standard_logistic_log_prob
from anabranch.functional.sphere import unit
from anabranch.models import (
    diagonal_bilstm,
    gated_pixelcnn,
    made,
    nade,
    pixelcnn,
    product_flow,
    rnade,
    row_lstm,
    sphere_flow,
    torus_flow,
)
from anabranch.networks import MLP, CausalTransformer, ConvNet, GlowNet, TransformerSizes
from anabranch.transforms import (
    DCT,
    AbsoluteFold,
    ActNorm,
    Additive,
    Affine,
    Augment,
    Autoregressive,
    BatchNorm,
    BinaryDequantization,
    BlockAutoregressive,
    Cells,
    Channels,
    Checkerboard,
    CircularSpline,
    Columns,
    Compose,
    Concatenate,
    ContinuousFlow,
    ConvexCombination,
    Coupling,
    CubicSpline,
    CVine,
    DeepSigmoidal,
    DenseLinear,
    Dependence,
    DistributionalTransform,
    DVine,
    Elementwise,
    EmbeddedTransform,
    EveryOther,
    ExponentialMap,
    FactorOut,
    FrameWise,
    GatedAffine,
    GivenPart,
    Half,
    HouseholderProduct,
    IntegerShift,
    Inverse,
    InvertibleConv,
    LeakyTanh,
    LinearSpline,
    LocalExpansion,
    Logit,
    LULinear,
    Mask,
    MixtureLogisticCDF,
    ModuloAffine,
    Moebius,
    MultiScale,
    NonCompactProjection,
    NormalScores,
    OneHot,
    OnInterval,
    Pad,
    Permutation,
    Planar,
    Power,
    PReLU,
    QRLinear,
    QuadraticSpline,
    Radial,
    RationalQuadratic,
    RecursiveSphere,
    Reshape,
    Residual,
    Reverse,
    Rotation,
    RVine,
    ScalarMap,
    Scale,
    SignedScale,
    Softplus,
    Sort,
    Split,
    Squeeze,
    Standardize,
    StructuredAffine,
    SumOfSquares,
    Support,
    SVDLinear,
    Tanh,
    TopK,
    Transform,
    TriangularAffine,
    TriFold,
    UniformDequantization,
    VAELayer,
    VariationalDequantization,
    Wavelet,
)
from tests.discovery import untried_maps

Shape = tuple[int, ...]
Make = Callable[[Shape, int, Generator], Any]

LEVELS = 5
INF = float("inf")
HIDDEN = (8, 6)
BITS, BYTES = Integers(2), Integers(LEVELS)


@dataclass(frozen=True)
class Case:
    """A registered module.

    Attributes:
        name: unique in its registry.
        event: D, or the shape of an event.
        factory: makes the module from batch_shape, context_features and a generator.
        domain: where its data live.
        contextual: whether it takes a context.
        stackable: whether it takes a batch_shape.
        exact: whether its term or log_prob is exact.
        stochastic: whether it draws random numbers, in either direction, in evaluation too.
        bijective: False where several points share one z; decode then draws one of them.
        initializes: whether it has a data-dependent initialisation.
        smooth: whether a grid integrates its density accurately.
        thorough: whether it is tried with context and with component axis alone, too, and not only
            plain and with both.
        solved: how far a solver in fixed steps may be off, both ways and in its term; 0 for none.
    """

    name: str
    event: int | Shape
    factory: Make
    domain: Domain = REAL
    contextual: bool = False
    stackable: bool = True
    exact: bool = True
    stochastic: bool = False
    bijective: bool = True
    initializes: bool = False
    smooth: bool = True
    thorough: bool = False
    solved: float = 0.0

    @property
    def event_shape(self) -> Shape:
        return as_shape(self.event, "event")

    @property
    def features(self) -> int:
        """How many numbers an event has."""
        return prod(self.event_shape)

    def make(
        self,
        batch_shape: Shape = (),
        context_features: int = 0,
        dtype: torch.dtype = torch.float64,
        generator: Generator | None = None,
    ) -> Any:
        """Make the module as a user would, in evaluation mode; not perturbed."""
        generator = seeded(0) if generator is None else generator
        return self.factory(batch_shape, context_features, generator).to(dtype).eval()

    def points(self, *lead: int, dtype: torch.dtype = torch.float64, seed: int = 7) -> Tensor:
        """Data of shape (*lead, *event_shape) in the domain."""
        return draw(self.domain, (*lead, *self.event_shape), dtype, seeded(seed))


@dataclass(frozen=True)
class Config:
    """A case with or without component axis and context."""

    case: Case
    batch_shape: Shape = ()
    context_features: int = 0

    @property
    def full(self) -> bool:
        """Whether it has a component axis and a context as far as the case allows."""
        stacked = bool(self.batch_shape) == self.case.stackable
        return stacked and bool(self.context_features) == self.case.contextual

    @property
    def id(self) -> str:
        stack = f"-stack{self.batch_shape}" if self.batch_shape else ""
        return f"{self.case.name}{stack}{'-context' if self.context_features else ''}"

    def build(
        self,
        dtype: torch.dtype = torch.float64,
        *,
        scale: float = 1.0,
        seed: int = 0,
        std: float = 0.3,
    ) -> Any:
        """Make the module, initialise it where data do that, and perturb its parameters."""
        module = self.case.make(self.batch_shape, self.context_features, dtype, seeded(seed))
        return perturb(module, scale=scale, std=std, seed=seed)

    def context(self, *lead: int, dtype: torch.dtype = torch.float64) -> Tensor | None:
        """A context of shape (*lead, C), or None where the module takes none."""
        if not self.context_features:
            return None
        shape = (*lead, self.context_features)
        return torch.randn(shape, dtype=dtype, generator=seeded(11))


def seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def draw(domain: Domain | None, shape: Shape, dtype: torch.dtype, generator: Generator) -> Tensor:
    """Points of a domain; of the line where there is none."""
    if isinstance(domain, Integers):
        low, high = (0, domain.levels) if domain.levels else (-20, 21)
        return torch.randint(low, high, shape, generator=generator).to(dtype)
    if isinstance(domain, Product):
        columns = (draw(part, shape[:-1], dtype, generator) for part in domain.parts)
        return torch.stack(list(columns), -1)
    if isinstance(domain, Blocks):
        blocks = zip(domain.parts, domain.sizes, strict=True)
        return torch.cat([draw(p, (*shape[:-1], n), dtype, generator) for p, n in blocks], -1)
    if isinstance(domain, Circle) or (isinstance(domain, Interval) and domain.length < INF):
        u = torch.rand(shape, generator=generator, dtype=dtype) * 0.98 + 0.01
        return domain.length * u + (domain.lower if isinstance(domain, Interval) else domain.origin)
    x = torch.randn(shape, generator=generator, dtype=dtype) * 1.5
    if isinstance(domain, Sphere):
        return unit(x)
    return x if domain in (None, REAL) else _inside(domain, x)


def _inside(domain: Domain, x: Tensor) -> Tensor:
    """Points of a half-line."""
    assert isinstance(domain, Interval)
    return domain.lower + x.exp() if domain.lower > -INF else domain.upper - x.exp()


@torch.no_grad()
def perturb(module: nn.Module, *, scale: float = 1.0, std: float = 0.3, seed: int = 0) -> Any:
    """Move every parameter away from the identity by seeded noise, then multiply it by scale."""
    generator = seeded(1000 + seed)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.add_(noise.to(parameter.dtype), alpha=std).mul_(scale)
    return module


# --- transforms ---------------------------------------------------------------------------------

MAPS: dict[str, ScalarMap] = {
    "additive": Additive(),
    "affine": Affine(),
    "prelu": PReLU(),
    "scale": Scale(),
    "affine-softsign": Affine(law="softsign"),
    "affine-atan": Affine(law="atan"),
    "gated": GatedAffine(),
    "spline": RationalQuadratic(),
    "spline-free": RationalQuadratic(bins=3, ends="free"),
    "mixture-cdf": MixtureLogisticCDF(components=4),
    "sigmoidal": DeepSigmoidal(hidden=4),
    "linear-spline": LinearSpline(),
    "quadratic-spline": QuadraticSpline(),
    "cubic-spline": CubicSpline(bins=3),
    "interval": OnInterval(RationalQuadratic(bins=3), 0.0, 3.0),
    "sum-of-squares": SumOfSquares(),
}
NEW_MAPS = untried_maps(MAPS.values())
MAPS |= NEW_MAPS
# what is tried in every structure; each other map in those where it is at home
EVERYWHERE = (
    *(("affine", d) for d in (1, 2, 3, 5)),
    *(("prelu", d) for d in (1, 3)),
    ("additive", 2),
)
AT_HOME = {
    "elementwise": (
        *(("scale", 3), ("affine-atan", 1), ("spline", 1), ("mixture-cdf", 1)),
        *((name, 1) for name in ("cubic-spline", "interval", "sum-of-squares")),
    ),
    "coupling": (
        ("affine-softsign", 3),
        ("spline", 3),
        ("spline-free", 3),
        ("mixture-cdf", 3),
        ("linear-spline", 2),
    ),
    "autoregressive": (
        ("gated", 3),
        ("spline", 3),
        ("mixture-cdf", 3),
        ("sigmoidal", 3),
        ("quadratic-spline", 2),
    ),
}


def _dependence() -> Transform:
    """One column that the others nearly determine."""
    dependence = Dependence(3, [0, 1, 2])
    multiples = torch.tensor([[0.0, 0.0, 0.5], [0.0, 0.0, -2.0], [0.0, 0.0, 0.0]])
    dependence.set_multiples(multiples=multiples, scale=torch.tensor([1.0, 1.0, 0.25]))
    return dependence


def _elementwise(scalar_map: ScalarMap, features: int) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        return Elementwise(
            scalar_map,
            features,
            hidden=HIDDEN,
            context_features=context,
            batch_shape=batch_shape,
            generator=generator,
        )

    return factory


def _coupling(scalar_map: ScalarMap, features: int, mask: Sequence[bool] | None = None) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        return Coupling(
            scalar_map,
            features,
            split=None if mask is None else Mask(mask),
            hidden=HIDDEN,
            context_features=context,
            activation="tanh",
            batch_shape=batch_shape,
            generator=generator,
        )

    return factory


def _conv_coupling(
    scalar_map: ScalarMap, split: Split, *, patch: int = 1, event: int | Shape | None = None
) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        return Coupling(
            scalar_map,
            split.shape if event is None else event,
            split=split,
            context_features=context,
            conditioner=partial(ConvNet, channels=4, patch=patch, activation="tanh"),
            batch_shape=batch_shape,
            generator=generator,
        )

    return factory


def _modulo(features: int, levels: int, *, back: bool = True) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        orders = ([0] * (features - 1) + [1], list(range(features)))
        known = {"hidden": [8], "generator": generator}
        maps = [ModuloAffine(order, levels, **known) for order in orders]
        ends = [OneHot(features, levels), *maps]
        return Compose([*ends, Inverse(ends[0])] if back else ends)

    return factory


def _autoregressive(
    scalar_map: ScalarMap, features: int, ordering: Sequence[int] | None = None
) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        return Autoregressive(
            scalar_map,
            features,
            ordering=ordering,
            hidden=HIDDEN,
            context_features=context,
            batch_shape=batch_shape,
            generator=generator,
        )

    return factory


def _transformer(features: int, ordering: Sequence[int]) -> Make:
    """An autoregressive map whose network is one of attention, in tokens of two."""
    sizes = TransformerSizes(token_size=2, width=4, heads=2, blocks=1)
    network = partial(CausalTransformer, sizes=sizes)
    return lambda batch_shape, context, generator: Autoregressive(
        Affine(),
        features,
        conditioner=network,
        ordering=ordering,
        context_features=context,
        batch_shape=batch_shape,
        generator=generator,
    )


def _inverse(inner: Make) -> Make:
    return lambda batch_shape, context, generator: Inverse(inner(batch_shape, context, generator))


def _compose(*parts: Make, shared: int = 0) -> Make:
    """The first ``shared`` parts serve all components; the others are stacked."""

    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        return Compose(
            part(() if i < shared else batch_shape, context, generator)
            for i, part in enumerate(parts)
        )

    return factory


def _alone(make: Callable[[], Transform]) -> Make:
    """A part without component axis or context."""
    return lambda batch_shape, context, generator: make()


def _stacked(make: Callable[..., Transform]) -> Make:
    """A part with a component axis, and without context."""
    return lambda batch_shape, context, generator: make(batch_shape=batch_shape)


def _initialised(inner: Make) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        transform = inner(batch_shape, context, generator).eval()
        points = torch.randn(50, *transform.event_shape, generator=generator)
        transform.initialize(points * 2 + 1)
        return transform

    return factory


def _lu(features: int) -> Make:
    return lambda batch_shape, context, generator: LULinear(
        features, batch_shape=batch_shape, generator=generator
    )


def _gaussian(features: int, diagonal: bool = False) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        transform = TriangularAffine(features, diagonal=diagonal, batch_shape=batch_shape)
        loc = torch.randn(*batch_shape, features, generator=generator)
        tril = 0.5 * torch.randn(*batch_shape, features, features, generator=generator).tril(-1)
        scale = 0.5 + torch.rand(*batch_shape, features, generator=generator)
        transform.set_gaussian(loc, tril + torch.diag_embed(scale))
        return transform

    return factory


def _structures() -> list[Case]:
    structures = (
        ("elementwise", _elementwise),
        ("coupling", _coupling),
        ("autoregressive", _autoregressive),
    )
    return [
        Case(
            f"{structure}-{name}-{d}",
            d,
            make(MAPS[name], d),
            contextual=True,
            thorough=(name, d) == ("affine", 3),
        )
        for structure, make in structures
        for name, d in (*EVERYWHERE, *AT_HOME[structure], *((name, 3) for name in NEW_MAPS))
    ]


def _amortised(kind: Callable[..., Transform], features: int) -> Make:
    """A transform whose parameters are free, or an MLP's of the context."""
    return lambda batch_shape, context, generator: kind(
        features,
        hidden=HIDDEN,
        context_features=context,
        batch_shape=batch_shape,
        generator=generator,
    )


def _planar(features: int) -> Make:
    return _compose(_amortised(Planar, features), _amortised(Radial, features))


def _rotation(features: int) -> Make:
    return lambda batch_shape, context, generator: Rotation(
        features, batch_shape=batch_shape, generator=generator
    )


def _fold(fold: type[AbsoluteFold] | type[TriFold], features: int) -> Make:
    return lambda batch_shape, context, generator: fold(
        features,
        coordinate=features - 1,
        hidden=HIDDEN,
        context_features=context,
        activation="tanh",
        batch_shape=batch_shape,
        generator=generator,
    )


FOLDS = {"absolute": AbsoluteFold, "tri": TriFold}


def _folds() -> list[Case]:
    return [
        Case(f"fold-{name}-{d}", d, _fold(fold, d), contextual=True, bijective=False)
        for name, fold in FOLDS.items()
        for d in (1, 2, 3)
    ]


def _rad_transform(features: int) -> Make:
    return _compose(
        _fold(TriFold, features),
        _coupling(AFFINE, features),
        _stacked(lambda **k: ActNorm(features, **k)),
        _fold(AbsoluteFold, features),
    )


def _set_by(kind: Callable[..., Any], event: int, draw_rows: Callable[..., Tensor]) -> Make:
    """A part that rows set at once, of rows that depend on each other."""

    def factory(batch_shape: Shape, context: int, generator: Generator) -> Any:
        part = kind(event, batch_shape=batch_shape)
        rows = draw_rows(60, event, generator=generator)
        part.fit_rows(rows, torch.rand(*batch_shape, 60, generator=generator))
        return part

    return factory


def _dependent(n: int, features: int, generator: Generator) -> Tensor:
    x = torch.randn(n, features, generator=generator)
    return (x + 0.7 * x[:, :1].abs()) / 1.3


def _integers(n: int, features: int, generator: Generator) -> Tensor:
    return torch.randint(0, LEVELS, (n, features), generator=generator).float()


def _student_spline(features: int, batch_shape: Shape) -> TailedSpline:
    return TailedSpline(
        features,
        lower={"name": "student", "df": 10.0},
        fit_share=0.3,
        bins=3,
        batch_shape=batch_shape,
    )


def _pareto_spline(features: int, batch_shape: Shape) -> TailedSpline:
    return TailedSpline(
        features, upper={"name": "pareto", "index": 0.1}, bins=3, batch_shape=batch_shape
    )


AFFINE = MAPS["affine"]
PAIRS = ("clayton", "gaussian")
TURNED = ("clayton90", "frank", "clayton180")
BOARD = Checkerboard((1, 2, 2))
TRANSFORMS: list[Case] = [
    *_structures(),
    *_folds(),
    *(Case(f"planar-{d}", d, _amortised(Planar, d), contextual=True) for d in (1, 3)),
    Case("radial-3", 3, _amortised(Radial, 3), contextual=True),
    *(Case(f"block-{d}", d, _amortised(BlockAutoregressive, d), contextual=True) for d in (1, 3)),
    Case("expansion-3", 3, _elementwise(LocalExpansion(), 3), contextual=True),
    Case("rotation-3", 3, _rotation(3)),
    Case("r-vine-3", 3, _set_by(partial(RVine, families="gaussian"), 3, _dependent)),
    Case(
        "normal-scores-2",
        2,
        _set_by(lambda d, **k: NormalScores(KernelDensity(d, kernels=8, **k)), 2, _dependent),
    ),
    Case(
        "distributional-2",
        2,
        _set_by(partial(DistributionalTransform, levels=LEVELS), 2, _integers),
        domain=BYTES,
        exact=False,
        stochastic=True,
    ),
    Case("c-vine-3", 3, _amortised(partial(CVine, families=PAIRS), 3), contextual=True),
    Case("d-vine-3", 3, _amortised(partial(DVine, families=PAIRS[::-1]), 3), contextual=True),
    Case("d-vine-turned-4", 4, _amortised(partial(DVine, families=TURNED), 4), contextual=True),
    Case("coupling-moved-first-3", 3, _coupling(AFFINE, 3, (True, False, False)), contextual=True),
    Case(
        "coupling-scattered-5",
        5,
        _coupling(AFFINE, 5, (True, False, True, False, True)),
        contextual=True,
    ),
    Case(
        "coupling-scattered-prelu-3",
        3,
        _coupling(MAPS["prelu"], 3, (False, True, False)),
        contextual=True,
    ),
    Case("coupling-board-4", 4, _conv_coupling(AFFINE, BOARD, event=4), contextual=True),
    Case(
        "coupling-board-patches-8",
        8,
        _conv_coupling(AFFINE, Checkerboard((1, 2, 4)), patch=2, event=8),
        contextual=True,
    ),
    Case(
        "coupling-board-prelu-6",
        6,
        _conv_coupling(MAPS["prelu"], Checkerboard((1, 2, 3), 1), event=6),
        contextual=True,
    ),
    Case("coupling-all-moved-2", 2, _coupling(AFFINE, 2, (True, True)), contextual=True),
    Case("coupling-bound-1", 2, _coupling(Affine(bound=1.0), 2), contextual=True),
    Case("maf-ordered-5", 5, _autoregressive(AFFINE, 5, (3, 0, 4, 1, 2)), contextual=True),
    Case("iaf-1", 1, _inverse(_autoregressive(AFFINE, 1)), contextual=True),
    Case("iaf-3", 3, _inverse(_autoregressive(AFFINE, 3, (1, 2, 0))), contextual=True),
    Case("iaf-prelu-2", 2, _inverse(_autoregressive(MAPS["prelu"], 2)), contextual=True),
    *(Case(f"triangular-{d}", d, _gaussian(d)) for d in (1, 2, 5)),
    Case("triangular-diagonal-3", 3, _gaussian(3, diagonal=True)),
    *(Case(f"lu-{d}", d, _lu(d)) for d in (1, 2, 5)),
    Case("lu-identity-3", 3, _stacked(lambda **k: LULinear(3, **k))),
    Case("actnorm-1", 1, _initialised(_stacked(lambda **k: ActNorm(1, **k))), initializes=True),
    Case("actnorm-3", 3, _initialised(_stacked(lambda **k: ActNorm(3, **k))), initializes=True),
    Case("batchnorm-3", 3, _initialised(_stacked(lambda **k: BatchNorm(3, **k))), initializes=True),
    Case(
        "permutation-channels",
        (3, 2, 2),
        _alone(lambda: Permutation([2, 0, 1], places=(2, 2))),
        stackable=False,
    ),
    Case("permutation-3", 3, _alone(lambda: Permutation([2, 0, 1])), stackable=False),
    Case("reverse-3", 3, _alone(lambda: Reverse(3)), stackable=False),
    Case(
        "standardize-2",
        2,
        _initialised(_alone(lambda: Standardize(2))),
        stackable=False,
        initializes=True,
    ),
    Case("logit-2", 2, _alone(lambda: Logit(2)), domain=UNIT, stackable=False),
    Case("logit-tight-1", 1, _alone(lambda: Logit(1, alpha=1e-6)), domain=UNIT, stackable=False),
    Case(
        "support-4",
        4,
        _alone(lambda: Support([0.0, 0.0, -INF, -INF], [1.0, INF, 2.0, INF])),
        domain=Product((UNIT, Interval(0.0), Interval(upper=2.0), REAL)),
        stackable=False,
    ),
    Case(
        "support-circle-1",
        1,
        _alone(lambda: Support([0.375], [1.375], periodic=[True], origin=[0.0])),
        domain=Product((Circle(1.0, 0.0),)),
        stackable=False,
    ),
    Case(
        "dequantization-2",
        2,
        _alone(lambda: UniformDequantization(2, levels=LEVELS)),
        domain=BYTES,
        stackable=False,
        exact=False,
    ),
    Case("dependence-3", 3, _alone(_dependence), stackable=False),
    Case(
        "cells-2",
        2,
        _alone(lambda: Cells([1.0, 0.0])),
        domain=Product((Integers(), REAL)),
        stackable=False,
        exact=False,
    ),
    Case(
        "inverse-lu-3",
        3,
        _inverse(_compose(_lu(3), _elementwise(MAPS["prelu"], 3))),
        contextual=True,
    ),
    Case(
        "realnvp-3",
        3,
        _compose(
            _initialised(_alone(lambda: Standardize(3))),
            _coupling(AFFINE, 3),
            _alone(lambda: Reverse(3)),
            _initialised(_stacked(lambda **k: ActNorm(3, **k))),
            _coupling(AFFINE, 3, (True, False, False)),
        ),
        contextual=True,
        initializes=True,
    ),
    Case(
        "maf-2",
        2,
        _compose(
            _gaussian(2),
            _autoregressive(AFFINE, 2),
            _alone(lambda: Permutation([1, 0])),
            _initialised(_stacked(lambda **k: BatchNorm(2, **k))),
            _autoregressive(AFFINE, 2),
        ),
        contextual=True,
        initializes=True,
    ),
    Case(
        "shared-trunk-2",
        2,
        _compose(
            _coupling(AFFINE, 2),
            _initialised(_stacked(lambda **k: ActNorm(2, **k))),
            _lu(2),
            _autoregressive(AFFINE, 2),
            shared=2,
        ),
        contextual=True,
        initializes=True,
    ),
    Case(
        "shared-after-stacked-2",
        2,
        _compose(
            _gaussian(2),
            lambda b, c, g: _autoregressive(AFFINE, 2)((), c, g),
            lambda b, c, g: _lu(2)((), c, g),
            lambda b, c, g: _elementwise(AFFINE, 2)((), c, g),
            lambda b, c, g: _gaussian(2)((), c, g),
            lambda b, c, g: _coupling(AFFINE, 2)((), c, g),
            _alone(lambda: ActNorm(2)),
            _alone(lambda: BatchNorm(2)),
        ),
        contextual=True,
        initializes=True,
    ),
    Case(
        "bytes-2",
        2,
        _compose(
            _alone(lambda: UniformDequantization(2, levels=LEVELS)),
            _alone(lambda: Logit(2)),
            _initialised(_alone(lambda: Standardize(2))),
            _coupling(AFFINE, 2),
        ),
        domain=BYTES,
        contextual=True,
        exact=False,
    ),
]


def _image(kind: Callable[..., Transform], *args: Any, **settings: Any) -> Make:
    """A transform of images with a component axis."""
    return lambda batch_shape, context, generator: kind(
        *args, batch_shape=batch_shape, generator=generator, **settings
    )


def _factor_out(split: Split, image: bool) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        prior = DiagonalNormal(
            split.told_shape,
            context_features=split.kept_shape,
            hidden=HIDDEN,
            conditioner=partial(ConvNet, channels=3) if image else None,
            batch_shape=batch_shape,
            generator=generator,
        )
        return FactorOut(split, prior)

    return factory


def _noisy(kind: Callable[..., Transform], event: Shape, size: int, **settings: Any) -> Make:
    """A transform with noise that depends on the event."""

    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        noise = DiagonalNormal(
            (size, *event[1:]),
            context_features=event,
            hidden=HIDDEN,
            conditioner=partial(ConvNet, channels=3) if len(event) > 1 else None,
            batch_shape=batch_shape,
            generator=generator,
        )
        return kind(event, noise, **settings)

    return factory


def _given_part(batch_shape: Shape, context: int, generator: Generator) -> Transform:
    """A coupling that is given the last number of the context, where there is one."""
    coupling = _coupling(AFFINE, 3)(batch_shape, min(context, 1), generator)
    return GivenPart(coupling, context, start=context - 1) if context else coupling


def _embedded_transform(batch_shape: Shape, context: int, generator: Generator) -> Transform:
    """A coupling given what a network makes of the context, where there is one."""
    coupling = _coupling(AFFINE, 3)(batch_shape, 4 if context else 0, generator)
    if not context:
        return coupling
    network = MLP(
        context, 4, HIDDEN, activation="tanh", batch_shape=batch_shape, generator=generator
    )
    return EmbeddedTransform(coupling, network, context)


def _frame_wise(batch_shape: Shape, context: int, generator: Generator) -> Transform:
    return FrameWise(_coupling(AFFINE, 2)((), 0, generator), 2)


def _dequantized(kind: Callable[..., Transform]) -> Make:
    """Two integers by noise that is told them, and the context."""

    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        noise = DiagonalNormal(
            2,
            context_features=2 + context,
            hidden=HIDDEN,
            batch_shape=batch_shape,
            generator=generator,
        )
        return kind(2, noise, context_shape=context)

    return factory


def _vae(features: int, latent: int) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        common = {"hidden": HIDDEN, "batch_shape": batch_shape, "generator": generator}
        return VAELayer(
            DiagonalNormal(latent, context_features=features, **common),
            DiagonalNormal(features, context_features=latent, **common),
        )

    return factory


SMALL = (2, 4, 6)


def _glow_coupling(channels: int, shape: Shape = SMALL) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Transform:
        return Coupling(
            AFFINE,
            shape,
            split=Channels(shape),
            context_features=context,
            conditioner=partial(GlowNet, channels=channels, activation="tanh"),
            batch_shape=batch_shape,
            generator=generator,
        )

    return factory


def _multi_scale(batch_shape: Shape, context: int, generator: Generator) -> Transform:
    """Two scales, the first of which is shared by the components."""
    first = Squeeze((1, 4, 4)), InvertibleConv((4, 2, 2), rotation=True, generator=generator)
    coupling = _glow_coupling(0, (8, 1, 1))(batch_shape, context, generator)
    return MultiScale([Compose(first), Compose([Squeeze((2, 2, 2)), coupling])])


LINEAR = {"householder": HouseholderProduct, "qr": QRLinear, "svd": SVDLinear, "dense": DenseLinear}
FIXED: list[Case] = [
    *(Case(f"{name}-3", 3, _image(kind, 3)) for name, kind in LINEAR.items()),
    *(
        Case(f"{name}-2", 2, _alone(make), domain=domain, stackable=False)
        for name, make, domain in (
            ("dct", lambda: DCT(2), REAL),
            ("tanh", lambda: Tanh(2), REAL),
            ("leaky-tanh", lambda: LeakyTanh(2, knee=1.0), REAL),
            ("softplus", lambda: Softplus(2), REAL),
            ("power", lambda: Power(2, -0.5), Interval(0.0)),
            ("signed", lambda: SignedScale(torch.tensor([-2.0, 0.5]), 1.0), REAL),
        )
    ),
    Case(
        "continuous-2",
        2,
        lambda b, c, g: ContinuousFlow(
            2, hidden=(4,), n_steps=8, context_features=c, batch_shape=b, generator=g
        ),
        contextual=True,
        solved=2e-5,
    ),
    Case("residual-2", 2, _amortised(partial(Residual, limit=0.5), 2), contextual=True),
    Case(
        "residual-roulette-3",
        3,
        _amortised(partial(Residual, limit=0.3, log_det="roulette"), 3),
        contextual=True,
        exact=False,
        stochastic=True,
    ),
    Case("autoregressive-transformer-4", 4, _transformer(4, (2, 0, 3, 1)), contextual=True),
    Case("sort-3", 3, _alone(lambda: Sort(3)), stackable=False, bijective=False),
    Case("top-k-4", 4, _alone(lambda: TopK(4, 2)), stackable=False, bijective=False),
    Case(
        "columns-3",
        3,
        lambda b, c, g: Columns(_coupling(AFFINE, 2)(b, c, g), [2, 0], 3),
        contextual=True,
    ),
    Case(
        "concatenate-4",
        4,
        lambda b, c, g: Concatenate([_coupling(AFFINE, 2)(b, c, g), _lu(2)(b, c, g)]),
        contextual=True,
    ),
]
SPLINE = CircularSpline(3)
SHAPED: list[Case] = [
    Case("reshape-images", 8, _alone(lambda: Reshape(8, (2, 2, 2))), stackable=False),
    Case("squeeze", SMALL, _alone(lambda: Squeeze(SMALL)), stackable=False),
    Case("wavelet-haar", SMALL, _alone(lambda: Wavelet(SMALL)), stackable=False),
    Case("wavelet-db2", SMALL, _alone(lambda: Wavelet(SMALL, "db2")), stackable=False),
    Case("conv-1x1", SMALL, _image(InvertibleConv, SMALL, rotation=True)),
    Case(
        "conv-1x1-actnorm",
        SMALL,
        _initialised(_image(InvertibleConv, SMALL, rotation=True, actnorm=True)),
        initializes=True,
    ),
    Case(
        "actnorm-images",
        SMALL,
        _initialised(_stacked(lambda **k: ActNorm(SMALL, **k))),
        initializes=True,
    ),
    Case("coupling-glow", SMALL, _glow_coupling(6), contextual=True, thorough=True),
    Case("multi-scale", (1, 4, 4), _multi_scale, contextual=True),
    Case("lu-free-3", 3, _image(LULinear, 3, bound=None, rotation=True)),
    Case("structured-4", 4, _image(StructuredAffine, 4, rank=2)),
    Case(
        "coupling-board-images",
        SMALL,
        _conv_coupling(AFFINE, Checkerboard(SMALL, 1)),
        contextual=True,
        thorough=True,
    ),
    Case("coupling-channels", SMALL, _conv_coupling(AFFINE, Channels(SMALL)), contextual=True),
    Case(
        "coupling-every-other-5",
        5,
        lambda b, c, g: Coupling(
            AFFINE, 5, split=EveryOther(5), context_features=c, batch_shape=b, generator=g
        ),
        contextual=True,
    ),
    *(
        Case(name, event, _factor_out(split, image), stochastic=True, bijective=False)
        for name, event, split, image in (
            ("factor-out-3", 3, Half(3), False),
            ("factor-out-channels", SMALL, Channels(SMALL, 1), True),
        )
    ),
    Case("augment-2", 2, _noisy(Augment, (2,), 3), exact=False, stochastic=True),
    Case("augment-images", SMALL, _noisy(Augment, SMALL, 1), exact=False, stochastic=True),
    Case("pad-2", 2, _alone(lambda: Pad(2, 1)), exact=False, stochastic=True, stackable=False),
    Case("frame-wise-4", 4, _frame_wise, stackable=False),
    Case("given-part-3", 3, _given_part, contextual=True),
    Case("embedded-transform-3", 3, _embedded_transform, contextual=True),
    Case(
        "binary-dequantization-2",
        2,
        _dequantized(BinaryDequantization),
        domain=BITS,
        contextual=True,
        exact=False,
        stochastic=True,
    ),
    Case(
        "conditional-dequantization-2",
        2,
        _dequantized(partial(VariationalDequantization, levels=LEVELS)),
        domain=BYTES,
        contextual=True,
        exact=False,
        stochastic=True,
    ),
    Case(
        "variational-dequantization-2",
        2,
        _noisy(VariationalDequantization, (2,), 2, levels=LEVELS),
        domain=BYTES,
        exact=False,
        stochastic=True,
    ),
    Case("vae-layer-3", 3, _vae(3, 2), exact=False, stochastic=True, bijective=False),
    *(
        Case(f"{name}-circle-{d}", d, make(kind, d), domain=CIRCLE, contextual=True)
        for name, make, kind, d in (
            ("elementwise", _elementwise, Moebius(2), 2),
            ("autoregressive", _autoregressive, Moebius(2), 2),
            ("autoregressive-spline", _autoregressive, CircularSpline(4), 3),
            ("coupling-projection", _coupling, NonCompactProjection(2), 2),
            ("coupling-combination", _coupling, ConvexCombination((Moebius(1), SPLINE)), 3),
        )
    ),
    *(
        Case(
            f"recursive-sphere-{d}",
            d,
            lambda b, c, g, d=d: RecursiveSphere(
                d,
                circle_map=Moebius(2),
                bins=3,
                hidden=HIDDEN,
                context_features=c,
                batch_shape=b,
                generator=g,
            ),
            domain=Sphere(),
            contextual=True,
        )
        for d in (2, 3, 4, 5)
    ),
    *(
        Case(
            f"exponential-map-{d}-{terms}",
            d,
            _image(ExponentialMap, d, terms=terms),
            domain=Sphere(),
        )
        for d, terms in ((3, 0), (3, 2), (4, 2))
    ),
    Case(
        "rotation-learned-3", 3, _image(Rotation, 3, learned=True, domain=Sphere()), domain=Sphere()
    ),
    Case(
        "autoregressive-circle-ordered-4",
        4,
        _autoregressive(CircularSpline(3), 4, (2, 0, 3, 1)),
        domain=CIRCLE,
        contextual=True,
    ),
    Case(
        "coupling-integers-3", 3, _coupling(IntegerShift(), 3), domain=Integers(), contextual=True
    ),
    Case("modulo-3", 3, _modulo(3, 5), domain=Integers(5), stackable=False),
    Case(
        "two-scales",
        (1, 4, 4),
        lambda b, c, g: Compose(
            [
                Squeeze((1, 4, 4)),
                _conv_coupling(AFFINE, Channels((4, 2, 2)))(b, c, g),
                _factor_out(Channels((4, 2, 2)), True)(b, c, g),
                InvertibleConv((2, 2, 2), batch_shape=b, generator=g),
            ]
        ),
        contextual=True,
        stochastic=True,
        bijective=False,
    ),
]
TRANSFORMS += SHAPED + FIXED


# --- distributions ------------------------------------------------------------------------------


def _base(kind: Callable[..., Distribution], features: int) -> Make:
    return lambda batch_shape, context, generator: kind(features, batch_shape=batch_shape)


def _diagonal_normal(features: int) -> Make:
    return lambda batch_shape, context, generator: DiagonalNormal(
        features,
        context_features=context,
        hidden=HIDDEN,
        batch_shape=batch_shape,
        generator=generator,
    )


def _gaussian_copula(features: int, structure: str) -> Make:
    return lambda batch_shape, context, generator: GaussianCopula(
        features,
        structure=structure,
        context_features=context,
        hidden=HIDDEN,
        batch_shape=batch_shape,
        generator=generator,
    )


def _logistic(z: Tensor, context: Tensor | None) -> Tensor:
    """A density whose force is bounded and not linear, around a place that the context moves."""
    place = 0.0 if context is None else context[..., : z.shape[-1]]
    return standard_logistic_log_prob(2 * (z - place))


def _metropolis(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
    base = _diagonal_normal(2)((), context, generator)
    return MetropolisFlow(base, _logistic, n_levels=2)


def _hamiltonian(features: int, *, learn_reverse: bool, n_rounds: int) -> Make:
    def make(batch_shape: Shape, context: int, generator: Generator) -> HamiltonianFlow:
        return HamiltonianFlow(
            _diagonal_normal(features)((), context, generator),
            _logistic,
            n_rounds=n_rounds,
            n_steps=2,
            learn_reverse=learn_reverse,
            hidden=HIDDEN,
            generator=generator,
        )

    return make


def _vamp_prior(posterior: Make, shares: bool) -> Make:
    def make(batch_shape: Shape, context: int, generator: Generator) -> VampPrior:
        rows = torch.rand(3, 4, generator=generator)
        encoder = MLP(4, 5, (6,), generator=generator)
        return VampPrior(posterior((), 5, generator), encoder, rows, shares=shares)

    return make


def _temporal_prior(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
    """Two frames of two scales."""
    return TemporalPrior([(2, 1, 1), (1, 1, 1)], 2, channels=3, generator=generator)


def _independent(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
    """Two mixtures told by a network of the context, where there is one."""
    if not context:
        return _diagonal_normal(2)(batch_shape, 0, generator)
    head = GaussianMixtureHead(2)
    net = MLP(context, head.n_params * 2, HIDDEN, activation="tanh", generator=generator)
    network = nn.Sequential(net, nn.Unflatten(-1, (head.n_params, 2)))
    return Independent(head, network, 2, context)


def _context_normal(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
    """Around its context where there is one, a standard normal elsewhere."""
    if not context:
        return Normal(3, batch_shape=batch_shape)
    return ContextNormal(
        3, context_features=context, free=3 - context, std=0.5, batch_shape=batch_shape
    )


def _embedded(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
    """A normal given what a network makes of its context, where there is one."""
    if not context:
        return _diagonal_normal(2)(batch_shape, 0, generator)
    settings = {"batch_shape": batch_shape, "generator": generator}
    normal = DiagonalNormal(2, context_features=3, hidden=HIDDEN, **settings)
    return Embedded(normal, MLP(context, 3, HIDDEN, activation="tanh", **settings), context)


def _flow(base: Make, transform: Make, *, shared_base: bool = False) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
        return Flow(
            base(() if shared_base else batch_shape, context, generator),
            transform(batch_shape, context, generator),
        )

    return factory


def _spread_out(features: int, size: int) -> Make:
    """A stack of Gaussians that stand apart, so that components can be told from each other."""

    def factory(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
        outer = TriangularAffine(features, batch_shape=(size,))
        loc = 4.0 * torch.arange(size).unsqueeze(-1) * torch.ones(features)
        outer.set_gaussian(loc, torch.eye(features).expand(size, features, features))
        inner = _autoregressive(AFFINE, features)((size,), context, generator)
        return Flow(Normal(features), Compose([outer, inner]))

    return factory


def _mixture(*groups: Make, weights: Sequence[float] | None = None) -> Make:
    def factory(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
        return Mixture([group((), context, generator) for group in groups], weights)

    return factory


def _hedged(density: Make, anchor: Make) -> Make:
    return lambda batch_shape, context, generator: Hedged(
        density(batch_shape, context, generator), anchor(batch_shape, context, generator), 0.6
    )


def _contaminated(group: Make, features: int) -> Make:
    return lambda batch_shape, context, generator: ContaminatedMixture(
        group((2,), context, generator), StudentT(features, df=30, scale=1.5), 0.3
    )


def _realnvp(features: int) -> Make:
    return _flow(
        _base(Normal, features),
        _compose(
            _coupling(AFFINE, features),
            _alone(lambda: Reverse(features)),
            _initialised(_stacked(lambda **k: ActNorm(features, **k))),
            _coupling(AFFINE, features),
        ),
    )


def _maf(features: int, base: Callable[..., Distribution] = Normal) -> Make:
    return _flow(
        _base(base, features),
        _compose(
            _autoregressive(AFFINE, features),
            _alone(lambda: Reverse(features)),
            _autoregressive(AFFINE, features),
        ),
    )


def _iaf(features: int) -> Make:
    return _flow(_base(Normal, features), _inverse(_autoregressive(AFFINE, features)))


def _logit_flow(features: int) -> Make:
    return _flow(
        _base(Logistic, features),
        _compose(
            _alone(lambda: Logit(features)),
            _alone(lambda: Standardize(features)),
            _coupling(Additive(), features),
            shared=2,
        ),
    )


def _bytes_flow(features: int) -> Make:
    return _flow(
        _base(Normal, features),
        _compose(
            _alone(lambda: UniformDequantization(features, levels=LEVELS)),
            _alone(lambda: Logit(features)),
            _autoregressive(AFFINE, features),
            shared=2,
        ),
    )


def _mixture_based(features: int) -> Make:
    """A flow over a mixture: the base has no component axis and serves all components."""
    return _flow(
        _mixture(_spread_out(features, 3), weights=(0.5, 0.3, 0.2)),
        _compose(_gaussian(features), _coupling(AFFINE, features)),
        shared_base=True,
    )


def _recipe(make: Callable[..., Distribution], features: int, **keywords: Any) -> Make:
    """A recipe; its weights come from the generator."""

    def factory(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
        seed = int(torch.randint(1 << 30, (), generator=generator))
        return make(
            features, context_features=context, batch_shape=batch_shape, seed=seed, **keywords
        )

    return factory


def _one_hot(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
    maps = _modulo(2, 3, back=False)((), 0, generator)
    return Flow(OneHotCategorical([1, 0], 3, hidden=[4], generator=generator), maps)


def _local_context(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
    """Levels of pixels; what is zero at first is drawn, so that contexts are heard."""
    sizes = {"levels": 3, "n_neighbours": 4, "hidden": [6], "reach": 1, "n_mirrored": 1}
    sizes["context_features"] = context
    model = LocalContext((2, 3), **sizes, generator=generator)
    with torch.no_grad():
        model.last.weight.normal_(0, 0.5, generator=generator)
    return model


def _component_embeddings(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
    """Components of one normal; the mixture of three of them where none are asked for."""
    normal = DiagonalNormal(2, context_features=3, hidden=HIDDEN, generator=generator)
    components = ComponentEmbeddings(normal, *(batch_shape or (3,)), generator=generator)
    return components if batch_shape else Mixture(components)


def _categories(batch_shape: Shape, context: int, generator: Generator) -> Categories:
    return Categories([2, 4], batch_shape=batch_shape)


def _with_categories(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
    normal = Normal(1, batch_shape=batch_shape)
    return WithCategories(normal, _categories(batch_shape, context, generator))


def _discrete() -> list[Case]:
    """Distributions of bits; tests/distributions/test_autoregressive.py lists all their states."""
    bits = {
        "nade": _recipe(nade, 3, hidden=8),
        "made": _recipe(made, 3, hidden=[8]),
        "made-orderings": _recipe(made, 3, hidden=[8], n_orderings=3),
    }
    cases = [Case(f"bits-{k}", 3, m, domain=BITS, contextual=True) for k, m in bits.items()]
    mixed = _mixture(*bits.values(), weights=(0.5, 0.3, 0.2))
    cases.append(Case("discrete-flow", 2, _one_hot, domain=Integers(3), stackable=False))
    two = Product((Integers(2), Integers(4)))
    cases.append(Case("categories", 2, _categories, domain=two))
    beside = Product((REAL, *two.parts))
    cases.append(Case("with-categories", 3, _with_categories, domain=beside))
    cases.append(
        Case("local-context", (2, 3), _local_context, Integers(3), contextual=True, stackable=False)
    )
    return [*cases, Case("mixture-bits", 3, mixed, domain=BITS, contextual=True, stackable=False)]


def _pixels() -> list[Case]:
    """Distributions of images, with each head; they have no component axis."""
    kinds: list[tuple[str, Shape, Any, dict[str, Any]]] = [
        ("gated-bits", (1, 2, 3), gated_pixelcnn, {"n_layers": 2}),
        ("softmax", (2, 2, 2), pixelcnn, {"n_blocks": 1, "levels": 3}),
        ("logistics", (1, 2, 2), row_lstm, {"n_layers": 1, "levels": 5, "head": "logistics"}),
        ("tempered", (1, 2, 2), diagonal_bilstm, {"n_layers": 1, "levels": 3}),
    ]

    def make(name: str, shape: Shape, model: Any, keywords: dict[str, Any]) -> Make:
        def factory(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
            seed = int(torch.randint(1 << 30, (), generator=generator))
            made = model(shape, channels=4, context_features=context, seed=seed, **keywords)
            return made.tempered(0.8) if name == "tempered" else made

        return factory

    return [
        Case(
            f"pixels-{kind[0]}",
            kind[1],
            make(*kind),
            domain=Integers(kind[3].get("levels", 2)),
            contextual=True,
            stackable=False,
        )
        for kind in kinds
    ]


def _of_features(d: int) -> list[Case]:
    unlike = (_realnvp(d), _spread_out(d, 2), _iaf(d))
    plain = _flow(_base(Normal, d), _gaussian(d))
    return [
        Case(f"normal-{d}", d, _base(Normal, d)),
        Case(f"logistic-{d}", d, _base(Logistic, d)),
        Case(f"student-{d}", d, _base(partial(StudentT, df=30), d)),
        Case(f"contaminated-{d}", d, _contaminated(plain, d), stackable=False),
        Case(f"flow-gaussian-{d}", d, plain),
        Case(f"flow-realnvp-{d}", d, _realnvp(d), contextual=True, initializes=True),
        Case(f"flow-maf-{d}", d, _maf(d), contextual=True),
        Case(f"flow-maf-logistic-{d}", d, _maf(d, Logistic), contextual=True),
        Case(f"flow-iaf-{d}", d, _iaf(d), contextual=True),
        Case(
            f"flow-prelu-{d}",
            d,
            _flow(_base(Normal, d), _compose(_lu(d), _elementwise(MAPS["prelu"], d), _lu(d))),
            contextual=True,
            smooth=False,
        ),
        *(
            Case(
                f"flow-fold-{name}-{d}",
                d,
                _flow(_base(Normal, d), _fold(fold, d)),
                contextual=True,
                smooth=False,  # steep valleys at the folds
            )
            for name, fold in FOLDS.items()
        ),
        Case(
            f"flow-rad-{d}",
            d,
            _flow(_base(Normal, d), _rad_transform(d)),
            contextual=True,
            smooth=False,
        ),
        Case(
            f"flow-logit-{d}",
            d,
            _logit_flow(d),
            domain=UNIT,
            contextual=True,
            smooth=False,  # the density jumps at the faces of the cube
        ),
        Case(
            f"flow-bytes-{d}",
            d,
            _bytes_flow(d),
            domain=BYTES,
            contextual=True,
            exact=False,
        ),
        *(
            Case(f"{name}-{d}", d, make, contextual=True)
            for name, make in (
                ("rnade", _recipe(rnade, d, hidden=8, components=3)),
                (
                    "made-laplacians-orderings",
                    _recipe(made, d, head="laplacians", components=2, hidden=[8], n_orderings=2),
                ),
            )
            if d != 2 or name == "rnade"
        ),
        Case(
            f"flow-shared-base-{d}",
            d,
            _flow(_base(Normal, d), _realnvp_transform(d), shared_base=True),
            contextual=True,
        ),
        Case(
            f"flow-on-flow-{d}",
            d,
            _flow(_maf(d), _compose(_gaussian(d), _coupling(AFFINE, d)), shared_base=True),
            contextual=True,
        ),
        Case(f"flow-on-mixture-{d}", d, _mixture_based(d), contextual=True),
        Case(
            f"mixture-stacked-{d}",
            d,
            _mixture(_spread_out(d, 3), weights=(0.2, 0.5, 0.3)),
            contextual=True,
            stackable=False,
        ),
        Case(f"hedged-{d}", d, _hedged(_maf(d), plain), contextual=True),
        Case(f"mixture-unlike-{d}", d, _mixture(*unlike), contextual=True, stackable=False),
        Case(
            f"mixture-part-conditional-{d}",
            d,
            _mixture(_spread_out(d, 2), plain, _base(Logistic, d), weights=(0.4, 0.3, 0.2, 0.1)),
            contextual=True,
            stackable=False,
        ),
        Case(
            f"mixture-of-mixtures-{d}",
            d,
            _mixture(_mixture(_spread_out(d, 2), plain), _mixture_based(d)),
            contextual=True,
            stackable=False,
        ),
    ]


def _products() -> list[Case]:
    """Products of spaces; the first has factors that see nothing of each other."""
    small = {
        "circle": {"name": "torus_flow", "circle_map": "moebius", "size": 2, "n_layers": 1},
        "sphere": {"name": "sphere_flow", "size": 2, "bins": 3, "n_layers": 1},
        "real": {"name": "maf", "n_layers": 1},
    }
    small = {kind: {**spec, "hidden": [8], "activation": "tanh"} for kind, spec in small.items()}
    blocks = [["circle", 2], ["sphere", 3], ["real", 2]]

    def independent(b: Shape, c: int, g: Generator) -> Chain:
        parts = [VonMises(concentration=2.0, batch_shape=b, generator=g)]
        return Chain([*parts, DiagonalNormal(1, batch_shape=b)])

    return [
        Case("chain-2", 2, independent, domain=Blocks((CIRCLE, REAL), (1, 1)), smooth=False),
        Case(
            "product-flow-7",
            7,
            _recipe(product_flow, 7, blocks=blocks, **small),
            domain=Blocks((CIRCLE, Sphere(), REAL), (2, 3, 2)),
            contextual=True,
        ),
    ]


def _realnvp_transform(features: int) -> Make:
    return _compose(_coupling(AFFINE, features), _lu(features))


def _conditional_mixture(batch_shape: Shape, context: int, generator: Generator) -> Distribution:
    """Weights by a network of the context; without one there are none but plain weights."""
    components = _spread_out(2, 2)((), 0, generator)
    if not context:
        return Mixture(components)
    return ConditionalMixture(components, context, hidden=(4,), generator=generator)


def _families() -> list[Case]:
    """Independent numbers; those of the line have draws enough to be compared with a grid."""
    place = {"loc": torch.tensor([0.5]), "scale": 0.8}
    tail, share = Interval(1.5), Interval(-0.5, 1.0)
    kinds: list[tuple[str, Callable[..., Distribution], Domain, bool]] = [
        ("laplace", partial(Laplace, **place), REAL, False),
        ("gumbel", partial(Gumbel, **place), REAL, True),
        ("generalized-normal", partial(GeneralizedNormal, power=3.0, **place), REAL, True),
        ("logistic-beta", partial(LogisticBeta, alpha=3.0), REAL, True),
        ("exponential", partial(Exponential, rate=2.0), Interval(0.0), False),
        ("gamma", partial(Gamma, concentration=3.0), Interval(0.0), True),
        ("beta", partial(Beta, alpha=3.0), UNIT, True),
        ("truncated", lambda d, **k: TruncatedNormal(d, share, **place, **k), share, False),
        ("truncated-tail", lambda d, **k: TruncatedNormal(d, tail, **k), tail, False),
    ]
    lows = {"cauchy-2": partial(Cauchy, **place)}
    return [
        *(
            Case(f"{name}-1", 1, _base(kind, 1), domain=domain, smooth=smooth)
            for name, kind, domain, smooth in kinds
        ),
        *(Case(name, (2, 2), _base(kind, (2, 2))) for name, kind in lows.items()),
        Case(
            "torch-base-2",
            2,
            lambda b, c, g: TorchBase(td.Normal(torch.zeros(2), torch.tensor([1.0, 2.0]))),
            stackable=False,
        ),
        Case(
            "low-rank-normal-2",
            2,
            lambda b, c, g: LowRankNormal(2, 1, batch_shape=b, generator=g),
        ),
        Case(
            "conditional-mixture-2",
            2,
            _conditional_mixture,
            contextual=True,
            stackable=False,
        ),
    ]


def _latent_tree(*structure: Any) -> Make:
    """A tree of discrete variables; it takes no context and no component axis."""
    return lambda batch_shape, context, generator: LatentTree(
        TreeStructure(*structure), generator=generator
    )


DISTRIBUTIONS: list[Case] = [
    Case("temporal-prior-6", 6, _temporal_prior, stackable=False),
    Case("independent-2", 2, _independent, contextual=True, stackable=False),
    Case("context-normal-3", 3, _context_normal, contextual=True),
    Case("embedded-2", 2, _embedded, contextual=True),
    Case("component-embeddings-2", 2, _component_embeddings),
    Case("uniform-1", 1, _base(Uniform, 1), domain=UNIT, smooth=False),
    Case("discretized-logistic-2", 2, _base(DiscretizedLogistic, 2), domain=Integers()),
    Case("normal-images", SMALL, lambda b, c, g: Normal(SMALL, batch_shape=b)),
    Case(
        "flow-two-scales",
        (1, 4, 4),
        lambda b, c, g: Flow(
            Normal((2, 2, 2), batch_shape=b),
            Compose(
                [
                    Squeeze((1, 4, 4)),
                    _conv_coupling(AFFINE, Channels((4, 2, 2)))(b, c, g),
                    _factor_out(Channels((4, 2, 2)), True)(b, c, g),
                ]
            ),
        ),
        contextual=True,
    ),
    Case(
        "flow-circle-1",
        1,
        lambda b, c, g: Flow(Uniform(1, CIRCLE), _elementwise(Moebius(2), 1)(b, c, g)),
        domain=CIRCLE,
        contextual=True,
        smooth=False,
    ),
    Case("uniform-sphere-4", 4, _base(UniformSphere, 4), domain=Sphere()),
    *(
        Case(
            f"von-mises-fisher-{d}",
            d,
            lambda b, c, g, d=d: VonMisesFisher(d, concentration=3.0, batch_shape=b, generator=g),
            domain=Sphere(),
        )
        for d in (2, 3, 4)
    ),
    Case(
        "kent-3",
        3,
        lambda b, c, g: Kent(concentration=4.0, batch_shape=b, generator=g),
        domain=Sphere(),
    ),
    Case(
        "von-mises-1",
        1,
        lambda b, c, g: VonMises(concentration=2.0, batch_shape=b, generator=g),
        domain=CIRCLE,
        smooth=False,
    ),
    Case(
        "von-mises-2",
        2,
        lambda b, c, g: VonMises(2, concentration=2.0, batch_shape=b, generator=g),
        domain=CIRCLE,
        smooth=False,
    ),
    Case(
        "flow-sphere-3",
        3,
        _recipe(sphere_flow, 3, n_layers=2, size=2, bins=3, hidden=[8]),
        domain=Sphere(),
        contextual=True,
    ),
    Case(
        "flow-torus-2",
        2,
        _recipe(torus_flow, 2, size=4, n_layers=1, hidden=[8]),
        domain=CIRCLE,
        contextual=True,
        smooth=False,
    ),
    *_products(),
    *_families(),
    *(case for d in (1, 2, 3) for case in _of_features(d)),
    *_discrete(),
    *_pixels(),
    *(
        Case(f"latent-tree-{len(pouches)}", len(pouches), make, stackable=False)
        for pouches in (((0,),), ((0,), (1,)))
        for make in [_latent_tree((2, 3), (-1, 0), pouches, range(2 - len(pouches), 2))]
    ),
    Case(
        "latent-tree-3", 3, _latent_tree((3, 2), (-1, 0), ((0, 2), (1,)), (0, 1)), stackable=False
    ),
    Case("diagonal-normal-1", 1, _diagonal_normal(1), contextual=True),
    *(
        Case(f"gaussian-copula-{kind}-{d}", d, _gaussian_copula(d, kind), contextual=True)
        for kind, d in (("cholesky", 1), ("cholesky", 2), ("rank-one", 2))
    ),
    Case(
        "metropolis-flow-2",
        2,
        _metropolis,
        exact=False,
        stochastic=True,
        contextual=True,
        stackable=False,
    ),
    *(
        Case(
            f"hamiltonian-flow-{learned}-2",
            2,
            _hamiltonian(2, learn_reverse=learned, n_rounds=1 if learned else 3),
            exact=False,
            stochastic=True,
            contextual=True,
            stackable=False,
        )
        for learned in (True, False)
    ),
    *(
        Case(f"vamp-prior-{name}-2", 2, _vamp_prior(q, shares), stackable=False)
        for name, q, shares in (
            ("normal", _diagonal_normal(2), False),
            ("copula", _gaussian_copula(2, "cholesky"), True),
        )
    ),
    *(
        Case(f"{name}-{d}", d, _set_by(kind, d, _dependent), smooth=name == "kernel-density")
        for name, kind in (
            ("kernel-density", partial(KernelDensity, kernels=8)),
            ("student-spline", _student_spline),
            ("pareto-spline", _pareto_spline),
        )
        for d in (1, 2)
        if d == 1 or name != "pareto-spline"
    ),
    Case("flow-planar-2", 2, _flow(_diagonal_normal(2), _planar(2)), contextual=True),
    Case(
        "flow-block-2",
        2,
        _flow(_base(Normal, 2), _inverse(_amortised(BlockAutoregressive, 2))),
        contextual=True,
    ),
]


# --- selections ---------------------------------------------------------------------------------

STACK = (3,)
CONTEXT = 2


def configs(cases: Sequence[Case]) -> list[Config]:
    """Each case plain and in its fullest configuration; a thorough one also between the two."""
    chosen = []
    for case in cases:
        plain, full = Config(case), fullest(case)
        between = [Config(case, STACK), Config(case, (), CONTEXT)] if case.thorough else []
        chosen += [plain, *between, *([full] if full != plain else [])]
    return chosen


def fullest(case: Case) -> Config:
    """With component axis and context, as far as the case allows."""
    return Config(case, STACK if case.stackable else (), CONTEXT if case.contextual else 0)


def ids(chosen: Sequence[Config]) -> list[str]:
    return [config.id for config in chosen]


def classes_in(modules: Sequence[nn.Module]) -> set[type]:
    """The classes of all modules inside, scalar maps and heads included."""
    found: set[type] = set()
    for module in modules:
        for part in module.modules():
            found.add(type(part))
            found.add(type(getattr(part, "scalar_map", None)))
            found.add(type(getattr(part, "head", None)))
    return found
