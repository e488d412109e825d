"""The battery over every registered distribution."""

import pytest
import torch

from anabranch import distributions
from anabranch.distributions import Mixture
from tests import battery
from tests.registry import DISTRIBUTIONS, classes_in, configs, ids

ALL = configs(DISTRIBUTIONS)
STACKED = [c for c in ALL if c.batch_shape]
CONTEXTUAL = [c for c in ALL if c.context_features and not c.batch_shape]
SINGLE = [c for c in ALL if not c.batch_shape]
CONTINUOUS = [c for c in ALL if c.case.exact]
MIXTURES = [c for c in ALL if c.case.name.startswith("mixture")]


def over(chosen):
    return pytest.mark.parametrize("config", chosen, ids=ids(chosen))


def of_features(d, chosen=CONTINUOUS):
    return over([c for c in chosen if c.case.features == d])


def one_context(config):
    return config.context()


def test_every_exported_class_is_registered():
    registered = classes_in([config.build() for config in ALL])
    exported = {getattr(distributions, name) for name in distributions.__all__}
    others = {distributions.Distribution, distributions.Head}
    others |= {distributions.TreePosterior, distributions.TreeStructure}
    assert exported - others - registered == set()


@over(ALL)
def test_sample_and_log_prob(config):
    # the tolerance covers the inverse of the autoregressive maps and the edge of the logit
    tolerance = 1e-7
    battery.check_sample_and_log_prob(config.build(), one_context(config), tolerance=tolerance)
    battery.check_sample_and_log_prob(config.build(), config.context(4), tolerance=tolerance)


@over(MIXTURES)
def test_component_frequencies(config):
    battery.check_component_frequencies(config.build(), one_context(config))


@of_features(1)
def test_integral_1d(config):
    tolerance = 1e-4 if config.case.smooth else 2e-3
    battery.check_integral(config.build(), one_context(config), points=20001, tolerance=tolerance)


@of_features(2)
def test_integral_2d(config):
    tolerance = 2e-3 if config.case.smooth else 2e-2  # a jump costs a cell's width
    battery.check_integral(config.build(), one_context(config), points=400, tolerance=tolerance)


@of_features(1, [c for c in CONTINUOUS if not c.batch_shape])
def test_samples_1d(config):
    battery.check_samples_1d(config.build(), one_context(config))


@of_features(2, [c for c in CONTINUOUS if not c.batch_shape])
def test_samples_2d(config):
    battery.check_samples_2d(config.build(), one_context(config))


@over(ALL)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
def test_dtype_and_device(config, dtype):
    x, context = config.case.points(4, dtype=dtype), config.context(4, dtype=dtype)
    battery.check_log_prob_dtype_and_device(config.build(dtype), x, context)


@over([c for c in ALL if c.case.domain == "real"])
@pytest.mark.parametrize("scale", [1.0, 5.0, 20.0])
def test_finite_far_outside(config, scale):
    distribution = config.build(scale=scale)
    corners = torch.tensor([-1e4, -1e3, -30.0, 0.0, 30.0, 1e3, 1e4], dtype=torch.float64)
    x = corners.unsqueeze(-1).repeat(1, config.case.features).requires_grad_()
    context = config.context(7)
    battery.check_gradients(distribution, lambda: distribution.log_prob(x, context).mean(), x)


@over(STACKED)
def test_stack_equals_a_loop(config):
    battery.check_stacked_log_prob(config.build(), config.case.points(5), config.context(5))


@over(CONTEXTUAL)
def test_context_broadcasts(config):
    distribution = config.build()
    battery.check_context_broadcast(distribution.log_prob, config.case.points(3), config.context(3))


@over(SINGLE)
def test_leading_dimensions(config):
    distribution = config.build()
    x, context = config.case.points(3, 4), config.context(3, 4)
    flat = None if context is None else context.flatten(0, 1)
    expected = distribution.log_prob(x.flatten(0, 1), flat)
    battery.same(distribution.log_prob(x, context), expected.reshape(3, 4))
    one = None if flat is None else flat[0]
    battery.same(distribution.log_prob(x[0, 0], one), expected[0])
    assert distribution.log_prob(x[:0], None if context is None else context[:0]).shape == (0, 4)


@over(ALL)
def test_state(config):
    distribution = config.build()
    x, context = config.case.points(6), config.context(6)
    if config.case.initializes:
        distribution.transform.initialize(3 * x + 1, context)
    fresh = config.build(seed=1)
    battery.check_state(distribution, fresh, lambda d: d.log_prob(x, context))


@over(ALL)
def test_copies(config):
    x, context = config.case.points(6), config.context(6)
    battery.check_copies(config.build(), lambda d: d.log_prob(x, context))


KINDS = ("normal", "flow-realnvp", "flow-maf-logistic", "flow-iaf", "flow-bytes", "flow-on-mixture")
COMPILED = [f"{kind}-2" for kind in (*KINDS, "mixture-unlike", "mixture-part-conditional")]


@over([c for c in ALL if c.case.name in COMPILED and c.full])
def test_compiles(config):
    battery.check_compile(config.build().log_prob, config.case.points(4), config.context(4))


@over(ALL)
def test_errors(config):
    distribution, features = config.build(), config.case.features
    x, context = config.case.points(4), config.context(4)
    given = () if context is None else (context,)
    battery.check_shape_errors(distribution.log_prob, features, *given)
    battery.check_dtype_error(distribution, distribution.log_prob, x, *given)
    if given:
        battery.check_context_errors(distribution.log_prob, x, config.context_features)
        with pytest.raises(ValueError, match="context"):
            distribution.sample(3)


@over(ALL)
def test_repr(config):
    battery.check_repr(config.build())


@over([c for c in ALL if c.case.features == 2])
def test_no_samples(config):
    x = config.build().sample(0, one_context(config))
    assert x.shape == (*config.batch_shape, 0, 2)


@over([c for c in ALL if not c.batch_shape and c.case.exact and c.case.features == 2])
def test_rsample_carries_gradients(config):
    distribution = config.build()
    x = distribution.rsample(20, one_context(config))
    reached = x.requires_grad
    assert reached == any(p.requires_grad for p in distribution.parameters())
    if reached:
        x.sum().backward()
        skipped = () if not isinstance(distribution, Mixture) else ("logits",)
        for name, parameter in distribution.named_parameters():
            if not name.endswith(skipped) and parameter.grad is not None:
                assert torch.isfinite(parameter.grad).all()
