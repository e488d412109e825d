"""The battery over every registered distribution."""

import pytest
import torch

from anabranch import distributions
from anabranch.contracts.domain import REAL, Blocks, Sphere
from anabranch.distributions import Mixture
from tests import battery
from tests.registry import (
    CONTEXT,
    DISTRIBUTIONS,
    Config,
    classes_in,
    configs,
    fullest,
    ids,
    seeded,
)

ALL = configs(DISTRIBUTIONS)
CONTINUOUS = [c for c in ALL if c.case.exact and not c.case.domain.discrete]
FLAT = [c for c in CONTINUOUS if not isinstance(c.case.domain, Sphere | Blocks)]
FULL = [c for c in ALL if c.full]


def over(chosen):
    return pytest.mark.parametrize("config", chosen, ids=ids(chosen))


def of_shape(*shape, chosen=FLAT):
    return over([c for c in chosen if c.case.event_shape == shape])


def test_every_exported_class_is_registered():
    registered = classes_in([fullest(case).build() for case in DISTRIBUTIONS])
    exported = {value for value in vars(distributions).values() if isinstance(value, type)}
    others = {distributions.Distribution, distributions.Head, distributions.Estimate}
    others |= {distributions.TreePosterior, distributions.TreeStructure}
    assert exported - others - registered == set()


@over(ALL)
def test_sample_and_log_prob(config):
    distribution = config.build()
    # the tolerance covers the inverse of the autoregressive maps and the edge of the logit
    for context in [config.context(), config.context(4)][: 1 + bool(config.context_features)]:
        battery.check_sample_and_log_prob(distribution, context, tolerance=1e-7)
    assert distribution.domain.contains(distribution.sample(50, config.context())).all()


@over([c for c in ALL if c.case.name.startswith("mixture")])
def test_component_frequencies(config):
    battery.check_component_frequencies(config.build(), config.context())


@of_shape(1)
def test_integral_1d(config):
    tolerance = 1e-4 if config.case.smooth else 2e-3
    points = 5001 if config.case.smooth else 20001
    battery.check_integral(config.build(), config.context(), points=points, tolerance=tolerance)


@of_shape(2, chosen=[c for c in FLAT if not c.batch_shape])
def test_integral_2d(config):
    # a jump costs a cell's width
    tolerance, points = (2e-3, 250) if config.case.smooth else (2e-2, 400)
    battery.check_integral(config.build(), config.context(), points=points, tolerance=tolerance)


@over([c for c in ALL if c.case.domain == Sphere() and not c.batch_shape])
def test_integral_and_samples_on_the_sphere(config):
    battery.check_sphere(config.build(), config.context())


@over([c for c in ALL if isinstance(c.case.domain, Blocks) and not c.batch_shape])
def test_integral_and_samples_on_products(config):
    battery.check_product(config.build(), config.context())


ALONE = [Config(c, (), CONTEXT * c.contextual) for c in DISTRIBUTIONS if c.exact]
ALONE = [c for c in ALONE if not c.case.domain.discrete]
ALONE = [c for c in ALONE if not isinstance(c.case.domain, Sphere | Blocks)]


@of_shape(1, chosen=ALONE)
def test_samples_1d(config):
    battery.check_samples_1d(config.build(), config.context())


@of_shape(2, chosen=ALONE)
def test_samples_2d(config):
    battery.check_samples_2d(config.build(), config.context())


@over(FULL)
def test_dtype_and_device(config):
    for dtype, devices in ((torch.float64, battery.DEVICES[:1]), (torch.float32, battery.DEVICES)):
        x, context = config.case.points(4, dtype=dtype), config.context(4, dtype=dtype)
        battery.check_log_prob_dtype_and_device(config.build(dtype), x, context, devices)


@over([c for c in FULL if c.case.domain == REAL])
def test_finite_far_outside(config):
    corners = torch.tensor([-1e4, -1e3, -30.0, 0.0, 30.0, 1e3, 1e4], dtype=torch.float64)
    x = corners.unsqueeze(-1).repeat(1, config.case.features)
    x = x.reshape(7, *config.case.event_shape)
    context = config.context(7)
    for scale in (1.0, 5.0, 20.0):
        distribution, leaf = config.build(scale=scale), x.clone().requires_grad_()

        def value(d=distribution, y=leaf):
            return d.log_prob(y, context).mean()

        battery.check_gradients(distribution, value, leaf)


@over([c for c in ALL if c.batch_shape])
def test_stack_equals_a_loop(config):
    battery.check_stacked_log_prob(config.build(), config.case.points(5), config.context(5))


@over([Config(c, (), CONTEXT) for c in DISTRIBUTIONS if c.contextual and not c.stochastic])
def test_context_broadcasts(config):
    distribution = config.build()
    battery.check_context_broadcast(distribution.log_prob, config.case.points(3), config.context(3))


@over([c for c in ALL if not c.batch_shape and not c.case.stochastic])
def test_leading_dimensions(config):
    x, context = config.case.points(3, 4), config.context(3, 4)
    battery.check_leading_dimensions(config.build().log_prob, x, context)


@over(FULL)
def test_state_and_copies(config):
    distribution = config.build()
    x, context = config.case.points(6), config.context(6)
    if config.case.initializes:
        distribution.initialize(3 * x + 1, context)
    fresh = config.build(seed=1)

    def evaluate(module):
        return module.log_prob(x, context, generator=seeded(0))

    battery.check_state(distribution, fresh, evaluate)
    battery.check_copies(distribution, evaluate)


KINDS = ("normal", "flow-realnvp", "flow-maf-logistic", "flow-iaf", "flow-bytes", "flow-on-mixture")
COMPILED = [f"{kind}-2" for kind in (*KINDS, "mixture-unlike", "mixture-part-conditional")]


@over([c for c in FULL if c.case.name in COMPILED])
def test_compiles(config):
    battery.check_compile(config.build().log_prob, config.case.points(4), config.context(4))


@over(FULL)
def test_errors_and_repr(config):
    distribution = config.build()
    x, context = config.case.points(4), config.context(4)
    given = () if context is None else (context,)
    for call in (distribution.log_prob, distribution.initialize):
        battery.check_shape_errors(call, distribution.event_shape, *given)
        battery.check_dtype_error(distribution, call, x, *given)
        if given:
            battery.check_context_errors(call, x, config.context_features)
    if given:
        with pytest.raises(ValueError, match="context"):
            distribution.sample(3)
    battery.check_repr(distribution)


@over([c for c in FULL if c.case.features == 2])
def test_no_samples(config):
    x = config.build().sample(0, config.context())
    assert x.shape == (*config.batch_shape, 0, 2)


@of_shape(2, chosen=ALONE)
def test_rsample_carries_gradients(config):
    distribution = config.build()
    x = distribution.rsample(20, config.context())
    reached = x.requires_grad
    assert reached == any(p.requires_grad for p in distribution.parameters())
    if reached:
        x.sum().backward()
        skipped = () if not isinstance(distribution, Mixture) else ("logits",)
        for name, parameter in distribution.named_parameters():
            if not name.endswith(skipped) and parameter.grad is not None:
                assert torch.isfinite(parameter.grad).all()
