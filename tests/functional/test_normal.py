"""Normal densities of columns."""

import pytest
import torch
from torch.nn.functional import softplus

from anabranch.functional import (
    affine_normal_log_prob,
    normal_log_prob,
    softplus_normal_log_prob,
)


def draws(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_it_is_the_density_of_torch():
    x, loc, scale = draws(3, 4, 5), draws(3, 4, 1, seed=1), draws(3, 1, 5, seed=2).exp()
    expected = torch.distributions.Normal(loc, scale).log_prob(x).sum(0)
    torch.testing.assert_close(normal_log_prob(x, loc, scale), expected)


def test_the_written_gradient_is_that_of_autograd():
    x, parameters = draws(3, 5), draws(6, 2, 4, 5, seed=1)
    floor = torch.tensor(0.3, dtype=torch.float64)
    loc, raw = parameters.chunk(2)
    plain = normal_log_prob(x[:, None, None], loc, softplus(raw) + floor)
    torch.testing.assert_close(softplus_normal_log_prob(x, parameters, floor), plain)
    inputs = (x.requires_grad_(), parameters.requires_grad_())
    assert torch.autograd.gradcheck(lambda *a: softplus_normal_log_prob(*a, floor), inputs)


def test_the_last_layer_may_be_part_of_it():
    x, hidden = draws(3, 5), draws(7, 2, 4, 5, seed=1)
    weight, bias = draws(6, 7, seed=2), draws(6, 1, seed=3)
    floor = torch.tensor(0.3, dtype=torch.float64)
    parameters = torch.einsum("oh,hmkn->omkn", weight, hidden) + bias[..., None, None]
    together = affine_normal_log_prob(x, hidden, weight, bias, floor)
    torch.testing.assert_close(together, softplus_normal_log_prob(x, parameters, floor))
    inputs = tuple(t.requires_grad_() for t in (x, hidden, weight, bias))
    assert torch.autograd.gradcheck(lambda *a: affine_normal_log_prob(*a, floor), inputs)


@pytest.mark.parametrize("raw", [-60.0, 0.0, 60.0, 3e10])
@pytest.mark.parametrize("features", [1, 6, 32, 33])
def test_logarithms_of_products_do_not_leave_float32(raw, features):
    x, parameters = torch.zeros(features, 3), torch.zeros(2 * features, 3)
    parameters[features:] = raw
    floor = torch.tensor(1e-12)
    given = softplus_normal_log_prob(x, parameters, floor)
    scale = softplus(torch.tensor(raw, dtype=torch.float64)) + 1e-12
    exact = torch.distributions.Normal(0.0, scale).log_prob(torch.tensor(0.0)) * features
    torch.testing.assert_close(given.double(), exact.expand(3), rtol=1e-5, atol=1e-4)
