"""NVISA with a latent tree as its prior: densities, labels of several variables, and its start."""

import math

import numpy as np
import pytest
import torch

from anabranch.metrics import clustering_accuracy
from anabranch.models import nvisa
from anabranch.models.autoencoders.mixture_prior import MixturePrior
from anabranch.models.autoencoders.tree_prior import TreePrior, VariableLogits
from anabranch.objectives import Enumerated, Vimco
from anabranch.objectives.bound_parts import bound_parts
from anabranch.procedures.tree_start import start_tree
from tests.registry import perturb, seeded

STATES, L = (3, 2), 4
TREE = {"name": "latent-tree", "states": [3, 2]}


def prior():
    return perturb(TreePrior(L, STATES, generator=seeded(0))).double()


def test_labels_count_all_variables():
    made = prior()
    variables = made.variables(torch.arange(6)).numpy()
    assert (variables == np.unravel_index(np.arange(6), STATES)).all()
    logits = torch.randn(7, 5, generator=seeded(1))
    joint = VariableLogits(torch.nn.Identity(), STATES)(logits)
    first, second = logits[:, :3].log_softmax(1), logits[:, 3:].log_softmax(1)
    torch.testing.assert_close(joint[:, 4], first[:, 2] + second[:, 0])


@torch.no_grad()
def test_density_is_that_of_the_tree():
    made, z = prior(), torch.randn(L, 5, generator=seeded(2), dtype=torch.float64)
    each = made.log_prob_of_each(z[:, None, None].expand(L, 1, 6, 5))[0]
    for k, (a, b) in enumerate(np.ndindex(STATES)):
        root, table = (t.log_softmax(1) for t in made.tables)
        expected = root[0, a] + table[a, b] + math.log(6)
        for d in range(L):
            state = (a, a, b, b)[d]
            std = torch.log1p(made.scale[d, state].exp()) + 1
            expected = expected + torch.distributions.Normal(made.loc[d, state], std).log_prob(z[d])
        torch.testing.assert_close(each[k], expected)
    y = torch.nn.functional.one_hot(torch.tensor([0, 5, 2, 3, 1]), 6).mT.double()
    torch.testing.assert_close(made.log_prob(z, y), (y * each).sum(0))
    assert made.log_shares().logsumexp(0).item() == pytest.approx(0, abs=1e-12)


@torch.no_grad()
def test_one_variable_is_a_mixture():
    tree = TreePrior(L, [3], generator=seeded(0))
    mixture = MixturePrior(L, 3)
    mixture.mean.copy_(tree.loc)
    z = torch.randn(L, 5, generator=seeded(2))
    y = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0, 1]), 3).mT.float()
    torch.testing.assert_close(tree.log_prob(z, y), mixture.log_prob(z, y))


@torch.no_grad()
def test_draws_follow_the_tree():
    made = prior()
    labels = made.draw_labels(20_000, seeded(3))
    shares = torch.bincount(labels, minlength=6) / 20_000
    torch.testing.assert_close(shares.double(), made.log_shares().exp(), atol=0.015, rtol=0)
    z = made.sample(torch.full((20_000,), 4), seeded(4))
    torch.testing.assert_close(z.mean(1), made.mean[:, 4], atol=0.1, rtol=0)
    torch.testing.assert_close(z.std(1), made.std()[:, 4], atol=0.1, rtol=0)


def test_a_bound_has_gradients_for_all_of_it():
    model = nvisa(5, 6, latent=L, hidden=[8], prior=TREE, seed=0)
    x = torch.randn(9, 5, generator=seeded(0))
    _, surrogate = Vimco(4)(model, x.mT, model.log_q(x), seeded(1))
    surrogate.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.prior.parameters())
    assert model.sample(7, generator=seeded(0))[0].shape == (7, 5)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"states": [3, 3]}, ValueError, "must multiply to n_components 6"),
        ({"states": 6}, TypeError, "takes states, a list of integers"),
        ({"states": [3, 2], "x": 1}, TypeError, "takes states, a list of integers"),
        ({"states": [6, 1]}, ValueError, "states must be integers of at least 2"),
    ],
)
def test_what_no_tree_can_be(given, error, message):
    with pytest.raises(error, match=message):
        nvisa(5, 6, latent=L, hidden=[8], prior={"name": "latent-tree", **given}, seed=0)


def test_a_start_finds_both_variables():
    random = np.random.RandomState(0)
    labels = random.randint(2, size=(400, 2))
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    codes = (4 * labels + random.normal(size=labels.shape)) @ turn + 3
    made = TreePrior(2, [2, 2])
    begun = start_tree(made, codes, 1.2, np.random.RandomState(0))
    found = np.unravel_index(begun.responsibilities.argmax(1), (2, 2))
    for y in labels.T:
        assert max(clustering_accuracy(y, variable) for variable in found) > 0.95
    z = (codes - begun.centre) @ begun.factor
    mean = made.mean.detach().numpy()[:, begun.responsibilities.argmax(1)].T
    assert (z - mean).std(0) == pytest.approx([1.2, 1.2], abs=0.2)
    assert sorted(made.owners.tolist()) == [0, 1]


def test_parts_sum_to_the_bound():
    model = perturb(nvisa(5, 3, latent=2, hidden=[8], seed=0), std=0.3).double()
    x = torch.randn(40, 5, generator=seeded(0), dtype=torch.float64)
    parts = bound_parts(model, x, 4, seeded(1))
    with torch.no_grad():
        log_q = model.log_q(x)
        noise = torch.randn(2, 4, 3, 40, generator=seeded(1), dtype=torch.float64)
        bound = Enumerated(4).at(model, x.mT, log_q, noise).mean()
        q = log_q.exp()
        mutual = (q * (log_q - q.mean(1, keepdim=True).log())).sum(0).mean()
    assert parts.bound == pytest.approx(bound.item(), abs=1e-9)
    assert parts.information == pytest.approx(mutual.item(), abs=1e-9)
    assert 0 < parts.imbalance < math.log(3)
