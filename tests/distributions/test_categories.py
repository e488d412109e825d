"""Categories, alone and beside a density: all states listed, and gradients."""

import itertools

import pytest
import torch

from anabranch.distributions import Categories, Mixture, Normal, WithCategories
from anabranch.models.counting import free_parameters
from anabranch.networks import CodedInput, select_component

LEVELS = [2, 3]
STATES = torch.tensor(list(itertools.product(range(2), range(3))), dtype=torch.float64)
NAN = float("nan")


def categorical(batch_shape=()):
    made = Categories(LEVELS, batch_shape=batch_shape).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        made.logits.copy_(torch.randn(made.logits.shape, generator=generator))
    return made


def test_probabilities_of_all_states_sum_to_one():
    assert categorical().log_prob(STATES).exp().sum().item() == pytest.approx(1)
    stack = categorical((4,))
    assert stack.log_prob(STATES).exp().sum(1).tolist() == pytest.approx([1] * 4)
    third = select_component(stack, 2)
    assert torch.equal(third.log_prob(STATES), stack.log_prob(STATES)[2])


def test_a_missing_category_is_summed_out():
    made = categorical()
    one = made.log_prob(torch.tensor([[1.0, NAN]]).double()).exp()
    assert one.item() == pytest.approx(made.log_prob(STATES[3:]).exp().sum().item())
    assert made.log_prob(torch.full((1, 2), NAN).double()).item() == 0


def test_a_category_that_there_is_not_is_impossible():
    made = categorical()
    strange = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]).double()
    assert made.log_prob(strange).tolist() == [-float("inf")] * 3


def test_gradients_are_those_of_differences():
    made = categorical((2,))
    rows = torch.tensor([[1.0, NAN], [0.0, 2.0]]).double()

    def likelihood(logits):
        made.logits.data = logits
        return torch.func.functional_call(made, {"logits": logits}, (rows,))

    made.forward = made.log_prob
    assert torch.autograd.gradcheck(likelihood, made.logits.detach().clone().requires_grad_())


def test_draws_have_the_probabilities():
    made = categorical((2,))
    drawn = made.sample(20_000, generator=torch.Generator().manual_seed(0))
    for k, j in itertools.product(range(2), range(2)):
        shares = torch.bincount(drawn[k, :, j].long(), minlength=LEVELS[j]) / 20_000
        expected = made.log_table[k, j, : LEVELS[j]].exp().detach()
        assert (shares - expected).abs().max() < 0.015


def test_probabilities_are_set_and_checked():
    made = Categories(LEVELS)
    made.set_probabilities([torch.tensor([0.25, 0.75]), torch.tensor([0.2, 0.3, 0.5])])
    assert made.log_prob(torch.tensor([[1.0, 2.0]])).exp().item() == pytest.approx(0.375)
    with pytest.raises(ValueError, match="probabilities of column 1 must be positive"):
        made.set_probabilities([torch.tensor([0.25, 0.75]), torch.tensor([0.0, 0.5, 0.5])])
    with pytest.raises(ValueError, match="levels must name one category or more"):
        Categories([])


def test_a_density_times_a_probability():
    joint = WithCategories(Normal(2), Categories(LEVELS)).double()
    row = torch.tensor([[0.3, -1.0, 1.0, 2.0]]).double()
    expected = Normal(2).double().log_prob(row[:, :2]) + joint.categories.log_prob(row[:, 2:])
    assert torch.equal(joint.log_prob(row), expected)
    with pytest.raises(ValueError, match="must agree in batch_shape"):
        WithCategories(Normal(2, batch_shape=(3,)), Categories([2]))


def test_columns_depend_through_the_component():
    """A mixture tells its cluster by the categories alone, and draws both together."""
    near = WithCategories(Normal(1, batch_shape=(2,)), Categories([2], batch_shape=(2,)))
    near.categories.set_probabilities([torch.tensor([[0.9, 0.1], [0.2, 0.8]])])
    mixture = Mixture([near], weights=[0.5, 0.5])
    posterior = mixture.log_posterior(torch.tensor([[0.0, 1.0]])).exp()
    assert posterior[:, 0].tolist() == pytest.approx([1 / 9, 8 / 9], rel=1e-5)
    x, labels = mixture.sample_with_labels(20_000, generator=torch.Generator().manual_seed(0))
    assert x[labels == 1, 1].mean().item() == pytest.approx(0.8, abs=0.015)
    assert mixture.component(0).log_prob(torch.tensor([[0.0, 0.0]])).shape == (1,)


def test_only_free_probabilities_are_counted():
    assert free_parameters(Categories([2, 4])) == 4
    assert free_parameters(Categories([2, 4], batch_shape=(3,))) == 12


def test_a_network_sees_indicators():
    seen = CodedInput(1, [2, 3])(torch.tensor([[NAN, 1.0, 0.0], [2.0, NAN, 2.0]]))
    assert seen.tolist() == [[0, 0, 1, 1, 0, 0], [2, 0, 0, 0, 0, 1]]
