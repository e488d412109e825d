"""The battery over every registered transform."""

import pytest
import torch

from anabranch import transforms
from tests import battery
from tests.discovery import exported
from tests.registry import TRANSFORMS, classes_in, configs, ids, seeded

ALL = configs(TRANSFORMS)
STRUCTURES = ("elementwise-", "coupling-a", "coupling-p", "autoregressive-")
# where one and five features can show nothing new
CORE = [c for c in ALL if c.case.features in (2, 3) or not c.case.name.startswith(STRUCTURES)]
BIJECTIONS = [c for c in ALL if c.case.exact and c.case.bijective]
INVERTIBLE = [c for c in ALL if c.case.bijective]
SURJECTIONS = [c for c in ALL if not c.case.bijective]
STACKED = [c for c in ALL if c.batch_shape]
CONTEXTUAL = [c for c in ALL if c.context_features and not c.batch_shape]
REAL = [c for c in CORE if c.case.domain == "real"]


def over(chosen):
    return pytest.mark.parametrize("config", chosen, ids=ids(chosen))


def fullest(*names):
    return [c for c in ALL if c.case.name in names and c.full]


def leads(config):
    """Leading shapes that the config must accept."""
    return [(6,), (*config.batch_shape, 6)] if config.batch_shape else [(), (5,), (3, 4), (0,)]


def test_every_exported_class_is_registered():
    registered = classes_in([config.build() for config in ALL])
    classes = {c for c in exported(transforms).values() if isinstance(c, type)}
    concrete = {c for c in classes if not getattr(c, "__abstractmethods__", None)}
    abstract = {transforms.Transform, transforms.ScalarMap, transforms.Fold}
    assert concrete - abstract - registered == set()


def test_names_are_unique():
    assert len({case.name for case in TRANSFORMS}) == len(TRANSFORMS)


@over(INVERTIBLE)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
def test_round_trip(config, dtype):
    transform = config.build(dtype)
    for lead in leads(config):
        x, context = config.case.points(*lead, dtype=dtype), config.context(*lead, dtype=dtype)
        battery.check_round_trip(transform, x, context, tolerance=battery.TOLERANCE[dtype])
        battery.check_shapes(transform, x, context)


@over(SURJECTIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
def test_encode_undoes_decode(config, dtype):
    transform = config.build(dtype)
    for lead in leads(config):
        z, context = config.case.points(*lead, dtype=dtype), config.context(*lead, dtype=dtype)
        # near its fold the absolute value, a difference, has few digits in single precision
        few = dtype == torch.float32 and config.case.name.startswith("fold-absolute")
        tolerance = 2e-2 if few else battery.TOLERANCE[dtype]
        battery.check_section(transform, z, context, tolerance=tolerance)
        battery.check_shapes(transform, z, context)


@over(BIJECTIONS)
def test_log_det(config):
    battery.check_log_det(config.build(), config.case.points(6), config.context(6))


@over(CORE)
def test_rows_are_independent(config):
    battery.check_rows_independent(config.build(), config.case.points(6), config.context(6))


@over(CORE)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
def test_dtype_and_device(config, dtype):
    x, context = config.case.points(4, dtype=dtype), config.context(4, dtype=dtype)
    battery.check_dtype_and_device(config.build(dtype), x, context)


@over(ALL)
def test_every_parameter_gets_a_gradient(config):
    transform = config.build(scale=0.3)  # small, so that not all of the rectifiers are dead
    x = config.case.points(40)
    context = config.context(40)
    if config.case.features > 1:  # one feature sees no other: its weights are dead by design
        battery.check_parameters_matter(transform, x, context)
    battery.check_transform_finite(transform, x, context)


@over(REAL)
@pytest.mark.parametrize("scale", [1.0, 5.0, 20.0])
def test_finite_far_outside(config, scale):
    transform = config.build(torch.float32, scale=scale)
    corners = torch.tensor([-1e4, -1e3, -30.0, 0.0, 30.0, 1e3, 1e4])
    x = corners.unsqueeze(-1).expand(-1, config.case.features).clone()
    x[1::2] = x[1::2] * torch.linspace(-1, 1, config.case.features)
    battery.check_transform_finite(transform, x, config.context(7, dtype=torch.float32))


@over(STACKED)
def test_stack_equals_a_loop(config):
    battery.check_stack(config.build(), config.case.points(6), config.context(6))


@over(CONTEXTUAL)
def test_context_broadcasts(config):
    transform = config.build()
    x, context = config.case.points(3), config.context(3)
    for function in (transform.encode, transform.decode):
        battery.check_context_broadcast(lambda p, c, f=function: f(p, c)[0], x, context)
        battery.check_context_broadcast(lambda p, c, f=function: f(p, c)[1], x, context)


@over(CORE)
def test_state(config):
    transform = config.build()
    x, context = config.case.points(6), config.context(6)
    if config.case.initializes:
        transform.initialize(3 * x + 1, context)
    fresh = config.build(seed=1)
    battery.check_state(transform, fresh, lambda t: torch.cat(_flat(t.encode(x, context))))
    assert torch.equal(transform.decode(x, context)[0], fresh.decode(x, context)[0])


@over(CORE)
def test_copies(config):
    x, context = config.case.points(6), config.context(6)
    battery.check_copies(config.build(), lambda t: torch.cat(_flat(t.encode(x, context))))


def _flat(pair):
    return [t.detach().flatten() for t in pair]


# one of each kind, in its fullest configuration: compiling costs a third of a second
COMPILED = fullest(
    *("elementwise-prelu-2", "coupling-additive-2", "coupling-affine-3", "coupling-scattered-5"),
    *("autoregressive-affine-2", "iaf-3", "triangular-2", "lu-2", "actnorm-3", "batchnorm-3"),
    *("permutation-3", "reverse-3", "standardize-2", "logit-2", "dequantization-2", "realnvp-3"),
    *("coupling-spline-3", "coupling-spline-free-3", "autoregressive-mixture-cdf-3"),
    *("autoregressive-sigmoidal-3", "autoregressive-gated-3"),
    *("shared-after-stacked-2", "inverse-lu-3", "fold-absolute-2", "fold-tri-2"),
    *("planar-3", "radial-3", "block-3", "rotation-3", "expansion-3"),
)


@over(COMPILED)
def test_compiles(config):
    transform, x, context = config.build(), config.case.points(4), config.context(4)
    battery.check_compile(transform.encode, x, context)


@over(CORE)
def test_errors(config):
    transform, features = config.build(), config.case.features
    x, context = config.case.points(4), config.context(4)
    given = () if context is None else (context,)
    for call in (transform.encode, transform.decode, transform.initialize):
        battery.check_shape_errors(call, features, *given)
        battery.check_dtype_error(transform, call, x, *given)
        if given:
            battery.check_context_errors(call, x, config.context_features)


@over([c for c in CORE if c.batch_shape])
def test_wrong_stack_is_an_error(config):
    transform = config.build()
    x = torch.zeros(4, 5, config.case.features, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"3, N.*\(4, 5"):
        transform.encode(x, config.context(4, 5))


@over(CORE)
def test_repr(config):
    battery.check_repr(config.build())


@over([c for c in CORE if not c.context_features])
def test_unneeded_context_is_ignored(config):
    transform, x = config.build(), config.case.points(6)
    other = torch.randn(6, 9, generator=seeded(0), dtype=torch.float64)
    assert torch.equal(transform.encode(x, other)[0], transform.encode(x)[0])


def test_a_stack_may_have_several_axes():
    for case in TRANSFORMS:
        if not case.stackable:
            continue
        context = 2 if case.contextual else 0
        transform = case.make((2, 3), context)
        given = torch.ones(4, 2, dtype=torch.float64) if context else None
        x = case.points(4)
        z, term = transform.encode(x, given)
        assert z.shape == (2, 3, 4, case.features)
        assert term.shape == (2, 3, 4)
        if case.bijective:
            battery.same(transform.decode(z, given)[0], x.expand_as(z), 1e-9)
        else:
            y, _ = transform.decode(x, given)
            battery.same(transform.encode(y, given)[0], x.expand_as(z), 1e-9)
