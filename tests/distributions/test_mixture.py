"""Mixtures: the identities that a mixture must obey."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.mixture import GaussianMixture

from anabranch.distributions import Flow, Logistic, Mixture, Normal
from anabranch.objectives import elbo_enumerated
from anabranch.transforms import Affine, Coupling, TriangularAffine
from tests.battery import same
from tests.registry import DISTRIBUTIONS, Config, configs, ids, perturb, seeded

MIXTURES = [c for c in configs(DISTRIBUTIONS) if c.case.name.startswith("mixture")]
over = pytest.mark.parametrize("config", MIXTURES, ids=ids(MIXTURES))


def stacked(features=2, size=3):
    transform = TriangularAffine(features, batch_shape=(size,))
    loc = 4.0 * torch.arange(size).unsqueeze(-1) * torch.ones(features)
    transform.set_gaussian(loc, torch.eye(features).expand(size, features, features))
    return Flow(Normal(features), transform).double()


X = 2 * torch.randn(40, 2, generator=seeded(0), dtype=torch.float64) + 3


@over
def test_log_prob_is_the_sum_over_components(config):
    mixture, x, context = config.build(), config.case.points(6), config.context(6)
    weights = mixture.log_weights.exp()
    total = sum(
        weights[k] * mixture.component(k).log_prob(x, context).exp()
        for k in range(mixture.n_components)
    )
    same(mixture.log_prob(x, context), total.log(), 1e-9)


@over
def test_responsibilities_sum_to_one_and_are_bayes(config):
    mixture, x, context = config.build(), config.case.points(6), config.context(6)
    posterior = mixture.log_posterior(x, context).exp()
    assert posterior.shape == (mixture.n_components, 6)
    same(posterior.sum(0), torch.ones(6).double(), 1e-12)
    joint = mixture.joint_log_prob(x, context)
    same(posterior, (joint - mixture.log_prob(x, context)).exp(), 1e-9)


@over
def test_elbo_is_a_bound_with_equality_at_the_posterior(config):
    mixture, x, context = config.build(), config.case.points(6), config.context(6)
    joint, log_prob = mixture.joint_log_prob(x, context), mixture.log_prob(x, context)
    for seed in range(20):
        logits = torch.randn(joint.shape, generator=seeded(seed), dtype=torch.float64) * 2
        log_q = torch.log_softmax(logits, 0)
        elbo = elbo_enumerated(joint, log_q)
        assert (elbo < log_prob).all()
        gap = (log_q.exp() * (log_q - mixture.log_posterior(x, context))).sum(0)
        same(log_prob - elbo, gap, 1e-9)
    same(elbo_enumerated(joint, mixture.log_posterior(x, context)), log_prob, 1e-9)


def test_one_component_is_the_flow():
    flow = perturb(Flow(Normal(2), Coupling(Affine(), 2)).double())
    mixture = Mixture(flow)
    same(mixture.log_prob(X), flow.log_prob(X), 1e-12)
    assert not mixture.log_posterior(X).any()
    stack = Mixture(stacked(size=1))
    same(stack.log_prob(X), stack.component(0).log_prob(X), 1e-12)


def test_permutation_symmetry():
    flows = [perturb(Flow(Normal(2), Coupling(Affine(), 2)).double(), seed=k) for k in range(3)]
    weights = [0.5, 0.2, 0.3]
    expected = Mixture(flows, weights).log_prob(X)
    for order in ([1, 2, 0], [2, 1, 0]):
        permuted = Mixture([flows[k] for k in order], [weights[k] for k in order])
        same(permuted.log_prob(X), expected, 1e-12)


def test_stack_equals_the_list_of_its_components():
    weights = torch.tensor([0.2, 0.5, 0.3])
    stack = Mixture(perturb(stacked()), weights)
    listed = Mixture([stack.component(k) for k in range(3)], weights)
    same(stack.log_prob(X), listed.log_prob(X), 1e-12)
    same(stack.joint_log_prob(X), listed.joint_log_prob(X), 1e-12)
    assert stack.n_components == listed.n_components == 3


def test_gaussian_components_equal_scikit_learn():
    data = np.random.default_rng(0).normal(size=(300, 2)) * [1, 3] + [[0, 5], [4, 0]] * 150
    model = GaussianMixture(3, random_state=0).fit(data)
    transform = TriangularAffine(2, batch_shape=(3,)).double()
    covariances = torch.from_numpy(model.covariances_)
    transform.set_gaussian(torch.from_numpy(model.means_), torch.linalg.cholesky(covariances))
    mixture = Mixture(Flow(Normal(2), transform).double(), model.weights_)
    x = torch.from_numpy(data)
    same(mixture.log_prob(x).detach(), torch.from_numpy(model.score_samples(data)), 1e-7)
    posterior = torch.from_numpy(model.predict_proba(data)).T
    same(mixture.log_posterior(x).exp().detach(), posterior, 1e-7)


def test_far_away_points_stay_in_log_space():
    mixture = Mixture(stacked())
    x = torch.full((1, 2), 1e4, dtype=torch.float64)
    assert torch.isfinite(mixture.log_prob(x)).all()
    same(mixture.log_posterior(x).exp().sum(0), torch.ones(1).double())


@pytest.mark.parametrize("kind", ["stacked", "unlike", "part-conditional", "of-mixtures"])
def test_labels_belong_to_their_components(kind):
    """Points of label k follow component k (Kolmogorov-Smirnov)."""
    case = next(c for c in DISTRIBUTIONS if c.name == f"mixture-{kind}-1")
    for config in (Config(case), Config(case, (), 2)):
        mixture = config.build()
        one = config.context()
        context = None if one is None else one.expand(3000, -1)
        x, labels = mixture.sample_with_labels(3000, context, seeded(1))
        for k in range(mixture.n_components):
            other = mixture.component(k).sample(2000, one, seeded(2)).flatten().numpy()
            own = x[labels == k].flatten().numpy()
            assert stats.ks_2samp(own, other).pvalue > 1e-3


def test_samples_come_in_random_order():
    _, labels = Mixture(stacked()).sample_with_labels(2000, generator=seeded(1))
    repeats = (labels[1:] == labels[:-1]).double().mean().item()
    assert repeats == pytest.approx(1 / 3, abs=0.05)


def test_each_component_draws_only_what_it_needs():
    drawn = []

    class Counting(Normal):
        def _sample(self, n, context, generator):
            drawn.append(n)
            return super()._sample(n, context, generator)

    Mixture([Counting(2) for _ in range(4)]).sample(1000, generator=seeded(0))
    assert sum(drawn) == 1000


def test_no_points():
    x, labels = Mixture(stacked()).sample_with_labels(0)
    assert x.shape == (0, 2)
    assert labels.shape == (0,)
    assert x.dtype == torch.float64


def test_weights():
    mixture = Mixture(stacked(), [1.0, 2.0, 5.0])
    same(mixture.log_weights.exp(), torch.tensor([0.125, 0.25, 0.625]).double())
    same(Mixture(stacked()).log_weights.exp(), torch.full((3,), 1 / 3, dtype=torch.float64))
    mixture.set_weights(torch.tensor([3.0, 1.0, 0.0]))
    same(mixture.log_weights.exp(), torch.tensor([0.75, 0.25, 0.0]).double(), 1e-7)
    assert torch.isfinite(mixture.log_prob(X)).all()
    assert (mixture.sample_with_labels(500, generator=seeded(0))[1] < 2).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "weights", [None, [1, 3, 4], np.array([0.1, 0.2, 0.7]), torch.tensor([0.1, 0.2, 0.7]).double()]
)
def test_weights_take_the_dtype_of_the_components(dtype, weights):
    mixture = Mixture(stacked().to(dtype), weights)
    assert mixture.log_prob(X.to(dtype)).dtype == dtype
    assert mixture.sample(2).dtype == dtype


@pytest.mark.parametrize(
    "weights", [[1.0], [1.0, 1.0, 0.0], [1.0, -1.0, 1.0], [1.0, float("nan"), 1.0]]
)
def test_wrong_weights_are_an_error(weights):
    with pytest.raises(ValueError, match="weights must be 3 positive numbers"):
        Mixture(stacked(), weights)


@pytest.mark.parametrize(
    "weights", [[1.0], [0.0, 0.0, 0.0], [1.0, -1.0, 1.0], [1.0, float("nan"), 1.0]]
)
def test_setting_wrong_weights_is_an_error(weights):
    mixture = Mixture(stacked())
    with pytest.raises(ValueError, match="weights must be 3 non-negative"):
        mixture.set_weights(torch.tensor(weights))
    same(mixture.log_weights.exp(), torch.full((3,), 1 / 3, dtype=torch.float64))


def test_weights_learn_only_where_asked():
    for trainable in (False, True):
        mixture = Mixture(stacked(), trainable_weights=trainable)
        (-mixture.log_prob(X).mean()).backward()
        assert (mixture.logits.grad is not None) == trainable


def test_component_index():
    mixture = Mixture([stacked(), Normal(2).double()])
    assert isinstance(mixture.component(3), Normal)
    for index in (-1, 4):
        with pytest.raises(ValueError, match=r"0\.\.3"):
            mixture.component(index)


@pytest.mark.parametrize(
    ("components", "named"),
    [
        ([], "at least one"),
        ([Normal(2), Normal(3)], r"\(2,\), \(3,\)"),
        ([Normal(2, batch_shape=(2, 3))], "batch_shape"),
        (
            [Flow(Normal(2), Coupling(Affine(), 2, context_features=c)) for c in (1, 2)],
            r"context shape, got \[\(1,\), \(2,\)\]",
        ),
    ],
)
def test_components_must_fit(components, named):
    with pytest.raises(ValueError, match=named):
        Mixture(components)


@pytest.mark.parametrize("shape", [(2,), (3, 4, 2), (3, 5, 3, 2)])
def test_posterior_takes_a_table_only(shape):
    """With other shapes the component axis could not be told from the points'."""
    for mixture in (Mixture(stacked()), Mixture([Normal(2).double(), Logistic(2).double()])):
        for method in (mixture.component_log_prob, mixture.joint_log_prob, mixture.log_posterior):
            with pytest.raises(ValueError, match=r"x must have shape \(N, 2\), got \("):
                method(torch.zeros(shape, dtype=torch.float64))


def test_a_mixture_base_serves_the_components_of_a_stacked_flow():
    """Also where both stacks have the same length, which could be confused silently."""
    for size in (2, 3):
        base = Mixture(stacked(size=3), [0.5, 0.2, 0.3])
        outer = TriangularAffine(2, batch_shape=(size,))
        flow = Flow(base, perturb(outer).double())
        for k in range(size):
            one = Flow(base, flow.transform)._log_prob(X, None, None)[k]
            z, term = flow.transform.encode(X)
            same(one, base.log_prob(z[k]) + term[k], 1e-10)
