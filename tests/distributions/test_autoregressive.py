"""Models of bits against lists of all states, and what they learn of the Ising model."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats

from anabranch.distributions import AutoregressiveModel, Bernoulli, Mixture, OrderlessModel
from anabranch.models import made, nade, rnade
from anabranch.networks import MADE, NADE
from anabranch.problems import Ising
from tests.battery import same
from tests.registry import perturb, seeded

KINDS = {
    "nade": lambda d, **k: nade(d, hidden=8, seed=0, **k),
    "made": lambda d, **k: made(d, hidden=[12], seed=0, **k),
    "made-direct": lambda d, **k: made(d, hidden=[], direct=True, seed=0, **k),
    "made-deep": lambda d, **k: made(d, hidden=[12, 10], activation="tanh", seed=0, **k),
    "made-orderings": lambda d, **k: made(d, hidden=[12], n_orderings=5, seed=0, **k),
}
EACH = pytest.mark.parametrize("kind", KINDS)


def states(d):
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * d).reshape(-1, d)


def perturbed(kind, d, **keywords):
    return perturb(KINDS[kind](d, **keywords).double(), std=1.0).eval()


@EACH
@pytest.mark.parametrize("d", [1, 2, 9])
def test_probabilities_of_all_states_sum_to_one(kind, d):
    model = perturbed(kind, d)
    total = model.log_prob(states(d)).logsumexp(0)
    assert total.abs() < 1e-10
    single = model.float().log_prob(states(d).float()).logsumexp(0)
    assert single.abs() < 1e-5


@EACH
def test_with_context_and_stacked_they_sum_to_one_too(kind):
    model = perturbed(kind, 4, context_features=2, batch_shape=[3])
    for context in torch.randn(4, 2, dtype=torch.float64, generator=seeded(1)):
        total = model.log_prob(states(4), context.expand(16, 2)).logsumexp(-1)
        same(total, torch.zeros_like(total))


@pytest.mark.parametrize("network", ["made", "nade"])
def test_every_ordering_is_normalised(network):
    for ordering in permutations(range(4)):
        if network == "made":
            conditioner = MADE(4, 1, (9,), ordering=ordering, generator=seeded(0))
        else:
            conditioner = NADE(4, 1, 9, ordering=ordering, generator=seeded(0))
        model = AutoregressiveModel(perturb(conditioner.double(), std=1.0), Bernoulli(), 4)
        assert model.log_prob(states(4)).logsumexp(0).abs() < 1e-10


@EACH
def test_frequencies_of_draws_are_the_probabilities(kind):
    model = perturbed(kind, 4)
    x = model.sample(8000, generator=seeded(1))
    places = 2 ** torch.arange(3, -1, -1)
    counts = torch.bincount((x.long() * places).sum(1), minlength=16)
    expected = model.log_prob(states(4)).exp() * len(x)
    assert stats.chisquare(counts.numpy(), expected.detach().numpy()).pvalue > 1e-3


@EACH
def test_each_draw_follows_its_own_context(kind):
    model = perturbed(kind, 3, context_features=1)
    contexts = torch.tensor([[-3.0], [3.0]], dtype=torch.float64)
    means = [model.log_prob(states(3), c.expand(8, 1)).exp() @ states(3) for c in contexts]
    assert kind == "made-direct" or (means[0] - means[1]).abs().max() > 0.1
    x = model.sample(context=contexts.repeat(3000, 1), generator=seeded(2))
    for mean, drawn in zip(means, (x[::2], x[1::2]), strict=True):
        assert (drawn.mean(0) - mean).abs().max() < 0.04


def test_bits_carry_no_gradients_and_say_so():
    with pytest.raises(TypeError, match="use sample"):
        nade(3).rsample(2)
    assert nade(3).sample(2).shape == (2, 3)


def test_anything_but_bits_is_refused():
    for model in (nade(3), made(3, n_orderings=2), Mixture(nade(3, batch_shape=[2]))):
        with pytest.raises(ValueError, match="0 and 1 only, got 2"):
            model.log_prob(torch.tensor([[0.0, 2.0, 1.0]]))


def test_a_mixture_of_them_is_normalised():
    mixture = Mixture([perturbed("nade", 4, batch_shape=[3]), perturbed("made", 4)])
    assert mixture.log_prob(states(4)).logsumexp(0).abs() < 1e-10
    assert mixture.sample(5).shape == (5, 4)


def fitted(model, problem, log_prob, steps=400):
    """Trained on the exact expectation over all states."""
    x = torch.as_tensor(problem.states, dtype=torch.float32)
    weights = torch.as_tensor(np.exp(problem.state_log_probs), dtype=torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (-(log_prob(x) @ weights)).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return model.eval(), lambda each: -(each @ weights), x


@pytest.mark.parametrize(
    "make",
    [lambda: nade(9, hidden=32, seed=0), lambda: made(9, hidden=[64], seed=0)],
    ids=["nade", "made"],
)
def test_they_learn_the_ising_model(make):
    problem = Ising(3)
    model = make()
    model, nll, x = fitted(model, problem, model.log_prob)
    truth = problem.entropy().value
    assert truth == pytest.approx(4.3753, abs=1e-4)
    assert truth - 1e-5 <= nll(model.log_prob(x)).item() <= truth + 0.02


def test_the_average_over_orderings_is_not_worse_than_the_mean_ordering():
    problem = Ising(3)
    model = made(9, hidden=[64], n_orderings=8, seed=0)
    every = lambda x: model.ordering_log_prob(x).mean(0)  # noqa: E731
    model, nll, x = fitted(model, problem, every, steps=200)
    assert isinstance(model, OrderlessModel)
    single, averaged = nll(model.ordering_log_prob(x)), nll(model.log_prob(x))
    assert single.shape == (8,)
    assert averaged <= single.mean()
    assert averaged <= problem.entropy().value + 0.1


def test_probabilities_are_averaged_not_their_logarithms():
    model = perturbed("made-orderings", 4)
    each = model.ordering_log_prob(states(4))
    assert each.shape == (5, 16)
    same(each.logsumexp(1), torch.zeros(5, dtype=torch.float64))
    same(model.log_prob(states(4)).exp(), each.exp().mean(0))


@pytest.mark.parametrize("n", [0, 1, 4, 7])
def test_training_sees_each_row_in_one_ordering_that_is_drawn(n):
    model = perturb(made(4, hidden=[12], n_orderings=3, fresh=True, seed=0)).train()
    x = (torch.rand(n, 4, generator=seeded(0)) < 0.5).float()
    got = model.log_prob(x, generator=seeded(8))
    layout = model.network.fresh_layout(4, seeded(8))
    share = -(-n // 4)
    for row in range(n):
        drawn = layout[row // share : row // share + 1]
        logit = model.network.columns(x[row].reshape(1, 4, 1), drawn).squeeze()
        expected = torch.distributions.Bernoulli(logits=logit).log_prob(x[row]).sum()
        same(got[row], expected, 1e-5)
    assert not n or not torch.equal(model.log_prob(x), got)


@pytest.mark.parametrize("n", [0, 2, 7])
def test_training_deals_the_rows_out_to_the_orderings(n):
    model = perturb(made(4, hidden=[12], n_orderings=3, seed=0)).train()
    x = (torch.rand(n, 4, generator=seeded(0)) < 0.5).float()
    each = model.ordering_log_prob(x)
    dealt = torch.arange(n) // max(-(-n // 3), 1)
    same(model.log_prob(x), each[dealt, torch.arange(n)], 1e-5)
    same(model.eval().log_prob(x), each.logsumexp(0) - np.log(3), 1e-5)


@pytest.mark.parametrize("head", ["gaussians", "laplacians"])
def test_draws_of_numbers_follow_the_density_and_carry_gradients(head):
    model = perturb(rnade(2, head=head, components=3, hidden=8, seed=0).double())
    x = model.rsample(5000, generator=seeded(0))
    gradients = torch.autograd.grad(x.square().sum(1).mean(), list(model.parameters()))
    # the same by the score function, whose expectation is the same
    score = (x.detach().square().sum(1) * model.log_prob(x.detach())).mean()
    others = torch.autograd.grad(score, list(model.parameters()))
    for own, other in zip(gradients, others, strict=True):
        assert (own - other).abs().max() < 0.25 * max(1.0, other.abs().max().item())
