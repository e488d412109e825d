"""The battery over every registered transform.

One test is one check of one configuration, in both precisions and at all scales.
"""

import pytest
import torch

from anabranch import transforms
from anabranch.contracts.domain import REAL
from tests import battery
from tests.discovery import exported
from tests.registry import CONTEXT, TRANSFORMS, Config, classes_in, configs, fullest, ids, seeded

ALL = configs(TRANSFORMS)
PRECISIONS = (torch.float64, torch.float32)
FIXED = [c for c in ALL if not c.case.stochastic]  # no draw that a row or a component would shift


def over(chosen):
    return pytest.mark.parametrize("config", chosen, ids=ids(chosen))


def each(cases, **where):
    """The fullest configurations of the cases whose fields have these values."""
    chosen = [c for c in cases if all(getattr(c, key) == value for key, value in where.items())]
    return over([fullest(case) for case in chosen])


def leads(config):
    """Leading shapes that the config must accept."""
    return [(6,), (*config.batch_shape, 6)] if config.batch_shape else [(), (5,), (3, 4), (0,)]


def latents(transform, *lead, dtype=torch.float64):
    return 1.5 * torch.randn(*lead, *transform.latent_shape, generator=seeded(7), dtype=dtype)


def test_every_exported_class_is_registered():
    registered = classes_in([fullest(case).build() for case in TRANSFORMS])
    classes = {c for c in exported(transforms).values() if isinstance(c, type)}
    concrete = {c for c in classes if not getattr(c, "__abstractmethods__", None)}
    abstract = {transforms.Transform, transforms.ScalarMap, transforms.Fold, transforms.Split}
    abstract |= {transforms.Vine}
    assert concrete - abstract - registered == set()


def test_names_are_unique():
    assert len({case.name for case in TRANSFORMS}) == len(TRANSFORMS)


@over([c for c in ALL if c.case.bijective])
def test_round_trip(config):
    for dtype in PRECISIONS:
        transform = config.build(dtype)
        for lead in leads(config):
            x, context = config.case.points(*lead, dtype=dtype), config.context(*lead, dtype=dtype)
            tolerance = max(battery.TOLERANCE[dtype], config.case.solved)
            battery.check_round_trip(transform, x, context, tolerance=tolerance)
            battery.check_shapes(transform, x, context)


@over([c for c in ALL if not c.case.bijective and c.case.exact])
def test_encode_undoes_decode(config):
    for dtype in PRECISIONS:
        transform = config.build(dtype)
        # near its fold the absolute value, a difference, has few digits in single precision
        few = dtype == torch.float32 and config.case.name.startswith("fold-absolute")
        tolerance = 2e-2 if few else battery.TOLERANCE[dtype]
        for lead in leads(config):
            z, context = latents(transform, *lead, dtype=dtype), config.context(*lead)
            context = None if context is None else context.to(dtype)
            battery.check_section(transform, z, context, tolerance=tolerance)
            x = config.case.points(*lead, dtype=dtype)
            battery.check_shapes(transform, x, context)


@over([c for c in FIXED if c.case.bijective and c.case.exact and not c.case.domain.discrete])
def test_log_det(config):
    given = config.build(), config.case.points(4), config.context(4)
    battery.check_log_det(*given, tolerance=max(1e-8, config.case.solved))


@each(TRANSFORMS, stochastic=True)
def test_draws(config):
    battery.check_stochastic(config.build(), config.case.points(6), config.context(6))


@each(TRANSFORMS)
def test_domains(config):
    transform = config.build()
    assert transform.domain is None or config.case.domain.within(transform.domain)
    battery.check_domains(transform, config.case.points(6), config.context(6))


@over(ALL)
def test_rows_dtype_and_device(config):
    transform = config.build()
    if not config.case.stochastic:
        battery.check_rows_independent(transform, config.case.points(4), config.context(4))
    for dtype, devices in ((torch.float64, battery.DEVICES[:1]), (torch.float32, battery.DEVICES)):
        x, context = config.case.points(4, dtype=dtype), config.context(4, dtype=dtype)
        devices = devices if config.full else devices[:1]
        battery.check_dtype_and_device(config.build(dtype), x, context, devices)


@over([c for c in ALL if not c.case.domain.discrete])
def test_every_parameter_gets_a_gradient(config):
    transform = config.build(scale=0.3)  # small, so that not all of the rectifiers are dead
    x = config.case.points(40)
    context = config.context(40)
    if config.case.features > 1:  # one feature sees no other: its weights are dead by design
        battery.check_parameters_matter(transform, x, context)
    battery.check_transform_finite(transform, x, context)


@over([c for c in ALL if c.full and c.case.domain == REAL])
def test_finite_far_outside(config):
    corners = torch.tensor([-1e4, -1e3, -30.0, 0.0, 30.0, 1e3, 1e4])
    x = corners.unsqueeze(-1).expand(-1, config.case.features).clone()
    x[1::2] = x[1::2] * torch.linspace(-1, 1, config.case.features)
    x = x.reshape(7, *config.case.event_shape)
    for scale in (1.0, 5.0, 20.0):
        transform = config.build(torch.float32, scale=scale)
        battery.check_transform_finite(transform, x, config.context(7, dtype=torch.float32))


@over([c for c in FIXED if c.batch_shape])
def test_stack_equals_a_loop(config):
    battery.check_stack(config.build(), config.case.points(6), config.context(6))


@over([Config(c, (), CONTEXT) for c in TRANSFORMS if c.contextual and not c.stochastic])
def test_context_broadcasts(config):
    transform = config.build()
    x, context = config.case.points(3), config.context(3)
    z = transform.encode(x, context)[0].detach()
    for function, points in ((transform.encode, x), (transform.decode, z)):
        for which in (0, 1):
            battery.check_context_broadcast(
                lambda p, c, f=function, i=which: f(p, c)[i], points, context
            )


@over([c for c in ALL if c.full])
def test_state_and_copies(config):
    transform = config.build()
    x, context = config.case.points(6), config.context(6)
    if config.case.initializes:
        transform.initialize(3 * x + 1, context)
    fresh = config.build(seed=1)

    def encoded(t):
        return torch.cat([y.detach().flatten() for y in battery.seed(t.encode, x, context)])

    battery.check_state(transform, fresh, encoded)
    z = battery.seed(transform.encode, x, context)[0]
    pair = (battery.seed(t.decode, z, context)[0] for t in (transform, fresh))
    assert torch.equal(*pair)
    battery.check_copies(transform, encoded)


# one of each kind, in its fullest configuration: compiling costs a third of a second
COMPILED = (
    *("realnvp-3", "shared-after-stacked-2", "inverse-lu-3", "iaf-3", "bytes-2", "rotation-3"),
    *("coupling-scattered-5", "coupling-spline-3", "coupling-board-images", "expansion-3"),
    *("autoregressive-mixture-cdf-3", "autoregressive-sigmoidal-3", "autoregressive-gated-3"),
    *("fold-absolute-2", "fold-tri-2", "planar-3", "radial-3", "block-3"),
    "d-vine-turned-4",
    *("squeeze", "wavelet-db2", "conv-1x1", "elementwise-circle-2"),
)


@over([fullest(case) for case in TRANSFORMS if case.name in COMPILED])
def test_compiles(config):
    transform, x, context = config.build(), config.case.points(4), config.context(4)
    battery.check_compile(transform.encode, x, context)


def test_all_names_of_compiled_cases_exist():
    assert set(COMPILED) <= {case.name for case in TRANSFORMS}


@over([c for c in ALL if c.full])
def test_errors_and_repr(config):
    transform = config.build()
    x, context = config.case.points(4), config.context(4)
    given = () if context is None else (context,)
    z = battery.seed(transform.encode, x, *given)[0].detach()
    z = z[(0,) * len(config.batch_shape)]
    calls = (
        (transform.encode, x, transform.event_shape),
        (transform.decode, z, transform.latent_shape),
        (transform.initialize, x, transform.event_shape),
    )
    for call, points, shape in calls:
        battery.check_shape_errors(call, shape, *given)
        battery.check_dtype_error(transform, call, points, *given)
        if given:
            battery.check_context_errors(call, points, config.context_features)
    battery.check_repr(transform)
    if config.batch_shape:
        with pytest.raises(ValueError, match=r"3, N.*\(4, 5"):
            transform.encode(torch.zeros(4, 5, *x.shape[1:]).double(), config.context(4, 5))


@over([Config(c) for c in TRANSFORMS])
def test_unneeded_context_is_ignored(config):
    transform, x = config.build(), config.case.points(6)
    other = torch.randn(6, 9, generator=seeded(0), dtype=torch.float64)
    one, two = (battery.seed(transform.encode, x, c)[0] for c in (other, None))
    assert torch.equal(one, two)


@pytest.mark.parametrize("case", [c for c in TRANSFORMS if c.stackable], ids=lambda c: c.name)
def test_a_stack_may_have_several_axes(case):
    context = 2 if case.contextual else 0
    transform = case.make((2, 3), context)
    given = torch.ones(4, 2, dtype=torch.float64) if context else None
    x = case.points(4)
    z, term = battery.seed(transform.encode, x, given)
    assert z.shape == (2, 3, 4, *transform.latent_shape)
    assert term.shape == (2, 3, 4)
    if case.bijective:
        back = battery.seed(transform.decode, z, given)[0]
        battery.same(back, x.expand_as(back), 1e-6 if case.stochastic else 1e-9)
    elif case.exact:
        y, _ = battery.seed(transform.decode, z, given)
        battery.same(transform.encode(y, given)[0], z, 1e-9)
