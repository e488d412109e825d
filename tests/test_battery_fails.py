"""Each helper of the battery fails on a transform or distribution with just the defect it is for.

`Good` passes all of them; each broken class below differs from it in one thing.
"""

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._dynamo.exc import Unsupported

from anabranch.contracts.domain import CIRCLE, UNIT
from anabranch.distributions import Chain, Flow, Mixture, Normal, Uniform, UniformSphere
from anabranch.transforms import Transform, TriangularAffine
from tests import battery
from tests.registry import perturb, seeded


class Good(Transform):
    """z = (x + shift(c)) exp(s), written to be broken."""

    def __init__(self, *, batch_shape=(), context_features=0):
        super().__init__(2, batch_shape=batch_shape, context_shape=context_features)
        self.shift = nn.Parameter(torch.full((*batch_shape, 1, 2), 0.3, dtype=torch.float64))
        self.log_scale = nn.Parameter(torch.full((*batch_shape, 1, 2), 0.4, dtype=torch.float64))

    def _shift(self, context):
        return self.shift if context is None else self.shift + context.sum(-1, keepdim=True)

    def _encode(self, x, context, generator):
        z = (x + self._shift(context)) * self.log_scale.exp()
        return z, self.log_scale.sum(-1).expand(z.shape[:-1])

    def _decode(self, z, context, generator):
        x = z * torch.exp(-self.log_scale) - self._shift(context)
        return x, -self.log_scale.sum(-1).expand(x.shape[:-1])


class WrongInverse(Good):
    def _decode(self, z, context, generator):
        x, term = super()._decode(z, context, generator)
        return x + 1e-6, term


class WrongDecodeTerm(Good):
    def _decode(self, z, context, generator):
        x, term = super()._decode(z, context, generator)
        return x, -term


class WrongTerm(Good):
    """Consistent in both directions, so that only the Jacobian can tell."""

    def _encode(self, x, context, generator):
        z, term = super()._encode(x, context, generator)
        return z, 2 * term

    def _decode(self, z, context, generator):
        x, term = super()._decode(z, context, generator)
        return x, 2 * term


class Mixing(Good):
    def _encode(self, x, context, generator):
        return super()._encode(x - x.mean(-2, keepdim=True), context, generator)


class ScalarTerm(Good):
    def _encode(self, x, context, generator):
        z, _ = super()._encode(x, context, generator)
        return z, self.log_scale.sum(-1)

    def encode(self, x, context=None, *, generator=None):
        return self._encode(x, context, None)


class SinglePrecisionTerm(Good):
    def _encode(self, x, context, generator):
        z, term = super()._encode(x, context, generator)
        return z, term.float()


class CpuTerm(Good):
    def _encode(self, x, context, generator):
        z, _ = super()._encode(x, context, generator)
        return z, torch.zeros(z.shape[:-1], dtype=z.dtype)


class Overflowing(Good):
    def _encode(self, x, context, generator):
        z, term = super()._encode(x, context, generator)
        return z, term + torch.exp(self.log_scale * 1e4).sum()


class NanGradient(Good):
    """Finite values, but the gradient of the square root at zero is not."""

    def _encode(self, x, context, generator):
        z, term = super()._encode(x, context, generator)
        return z, term + torch.where(x > 0, torch.sqrt(x.clamp_min(0.0)) * 0.0, 0.0).sum(-1)


class DeadParameter(Good):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.unused = nn.Parameter(torch.zeros(2, dtype=torch.float64))


class SilencedParameter(DeadParameter):
    def _encode(self, x, context, generator):
        return super()._encode(x + 0.0 * self.unused, context, generator)


class FirstComponentOnly(Good):
    def _encode(self, x, context, generator):
        z = (x + self.shift[:1]) * self.log_scale.exp()
        return z, self.log_scale.sum(-1).expand(z.shape[:-1])


class FirstContextOnly(Good):
    def _shift(self, context):
        return super()._shift(context if context is None else context[:1])


class ForgetfulState(Good):
    """A buffer that the state lacks, as ActNorm's flag in four libraries."""

    def __init__(self, seed=0):
        super().__init__()
        hidden = torch.rand(2, dtype=torch.float64, generator=seeded(seed))
        self.register_buffer("hidden", hidden, persistent=False)

    def _encode(self, x, context, generator):
        return super()._encode(x + self.hidden, context, generator)


class Unpicklable(Good):
    def __init__(self):
        super().__init__()
        self.function = lambda x: x


class Breaking(Good):
    def _encode(self, x, context, generator):
        z, term = super()._encode(x, context, generator)
        return z, term + float(x.detach().numpy().sum() * 0.0 + len(repr(x)) * 0)


class Careless(Good):
    """Broadcasts where it should refuse."""

    def encode(self, x, context=None, *, generator=None):
        return x.sum(-1, keepdim=True) + 0.0, x.sum(-1)


class Noisy(Good):
    """Draws from the generator and says so."""

    exact, stochastic = False, True

    def _encode(self, x, context, generator):
        noise = torch.rand(x.shape, generator=generator, dtype=x.dtype)
        z, term = super()._encode(x, context, generator)
        return z, term + noise.sum(-1)


class Global(Noisy):
    def _encode(self, x, context, generator):
        return super()._encode(x, context, None)


class Silent(Noisy):
    stochastic = False


class Escaping(Good):
    """Says that its latents lie between zero and one."""

    codomain = UNIT


class FlatOnly(Normal):
    """Mistakes one leading dimension for the batch."""

    def log_prob(self, x, context=None):
        return super().log_prob(x.flatten(0, -2), context)


class Nameless(Good):
    def __repr__(self):
        return ""


X = torch.randn(6, 2, generator=seeded(0), dtype=torch.float64)
C = torch.randn(6, 2, generator=seeded(1), dtype=torch.float64)


def encoded(transform):
    return transform.encode(X)[0].detach()


def distinct(kind):
    """A stack whose components differ."""
    return perturb(kind(batch_shape=(3,)))


TRANSFORM_CHECKS = {
    "section": (lambda kind: battery.check_section(kind(), X, tolerance=1e-9), WrongInverse),
    "round trip": (lambda kind: battery.check_round_trip(kind(), X, tolerance=1e-9), WrongInverse),
    "terms cancel": (
        lambda kind: battery.check_round_trip(kind(), X, tolerance=1e-9),
        WrongDecodeTerm,
    ),
    "log det": (lambda kind: battery.check_log_det(kind(), X), WrongTerm),
    "rows": (lambda kind: battery.check_rows_independent(kind(), X), Mixing),
    "shapes": (lambda kind: battery.check_shapes(kind(), X), ScalarTerm),
    "dtype": (lambda kind: battery.check_dtype_and_device(kind(), X), SinglePrecisionTerm),
    "device": (lambda kind: battery.check_dtype_and_device(kind(), X), CpuTerm),
    "finite": (lambda kind: battery.check_transform_finite(kind(), X), Overflowing),
    "finite gradient": (lambda kind: battery.check_transform_finite(kind(), 0 * X), NanGradient),
    "gradient": (lambda kind: battery.check_transform_finite(kind(), X), DeadParameter),
    "no gradient": (lambda kind: battery.check_parameters_matter(kind(), X, None), DeadParameter),
    "parameters matter": (
        lambda kind: battery.check_parameters_matter(kind(), X, None),
        SilencedParameter,
    ),
    "stack": (lambda kind: battery.check_stack(distinct(kind), X), FirstComponentOnly),
    "context": (
        lambda kind: battery.check_context_broadcast(
            lambda p, c: kind(context_features=2).encode(p, c)[0], X, C
        ),
        FirstContextOnly,
    ),
    "copies": (lambda kind: battery.check_copies(kind(), encoded), Unpicklable),
    "compile": (lambda kind: battery.check_compile(kind().encode, X), Breaking),
    "shape error": (lambda kind: battery.check_shape_errors(kind().encode, (2,)), Careless),
    "context error": (
        lambda kind: battery.check_context_errors(kind(context_features=2).encode, X, 2),
        Careless,
    ),
    "dtype error": (lambda kind: battery.check_dtype_error(kind(), kind().encode, X), Careless),
    "domains": (lambda kind: battery.check_domains(kind(), X), Escaping),
    "repr": (lambda kind: battery.check_repr(kind()), Nameless),
}
NO_ERROR = pytest.fail.Exception  # what pytest.raises raises where nothing was raised
OTHER_FAILURES = {
    "copies": (AttributeError, pickle.PicklingError),
    "compile": Unsupported,
    "shape error": NO_ERROR,
    "context error": NO_ERROR,
    "dtype error": NO_ERROR,
}


@pytest.mark.parametrize("name", TRANSFORM_CHECKS)
def test_transform_helper_can_fail(name):
    check, broken = TRANSFORM_CHECKS[name]
    check(Good)
    with pytest.raises(OTHER_FAILURES.get(name, AssertionError)):
        check(broken)


@pytest.mark.parametrize(
    ("broken", "message"),
    [(Global, "draws otherwise"), (Silent, "stochastic says no"), (Good, "stochastic|nothing")],
)
def test_stochastic_helper_can_fail(broken, message):
    battery.check_stochastic(Noisy(), X)
    with pytest.raises(AssertionError, match=message):
        battery.check_stochastic(broken(), X)


def test_leading_dimensions_helper_can_fail():
    x = X.reshape(3, 2, 2).repeat(1, 2, 1)
    battery.check_leading_dimensions(Normal(2).double().log_prob, x)
    with pytest.raises((AssertionError, RuntimeError)):
        battery.check_leading_dimensions(FlatOnly(2).double().log_prob, x)


def test_integral_helper_counts_an_angle_once():
    flow = Flow(Uniform(1, CIRCLE), Rotated()).double()
    battery.check_integral(flow, points=20001, tolerance=2e-3)


class Rotated(Transform):
    """Any number is an angle."""

    domain = codomain = CIRCLE

    def __init__(self):
        super().__init__(1)

    def _encode(self, x, context, generator):
        return torch.remainder(x + 1, CIRCLE.period), x.new_zeros(x.shape[:-1])

    def _decode(self, z, context, generator):
        return torch.remainder(z - 1, CIRCLE.period), z.new_zeros(z.shape[:-1])


def test_state_helper_can_fail():
    battery.check_state(Good(), Good(), encoded)
    with pytest.raises(AssertionError, match="bits"):
        battery.check_state(ForgetfulState(0), ForgetfulState(1), encoded)


class SharedMemory(Good):
    def __deepcopy__(self, memo):
        return self


def test_copies_helper_sees_shared_memory():
    with pytest.raises(AssertionError, match="shares memory"):
        battery.check_copies(SharedMemory(), encoded)


class Shifted(Normal):
    """Samples off by half a unit, in both methods alike: only the density can tell."""

    def _sample(self, n, context, generator):
        return super()._sample(n, context, generator) + 0.5


class Unnormalised(Normal):
    def _log_prob(self, x, context, generator):
        return super()._log_prob(x, context, generator) + 0.01


class FarFromNormalised(Normal):
    def _log_prob(self, x, context, generator):
        return super()._log_prob(x, context, generator) + 0.1


class UnnormalisedSphere(UniformSphere):
    def _log_prob(self, x, context, generator):
        return super()._log_prob(x, context, generator) + 0.01


class OffPair(Normal):
    def sample_and_log_prob(self, sample_shape=(), context=None, generator=None):
        x, log_prob = super().sample_and_log_prob(sample_shape, context, generator)
        return x, log_prob + 1e-3


class Lopsided(Mixture):
    def _draw(self, n, context, generator):
        x, labels = super()._draw(n, context, generator)
        return x, torch.where(torch.arange(n) % 10 == 0, 0, labels)


class SharedDensity(Flow):
    def _log_prob(self, x, context, generator):
        return super()._log_prob(x, context, generator)[:1].expand(*self.batch_shape, -1)


class SinglePrecision(Normal):
    def _log_prob(self, x, context, generator):
        return super()._log_prob(x.float(), context, generator)


def doubled(kind, features):
    return kind(features).double()


def mixture(kind):
    parts = [Flow(Normal(1), TriangularAffine(1)), Normal(1), Normal(1)]
    return kind(parts, [0.2, 0.5, 0.3])


def stack(kind):
    return perturb(kind(Normal(2), TriangularAffine(2, batch_shape=(3,))).double())


DISTRIBUTION_CHECKS = {
    "pair": (
        lambda kind: battery.check_sample_and_log_prob(doubled(kind, 2)),
        Normal,
        OffPair,
    ),
    "frequencies": (
        lambda kind: battery.check_component_frequencies(mixture(kind)),
        Mixture,
        Lopsided,
    ),
    "integral 1-D": (
        lambda kind: battery.check_integral(doubled(kind, 1), points=2001, tolerance=1e-4),
        Normal,
        Unnormalised,
    ),
    "integral 2-D": (
        lambda kind: battery.check_integral(doubled(kind, 2), points=200, tolerance=2e-3),
        Normal,
        Unnormalised,
    ),
    "sphere": (
        lambda kind: battery.check_sphere(doubled(kind, 3)),
        UniformSphere,
        UnnormalisedSphere,
    ),
    "product": (
        lambda kind: battery.check_product(Chain([UniformSphere(3), kind(2)]).double()),
        Normal,
        FarFromNormalised,
    ),
    "product samples": (
        lambda kind: battery.check_product(Chain([UniformSphere(3), kind(2)]).double()),
        Normal,
        Shifted,
    ),
    "samples 1-D": (lambda kind: battery.check_samples_1d(doubled(kind, 1)), Normal, Shifted),
    "samples 2-D": (lambda kind: battery.check_samples_2d(doubled(kind, 2)), Normal, Shifted),
    "stack": (
        lambda kind: battery.check_stacked_log_prob(stack(kind), X),
        Flow,
        SharedDensity,
    ),
    "dtype": (
        lambda kind: battery.check_log_prob_dtype_and_device(doubled(kind, 2), X),
        Normal,
        SinglePrecision,
    ),
}


@pytest.mark.parametrize("name", DISTRIBUTION_CHECKS)
def test_distribution_helper_can_fail(name):
    check, good, broken = DISTRIBUTION_CHECKS[name]
    check(good)
    with pytest.raises(AssertionError):
        check(broken)


def test_gradient_helper_sees_an_input_without_gradient():
    transform = Good()
    unused = torch.zeros(2, requires_grad=True)
    with pytest.raises(AssertionError, match="input"):
        battery.check_gradients(transform, lambda: transform.encode(X)[0].mean(), unused)


def test_energy_test_has_the_right_level_and_power():
    x = torch.randn(200, 2, generator=seeded(0)).numpy()
    y = torch.randn(200, 2, generator=seeded(1)).numpy()
    assert battery.energy_test(x, y) > 0.01
    assert battery.energy_test(x, y + 0.5) < 0.01


def test_jacobian_helper():
    matrix = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    computed = battery.jacobian(lambda x: x @ matrix.T, torch.zeros(5, 2))
    assert torch.equal(computed, matrix.expand(5, 2, 2))


def test_every_helper_is_shown_to_fail():
    here = Path(__file__).read_text("utf-8")
    helpers = [name for name in dir(battery) if name.startswith("check_")]
    assert len(helpers) > 15
    assert [name for name in helpers if f"battery.{name}(" not in here] == []
