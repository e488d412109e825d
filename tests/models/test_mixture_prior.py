"""Priors of the Gaussian-mixture autoencoder: densities, draws, and bounds with flows."""

import math

import numpy as np
import pytest
import torch

from anabranch.experiments import nvisa_gradients as truth
from anabranch.metrics import clustering_accuracy
from anabranch.models import maf, nvisa, realnvp
from anabranch.models.autoencoders.mixture_prior import MixturePrior
from anabranch.networks import select_component
from anabranch.objectives import Enumerated, LatentMixtureBound, Vimco, make_bound
from anabranch.objectives.mixture_bounds import BOUNDS
from anabranch.problems import Pinwheel
from anabranch.procedures import start_from_codes
from anabranch.procedures.std_annealing import std_annealing
from anabranch.training import FitOptions, ScheduledBuffer, fit
from tests.registry import perturb, seeded

FLOW = {"name": "realnvp", "n_layers": 3, "hidden": [6]}
K, L = 3, 2


def prior(flows=True, **changes):
    """A prior whose parameters are all of its own, in float64."""
    made = realnvp(L, batch_shape=[K], n_layers=3, hidden=[6], seed=0, **changes)
    made = MixturePrior(L, K, made if flows else None, generator=seeded(1))
    return perturb(made).double()


def one_hot(labels):
    return torch.nn.functional.one_hot(labels, K).movedim(-1, 0).double()


def draws(*shape):
    return 2 * torch.randn(L, *shape, generator=seeded(2), dtype=torch.float64)


@torch.no_grad()
def by_hand(prior, z, k):
    """Log p(z|k) of columns (L, n)."""
    std = torch.log1p(prior.scale[:, k].exp()) + 1
    noise = (z.mT - prior.mean[:, k]) / std
    if prior.flows is None:
        return torch.distributions.Normal(prior.mean[:, k], std).log_prob(z.mT).sum(-1)
    return select_component(prior.flows, k).log_prob(noise) - std.log().sum()


# -- densities -------------------------------------------------------------------------------------


@pytest.mark.parametrize("flows", [False, True])
def test_densities_are_those_by_hand(flows):
    p = prior(flows)
    z, labels = draws(4, 5), torch.randint(K, (4, 5), generator=seeded(3))
    every = torch.stack([by_hand(p, z.flatten(1), k).view(4, 5) for k in range(K)])
    expected = every.gather(0, labels[None])[0]
    torch.testing.assert_close(p.log_prob(z, one_hot(labels)).detach(), expected)
    own = draws(2, K, 5)
    expected = [by_hand(p, own[:, :, k].flatten(1), k).view(2, 5) for k in range(K)]
    torch.testing.assert_close(p.log_prob_of_each(own).detach(), torch.stack(expected, 1))
    shared = own[:, :, :1]
    each = p.log_prob_of_each(shared.expand_as(own))
    torch.testing.assert_close(p.log_prob_of_each(shared), each)


@pytest.mark.parametrize("flows", [False, True])
def test_densities_integrate_to_one(flows):
    p = prior(flows)
    side = torch.linspace(-25, 25, 401, dtype=torch.float64)
    z = torch.cartesian_prod(side, side).mT
    total = p.log_prob_of_each(z[:, None, None]).exp().sum(-1) * (side[1] - side[0]) ** 2
    torch.testing.assert_close(total, torch.ones(1, K).double(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("make", [realnvp, maf])
def test_a_fresh_flow_leaves_the_gaussian(make):
    flows = make(L, batch_shape=[K], seed=0)
    bent = MixturePrior(L, K, flows, generator=seeded(1))
    plain = MixturePrior(L, K, generator=seeded(1))
    z, y = draws(4, 5).float(), one_hot(torch.arange(5) % K)[:, None].float().expand(K, 4, 5)
    torch.testing.assert_close(bent.log_prob(z, y), plain.log_prob(z, y))
    assert not torch.allclose(perturb(bent).log_prob(z, y), plain.log_prob(z, y))


def test_draws_have_the_density_that_is_known():
    p = prior()
    labels = torch.arange(K).repeat_interleave(20_000)
    z = p.sample(labels, seeded(4)).detach()
    for k in range(K):
        own = z[:, labels == k]
        side = torch.linspace(-25, 25, 401, dtype=torch.float64)
        grid = torch.cartesian_prod(side, side).mT
        weight = p.log_prob_of_each(grid[:, None, None])[0, k].exp() * (side[1] - side[0]) ** 2
        mean = (grid * weight).sum(1)
        error = own.std(1) / math.sqrt(20_000)
        assert ((own.mean(1) - mean).abs() < 4 * error).all()
        second = (grid.square() * weight).sum(1)
        error = own.square().std(1) / math.sqrt(20_000)
        assert ((own.square().mean(1) - second).abs() < 4 * error).all()
    assert torch.equal(p.sample(labels, seeded(4)), z)
    assert p.sample(labels[:0]).shape == (L, 0)


def test_relaxed_labels_have_gradients():
    y = one_hot(torch.tensor([0, 1, 2])).requires_grad_()
    for flows in (False, True):
        z = draws(3)
        (given,) = torch.autograd.grad(prior(flows).log_prob(z, y).sum(), y)
        assert given.isfinite().all()
        assert (given != 0).all()


# -- bounds ----------------------------------------------------------------------------------------


def flow_table(model, x):
    """As the experiment's own, with the flows in place of its Gaussians."""
    table, probability = GAUSSIAN_TABLE(model, x)
    nodes, _ = truth.quadrature()
    loc, raw = model.encoder.columns(x)[..., 0]
    z = loc[:, None] + (torch.nn.functional.softplus(raw) + model.floor)[:, None] * nodes
    std = torch.nn.functional.softplus(model.prior.scale[0]) + 1
    noise = (z - model.prior.mean[0][:, None]) / std[:, None]
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(noise)
    return table - normal + model.prior.flows.log_prob(noise[..., None]), probability


GAUSSIAN_TABLE = truth.log_weight_table


@pytest.mark.parametrize("name", truth.FORMS)
def test_the_expected_gradient_is_that_of_the_bound(name, monkeypatch):
    monkeypatch.setattr(truth, "log_weight_table", flow_table)
    x = truth.observation(100)
    # of one feature the couplings are affine: maf with a mixture as base is bent
    how = {"prior": {"name": "maf", "components": 2, "n_layers": 1, "hidden": [3]}}
    objective = truth.tiny(100, **{"samples": 2, **truth.FORMS[name], **how})
    model = objective.model
    perturb(model.prior.flows, std=0.1)
    if name == "NVIL":
        objective.bound.baseline = truth._Constant(truth.elbo(model, x).item())
    exact = truth.flat_gradient(objective, truth.exact_bound(objective, x))
    expected = truth.expected_gradient(objective, x)
    assert (expected - exact).norm() / exact.norm() < 1e-6
    # and the flows have their share in it
    sizes = [p.numel() for p in model.parameters()]
    own = {id(p) for p in model.prior.flows.parameters()}
    parts = dict(zip(map(id, model.parameters()), exact.split(sizes), strict=True))
    assert sum(parts[i].norm() for i in own) > 1e-2


def bent_model():
    """Two latent variables, and flows that are far from the identity."""
    model = nvisa(3, K, latent=L, hidden=[5], floor=0.5, prior=FLOW, seed=0)
    perturb(model.prior.flows)
    with torch.no_grad():
        model.encoder.last.bias[L:] = 2.5  # wide: all of the posterior is within reach
    return model.double().eval()


def quadrature_log_prob(model, x):
    """Log p(x) by a sum over a grid of z, with the densities of torch."""
    side = torch.linspace(-20, 20, 321, dtype=torch.float64)
    z = torch.cartesian_prod(side, side)
    log_p = torch.logsumexp(model.prior.log_prob_of_each(z.mT[:, None, None])[0], 0) - math.log(K)
    loc, raw = model.decoder(z).chunk(2, -1)
    std = torch.nn.functional.softplus(raw) + model.floor
    likelihood = torch.distributions.Normal(loc, std).log_prob(x[:, None]).sum(-1)
    return torch.logsumexp(likelihood + log_p + 2 * math.log(side[1] - side[0]), 1)


@pytest.mark.slow
def test_bounds_are_below_the_integral_and_rise_to_it():
    x = bent_model().sample(200, generator=seeded(5))[0]
    with torch.no_grad():
        exact = quadrature_log_prob(bent_model(), x)
        bounds = [
            LatentMixtureBound(bent_model(), bound).eval()({"x": x}).terms["bound"].item()
            for bound in (Enumerated(8), Vimco(4), Vimco(64), Enumerated(64, importance=True))
        ]
    assert bounds[0] < bounds[1] < bounds[2] < exact.mean()
    assert bounds[0] < bounds[3] < exact.mean()
    estimate = bent_model().importance_log_prob(x[:40], 20_000)
    torch.testing.assert_close(estimate, exact[:40], atol=0.15, rtol=0)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("posterior", ["structured", "mean_field"])
def test_fresh_flows_change_no_bound_and_then_learn(bound, posterior):
    x = torch.rand(6, 4, generator=seeded(0))
    how = {"latent": L, "hidden": [8], "posterior": posterior, "seed": 0}
    models = [nvisa(4, K, prior=prior, **how) for prior in ("gaussian", FLOW)]
    plain, bent = (LatentMixtureBound(m, make_bound(bound, 4, generator=seeded(0))) for m in models)
    totals = [objective.eval()({"x": x}).total for objective in (plain, bent)]
    torch.testing.assert_close(*totals)
    perturb(bent.model.prior.flows)
    bent.train()({"x": x}).total.backward()
    for name, parameter in bent.model.prior.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert (parameter.grad != 0).any(), name


# -- what flows are for ----------------------------------------------------------------------------


def seen_pinwheels(n=400, features=16, seed=100):
    """Three bent wings in two dimensions, seen through a random network; and which wing."""
    z, labels = Pinwheel(n_components=K).sample_per_component(n, random_state=seed)
    random = np.random.RandomState(seed)
    inward, shift = random.normal(0, 0.5, (L, features)), random.normal(0, 0.5, features)
    outward = random.normal(0, features**-0.5, (features, features))
    x = np.tanh(z / z.std() @ inward + shift) @ outward
    x = x + 0.03 * random.normal(size=x.shape)
    return torch.as_tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32), labels


def trained(x, prior, seed=100):
    """A model whose decoder is too small to bend the clusters by itself."""
    how = {"hidden": [12], "activation": "tanh", "seed": seed}
    model = nvisa(x.shape[1], K, latent=L, prior=prior, **how)
    start = FitOptions(max_epochs=20, batch_size=128, learning_rate=3e-3, patience=None)
    start_from_codes(model, x, options=start, random_state=np.random.RandomState(seed))
    options = FitOptions(max_epochs=60, batch_size=128, learning_rate=3e-3, patience=None)
    bound = std_annealing(60 * (len(x) // 128), first=0.3, last=0.05, share=0.5)
    floor = ScheduledBuffer("std_bound", model.floor, bound)
    sources = {"generator": seeded(seed), "noise": seeded(seed)}
    objective = LatentMixtureBound(model, Enumerated())
    fit(objective, {"x": x}, options=options, schedules=[floor], **sources)
    return model.eval()


@pytest.mark.slow
def test_flows_take_bent_clusters_off_the_decoder():
    x, labels = seen_pinwheels()
    models = [trained(x, prior) for prior in ("gaussian", {**FLOW, "n_layers": 8, "hidden": [16]})]
    plain, bent = (model.importance_log_prob(x, 50).mean().item() for model in models)
    assert bent > plain + 0.5
    accuracies = [clustering_accuracy(labels, m.log_q(x).argmax(0).numpy()) for m in models]
    assert accuracies[1] >= accuracies[0] > 0.9


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ("gloom", ValueError, "unknown recipe 'gloom'"),
        ({"name": "realnvp", "depth": 3}, TypeError, "'realnvp' has no keyword 'depth'"),
        ({"n_layers": 3}, TypeError, "prior must be a name or a dict with a 'name'"),
        (None, TypeError, "prior must be a name or a dict with a 'name', got None"),
        ("tabular", ValueError, "unknown recipe"),
        ({"name": "gaussian", "std": 1}, TypeError, "prior 'gaussian' has no keywords, got std"),
        ("vae", TypeError, "recipe 'vae' has no keyword 'batch_shape'"),
        ({"name": "made", "head": "bernoulli"}, ValueError, "it cannot be a prior"),
    ],
)
def test_wrong_priors(given, error, said):
    with pytest.raises(error, match=said):
        nvisa(4, K, latent=L, hidden=[8], prior=given)


def test_flows_must_fit():
    with pytest.raises(ValueError, match=r"flows must have event shape \(2,\) and batch shape"):
        MixturePrior(L, K, realnvp(L, batch_shape=[K + 1]))
