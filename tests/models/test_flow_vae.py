"""Posteriors, priors and likelihoods of variational autoencoders against known truth."""

import math

import pytest
import torch

from anabranch.experiments.linear_gaussian_posteriors import exact_model
from anabranch.models import build, flow_vae
from anabranch.models.autoencoders.code_usage import code_usage
from anabranch.objectives import ImportanceBound, iwae
from anabranch.problems import LinearGaussian
from tests.registry import perturb, seeded

POSTERIORS = [
    "diagonal", "copula", {"name": "copula", "structure": "rank-one"},
    {"name": "planar", "n_layers": 2}, {"name": "radial", "n_layers": 2},
    {"name": "iaf", "n_layers": 2, "gate": 3.0}, "nice",
    "volume-preserving", {"name": "realnvp", "n_layers": 2},
]  # fmt: skip
# without a density at points that they did not draw
DYNAMICS = [{"name": "hamiltonian", "n_steps": 2}, {"name": "langevin", "n_rounds": 3}]
PRIORS = ["normal", {"name": "vampprior", "n_components": 4}, {"name": "maf", "n_layers": 1}]
# of the parameters: with larger ones some weights have no variance to speak of
SIZE = 0.2
ALL = [*POSTERIORS, *DYNAMICS]
NAMES = [p if isinstance(p, str) else "-".join(map(str, p.values())) for p in ALL]


def small(posterior, **changes):
    settings = {"latent": 2, "hidden": [6], "context": 5, "seed": 0, **changes}
    return perturb(flow_vae(3, posterior=posterior, **settings), std=SIZE)


def rows(n=3):
    return torch.rand(n, 3, generator=seeded(0))


def quadrature(model, x, limit=9.0, points=301):
    """Log p(x) of codes in the plane, (N,)."""
    axis = torch.linspace(-limit, limit, points)
    z = torch.cartesian_prod(axis, axis)
    joint = [model.decoder.log_prob(z, r.expand(len(z), -1)) + model.prior.log_prob(z) for r in x]
    return torch.logsumexp(torch.stack(joint), 1) + 2 * math.log(2 * limit / (points - 1))


@pytest.mark.parametrize("posterior", POSTERIORS, ids=NAMES[:-2])
@torch.no_grad()
def test_density_at_a_draw_is_that_of_the_posterior(posterior):
    model, x = small(posterior).double(), rows().double()
    z, log_q = model.draw(x, 4, seeded(1))
    assert z.shape == (4, 3, 2)
    torch.testing.assert_close(log_q, model.posterior.log_prob(z, model.encoder(x)))


@pytest.mark.parametrize("posterior", ALL, ids=NAMES)
@torch.no_grad()
def test_weights_estimate_the_likelihood_of_quadrature(posterior):
    model, x = small(posterior), rows()
    reconstruction, divergence = model.terms(x, 8000, seeded(1))
    log_w, truth = (reconstruction - divergence).double(), quadrature(model, x).double()
    w = torch.exp(log_w - truth)  # of mean one
    assert ((w.mean(0) - 1).abs() < 4 * w.std(0) / 8000**0.5).all()
    assert (w.std(0) / 8000**0.5 < 0.2).all()
    assert (log_w.mean(0) < truth).all()


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("prior", PRIORS, ids=["normal", "vampprior", "maf"])
@torch.no_grad()
def test_any_prior_goes_with_any_likelihood(prior, likelihood):
    model, x = small("copula", prior=prior, likelihood=likelihood), rows()
    reconstruction, divergence = model.terms(x, 4000, seeded(1))
    torch.testing.assert_close(
        iwae(reconstruction - divergence), quadrature(model, x), atol=0.05, rtol=0
    )
    drawn = model.sample(200, generator=seeded(2))
    assert drawn.shape == (200, 3)
    assert (likelihood == "bernoulli") == bool(((drawn == 0) | (drawn == 1)).all())


@pytest.mark.parametrize("posterior", ALL, ids=NAMES)
def test_bound_reaches_every_parameter(posterior):
    prior = "maf" if posterior in DYNAMICS else {"name": "vampprior", "n_components": 2}
    model = small(posterior, prior=prior)
    ImportanceBound(model, n_draws=2)({"x": rows()}, generator=seeded(0)).total.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # the last feature of an autoregressive order has units that feed nothing
    assert not silent


def test_codes_are_the_means_where_the_posterior_is_normal():
    for posterior in ("diagonal", "copula", {"name": "copula", "structure": "rank-one"}):
        model, x = small(posterior), rows()
        with torch.no_grad():
            z, _ = model.draw(x, 20_000, seeded(0))
            torch.testing.assert_close(model.encode(x), z.mean(0), atol=0.08, rtol=0)
            torch.testing.assert_close(model.encode(x)[:1], model.encode(x[:1]))


@torch.no_grad()
def set_copula(q, problem, *, tied=True):
    """Make a copula the posterior of a linear Gaussian model, or the best independent one."""
    precision = torch.as_tensor(problem.latent_precision())
    j = len(precision)
    covariance = torch.linalg.inv(precision)
    std = covariance.diagonal().sqrt() if tied else precision.diagonal().rsqrt()
    gain = covariance @ torch.as_tensor(problem.loadings).T / problem.noise_std**2
    last = q.parameters_of.network.last
    last.weight.zero_()
    last.weight[:j] = gain
    last.bias[:j, 0] = -gain @ torch.as_tensor(problem.offset)
    last.bias[j : 2 * j, 0] = q.bound * torch.atanh(std.log() / q.bound)
    if tied:
        factor = torch.linalg.cholesky(covariance / std / std[:, None])
        factor = factor / factor.diagonal()[:, None]
        last.bias[2 * j :, 0] = factor[tuple(torch.tril_indices(j, j, -1))]


@pytest.mark.parametrize("tied", [True, False], ids=["copula", "mean-field"])
@torch.no_grad()
def test_gap_of_the_linear_gaussian_model_is_the_one_in_closed_form(tied):
    problem = LinearGaussian.random(5, 3, random_state=0)
    model = exact_model(problem, "copula", 0).double()
    set_copula(model.posterior, problem, tied=tied)
    X, _ = problem.sample(6, random_state=1)
    reconstruction, divergence = model.terms(torch.as_tensor(X), 4000, seeded(0))
    log_w = reconstruction - divergence
    gap = torch.as_tensor(problem.log_prob(X)) - log_w.mean(0)
    if tied:  # every draw has the same weight, p(x)
        truth = torch.as_tensor(problem.log_prob(X)).expand_as(log_w)
        torch.testing.assert_close(log_w, truth, atol=1e-5, rtol=0)  # set in single precision
    else:
        expected = torch.full_like(gap, problem.mean_field_gap())
        assert ((gap - expected).abs() < 4 * log_w.std(0) / 4000**0.5).all()


def test_mean_field_gap_is_that_of_the_best_independent_normal():
    problem = LinearGaussian.random(4, 3, random_state=2)
    precision = torch.as_tensor(problem.latent_precision())

    def divergence(log_std):
        """Of independent normals at the right mean from the posterior; convex."""
        trace = (precision.diagonal() * torch.exp(2 * log_std)).sum()
        return 0.5 * (trace - 3 - torch.logdet(precision)) - log_std.sum()

    best = (-0.5 * precision.diagonal().log()).requires_grad_()
    least = divergence(best)
    (slope,) = torch.autograd.grad(least, best)
    assert slope.abs().max() < 1e-12
    assert least.item() == pytest.approx(problem.mean_field_gap(), abs=1e-12)


def test_free_bits_hold_the_divergence_up_in_training_only():
    model, x = small("diagonal"), rows()
    objective = ImportanceBound(model, free_bits=1e3)
    loss = objective({"x": x}, generator=seeded(0))
    assert loss.total.item() == pytest.approx(loss.terms["reconstruction"].item() + 1e3)
    loss.total.backward()
    assert not any(p.grad.any() for p in model.posterior.parameters() if p.grad is not None) or (
        loss.terms["divergence"] < 1e3
    )
    loss = objective.eval()({"x": x})
    expected = loss.terms["reconstruction"] + loss.terms["divergence"]
    assert loss.total.item() == pytest.approx(expected.item())
    with pytest.raises(ValueError, match="free_bits"):
        ImportanceBound(model, n_draws=2, free_bits=1.0)


def test_more_draws_raise_the_bound():
    model, x = small("diagonal"), rows(64)
    totals = [ImportanceBound(model, n_draws=m).eval()({"x": x}).total.item() for m in (1, 10, 200)]
    assert totals[0] > totals[1] > totals[2]


def test_warm_up_weighs_the_divergence_in_training_only():
    objective, x = ImportanceBound(small("iaf")), rows()
    objective.beta.fill_(0.25)
    loss = objective({"x": x}, generator=seeded(0))
    terms = loss.terms
    assert loss.total.item() == pytest.approx(
        (terms["reconstruction"] + 0.25 * terms["divergence"]).item()
    )


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"posterior": {"name": "diagonal", "n_layers": 2}}, TypeError, "diagonal"),
        ({"posterior": "nothing"}, ValueError, "nothing"),
        ({"posterior": {"name": "copula", "structure": "x"}}, ValueError, "structure"),
        ({"posterior": "vae"}, ValueError, "posterior"),
        ({"prior": "nothing"}, ValueError, "nothing"),
        ({"prior": {"name": "vampprior", "n": 3}}, TypeError, "n"),
        ({"likelihood": "poisson"}, ValueError, "likelihood"),
        ({"posterior": "langevin", "prior": "vampprior"}, ValueError, "vampprior"),
        ({"posterior": {"name": "langevin", "n_steps": 3}}, TypeError, "n_steps"),
    ],
)
def test_wrong_parts_are_named(changes, error, match):
    with pytest.raises(error, match=match):
        build("flow_vae", features=3, hidden=[4], **changes)


def test_what_a_number_of_a_code_costs_is_the_closed_form_of_a_normal():
    model = flow_vae(3, latent=3, hidden=[8], posterior="diagonal", seed=0).double()
    x = torch.randn(40, 3, generator=seeded(0), dtype=torch.float64)
    network = model.posterior.conditioner.last
    with torch.no_grad():
        network.weight[:2].normal_(0, 0.3, generator=seeded(1))
        network.bias[3:5] = -0.5
        loc, log_scale = model.posterior._moments(model.encoder(x))
    closed = 0.5 * (loc.square() + (2 * log_scale).exp() - 1) - log_scale
    found = code_usage(model, x, 4000, seeded(2))
    torch.testing.assert_close(found.means, loc, atol=0.1, rtol=0)
    torch.testing.assert_close(found.divergence, closed.mean(0), atol=0.05, rtol=0.05)
    torch.testing.assert_close(found.total, closed.sum(1).mean(), atol=0.02, rtol=0)
    assert found.active.tolist() == (loc.var(0) > 0.01).tolist() == [True, True, False]
    with pytest.raises(ValueError, match="n_draws must be at least 2, got 1"):
        code_usage(model, x, 1)
