"""Normal densities of columns."""

import torch
from torch.nn.functional import softplus

from anabranch.functional import normal_log_prob, softplus_normal_log_prob


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
