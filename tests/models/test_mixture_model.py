"""The mixture of flows: what it is at the start, and its objectives against plain enumeration."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from anabranch.algorithms.gaussians import GaussianParameters
from anabranch.distributions import Flow
from anabranch.models import flow_mixture
from anabranch.objectives import MixtureObjective
from anabranch.procedures.mixture_starts import set_start
from anabranch.transforms import Autoregressive, Coupling
from tests.registry import perturb, seeded

K, D, N = 3, 2, 6
SMALL = {
    "flow": {"name": "realnvp", "n_layers": 2, "hidden": [8]},
    "posterior": {"name": "mlp", "hidden": [8]},
}


def model_of(**changes):
    """A model in float64, away from the identity."""
    return perturb(flow_mixture(D, K, **{**SMALL, "seed": 0, **changes}), std=0.4).double()


def loss_of(model, batch, inference="exact"):
    """The objective of a batch, in the mode of the model."""
    return MixtureObjective(model, inference=inference).train(model.training)(batch)


@pytest.fixture
def x():
    return torch.randn(N, D, generator=seeded(0), dtype=torch.float64)


def by_hand(model, x):
    """Plain numbers: log pi_k, log p(x|k), q(k|x), each from a module of its own."""
    logits = model.mixture.logits.detach().numpy()
    log_weights = logits - logsumexp(logits)
    log_p = np.array([model.mixture.component(k).log_prob(x).detach().numpy() for k in range(K)])
    scores = model.posterior(x).detach().numpy().T / model.temperature.item()
    q = np.exp(scores) / np.exp(scores).sum(0)
    return log_weights[:, None] + log_p, q


# --- the start ----------------------------------------------------------------------------------


def gaussians(n_components, n_features, seed=0):
    random = np.random.RandomState(seed)
    factors = random.randn(n_components, n_features, n_features + 2)
    return GaussianParameters(
        weights=random.dirichlet(np.ones(n_components)),
        means=3 * random.randn(n_components, n_features),
        covariances=factors @ factors.transpose(0, 2, 1) / n_features,
    )


def scipy_log_prob(parameters, X):
    parts = [
        np.log(weight) + multivariate_normal(mean, covariance).logpdf(X).reshape(len(X))
        for weight, mean, covariance in zip(
            parameters.weights, parameters.means, parameters.covariances, strict=True
        )
    ]
    return logsumexp(parts, axis=0)


FLOWS = ["realnvp", "maf", ["realnvp", "realnvp", "maf", {"name": "maf", "n_layers": 1}]]


@pytest.mark.parametrize("features", [1, 2, 5, 20])
@pytest.mark.parametrize("flow", FLOWS, ids=["realnvp", "maf", "unlike"])
def test_the_start_is_the_gaussian_mixture(features, flow):
    start = gaussians(4, features)
    model = flow_mixture(features, 4, flow=flow, seed=0)
    set_start(model, start, None, freeze=False)
    X = np.random.RandomState(1).randn(50, features) * 4
    found = model.mixture.log_prob(torch.as_tensor(X, dtype=torch.float32)).detach()
    expected = scipy_log_prob(start, X)
    assert np.abs(found.numpy() - expected).max() < 1e-4 * max(1, np.abs(expected).max())


def test_the_start_in_double_precision_is_exact():
    start = gaussians(4, 5)
    model = flow_mixture(5, 4, seed=0).double()
    set_start(model, start, None, freeze=False)
    X = np.random.RandomState(1).randn(50, 5) * 4
    found = model.mixture.log_prob(torch.as_tensor(X)).detach().numpy()
    assert np.allclose(found, scipy_log_prob(start, X), rtol=0, atol=1e-9)


def test_a_diagonal_start():
    full = gaussians(3, 4)
    diagonal = GaussianParameters(full.weights, full.means, full.covariances * np.eye(4))
    model = flow_mixture(4, 3, diagonal=True, seed=0)
    set_start(model, diagonal, None, freeze=False)
    X = np.random.RandomState(1).randn(50, 4)
    found = model.mixture.log_prob(torch.as_tensor(X, dtype=torch.float32)).detach().numpy()
    assert np.allclose(found, scipy_log_prob(diagonal, X), atol=1e-3)


def test_given_weights_replace_those_of_the_start():
    model = flow_mixture(2, 3, seed=0)
    set_start(model, gaussians(3, 2), np.array([0.5, 0.3, 0.2]), freeze=False)
    assert np.allclose(model.mixture.log_weights.exp().detach(), [0.5, 0.3, 0.2])


@pytest.mark.parametrize("freeze", [False, True])
def test_a_frozen_start_keeps_its_affine_maps(freeze):
    model = flow_mixture(2, 3, seed=0)
    set_start(model, gaussians(3, 2), None, freeze=freeze)
    loss_of(model, {"x": torch.randn(8, 2, generator=seeded(0))}).total.backward()
    affine, *flow = model.mixture.groups[0].transform.transforms
    assert all((p.grad is None) == freeze for p in affine.parameters())
    assert all(p.grad is not None for layer in flow for p in layer.parameters())


# --- unlike flows -------------------------------------------------------------------------------


def test_unlike_flows_for_each_component():
    specs = [
        {"name": "maf", "n_layers": 1, "hidden": [4]},
        {"name": "maf", "n_layers": 1, "hidden": [4]},
        "realnvp",
        {"name": "maf", "n_layers": 2},
    ]
    mixture = flow_mixture(2, 4, flow=specs, seed=0).mixture
    assert [group.batch_shape for group in mixture.groups] == [(2,), (1,), (1,)]
    kinds = []
    for group in mixture.groups:
        assert isinstance(group, Flow)
        layers = group.transform.transforms[1].transforms
        kinds.append((type(layers[0]), len(layers)))
    assert kinds == [(Autoregressive, 1), (Coupling, 8), (Autoregressive, 2)]


def test_unlike_groups_give_what_their_components_give(x):
    model = model_of(flow=["realnvp", "maf", "realnvp"])
    joint, _ = by_hand(model, x)
    assert np.allclose(model.mixture.joint_log_prob(x).detach().numpy(), joint)


def test_stacked_components_differ():
    model = flow_mixture(2, 3, seed=0)
    weights = model.mixture.groups[0].transform.transforms[1].transforms[0].conditioner.hidden[0]
    assert len({tuple(w.flatten().tolist()) for w in weights.weight}) == 3


# --- objectives ---------------------------------------------------------------------------------


def test_exact_inference_is_the_likelihood_and_distillation(x):
    model = model_of()
    joint, q = by_hand(model, x)
    log_p = logsumexp(joint, axis=0)
    posterior = np.exp(joint - log_p)
    expected = -log_p - (posterior * np.log(q)).sum(0)
    assert loss_of(model, {"x": x}).total.item() == pytest.approx(expected.mean(), abs=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_variational_inference_is_the_enumerated_bound(x, temperature):
    model = model_of()
    model.temperature.fill_(temperature)
    joint, q = by_hand(model, x)
    expected = [
        -math.fsum(q[k, n] * (joint[k, n] - math.log(q[k, n])) for k in range(K)) for n in range(N)
    ]
    assert loss_of(model, {"x": x}, "variational").total.item() == pytest.approx(
        np.mean(expected), abs=1e-10
    )


def test_the_bound_is_below_the_likelihood_and_touches_it_at_the_posterior(x):
    model = model_of().eval()
    terms = loss_of(model, {"x": x}, "variational").terms
    gap = terms["negative_elbo"] - terms["nll"]
    assert gap > 0.01
    assert gap.item() == pytest.approx(terms["kl_q_posterior"].item())

    class Posterior(torch.nn.Module):
        def forward(self, x):
            return model.mixture.joint_log_prob(x).mT

    model.posterior = Posterior()
    terms = loss_of(model, {"x": x}, "variational").terms
    assert terms["negative_elbo"].item() == pytest.approx(terms["nll"].item(), abs=1e-12)


def test_the_temperature_sharpens_q(x):
    model = model_of()
    logits = model.posterior(x).detach()
    entropies = []
    for temperature in (1.0, 0.5, 0.01):
        model.temperature.fill_(temperature)
        log_q = model.log_q(x).detach()
        assert torch.allclose(log_q, torch.log_softmax(logits.mT / temperature, 0))
        assert torch.allclose(log_q.exp().sum(0), torch.ones(N, dtype=torch.float64))
        entropies.append(-(log_q.exp() * log_q).sum(0).mean().item())
    assert entropies == sorted(entropies, reverse=True)
    assert entropies[-1] < 0.05


@pytest.mark.parametrize("inference", ["exact", "variational"])
def test_labelled_rows_have_the_joint_likelihood_and_the_cross_entropy(x, inference):
    model = model_of()
    joint, q = by_hand(model, x)
    targets = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0.5, 0.3], [0, 0, 0], [0, 0, 0]])
    labelled = -(targets.T * joint).sum(0) - (targets.T * np.log(q)).sum(0)
    rows = [loss_of(model, {"x": x[n : n + 1]}, inference).total.item() for n in range(N)]
    expected = np.where(targets.sum(1) > 0, labelled, rows)
    batch = {"x": x, "targets": torch.as_tensor(targets, dtype=torch.float64)}
    assert loss_of(model, batch, inference).total.item() == pytest.approx(
        expected.mean(), abs=1e-10
    )


@pytest.mark.parametrize("inference", ["exact", "variational"])
@pytest.mark.parametrize("label", range(K))
def test_a_step_on_a_label_raises_what_it_should(x, inference, label):
    """The sign: down the gradient log p(x, y) and log q(y|x) rise, and no other density moves."""
    model = model_of()
    targets = torch.zeros(N, K, dtype=torch.float64)
    targets[:, label] = 1.0
    joint, q = by_hand(model, x)
    loss_of(model, {"x": x, "targets": targets}, inference).total.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 1e-4 * parameter.grad
    after, q_after = by_hand(model, x)
    assert after[label].mean() > joint[label].mean()
    assert np.log(q_after[label]).mean() > np.log(q[label]).mean()
    others = [k for k in range(K) if k != label]
    log_weights = [p - p_w for p, p_w in zip(after[others], joint[others], strict=True)]
    assert all(np.ptp(change) < 1e-12 for change in log_weights)  # only their weights moved


@pytest.mark.parametrize("learn_weights", [True, False])
def test_em_has_the_gradient_of_the_likelihood_at_the_responsibilities(x, learn_weights):
    """Fisher's identity."""
    gradients = []
    for with_responsibilities in (False, True):
        model = model_of(learn_weights=learn_weights)
        batch = {"x": x}
        if with_responsibilities:
            batch["responsibilities"] = model.mixture.log_posterior(x).detach().exp().mT
        loss_of(model, batch).total.backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    likelihood, em = gradients
    assert list(likelihood) == list(em)
    assert ("mixture.logits" in em) == learn_weights
    for name, gradient in likelihood.items():
        assert torch.allclose(gradient, em[name], atol=1e-12), name
    assert max(g.abs().max() for g in em.values()) > 0.01


def test_distillation_costs_the_density_nothing(x):
    model = model_of()
    loss_of(model, {"x": x}).total.backward()
    with_q = [p.grad.clone() for p in model.mixture.parameters()]
    model.zero_grad()
    (-model.mixture.log_prob(x).mean()).backward()
    for a, b in zip(with_q, model.mixture.parameters(), strict=True):
        assert torch.allclose(a, b.grad, atol=1e-12)
    assert all(p.grad is None or (p.grad == 0).all() for p in model.posterior.parameters())


def test_diagnostics(x):
    model = model_of().eval()
    joint, q = by_hand(model, x)
    log_p = logsumexp(joint, axis=0)
    shares = np.exp(joint - log_p).mean(1)
    terms = {name: value.item() for name, value in loss_of(model, {"x": x}).terms.items()}
    assert terms["nll"] == pytest.approx(-log_p.mean())
    assert terms["entropy_q"] == pytest.approx(-(q * np.log(q)).sum(0).mean())
    assert terms["entropy_mean_q"] == pytest.approx(-(q.mean(1) * np.log(q.mean(1))).sum())
    assert terms["effective_components"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert terms["live_components"] == (shares > 0.1 / K).sum()
    offset = torch.full((N,), 2.5, dtype=torch.float64)
    shifted = loss_of(model, {"x": x, "term": offset}).terms
    assert shifted["nll"].item() == pytest.approx(terms["nll"] - 2.5)
    assert shifted["negative_elbo"].item() == pytest.approx(terms["negative_elbo"] - 2.5)
    assert loss_of(model.train(), {"x": x}).terms == {}


def test_a_dead_component_is_counted():
    model = flow_mixture(D, K, **SMALL, seed=0).eval()
    model.mixture.set_weights(torch.tensor([0.5, 0.499, 0.001]))
    terms = loss_of(model, {"x": torch.zeros(4, D)}).terms
    assert terms["live_components"].item() == 2.0
    assert 2.0 < terms["effective_components"].item() < 2.1


def test_the_temperature_is_part_of_the_state():
    model = model_of()
    model.temperature.fill_(0.25)
    other = flow_mixture(D, K, **SMALL).double()
    other.load_state_dict(model.state_dict())
    assert other.temperature.item() == 0.25
