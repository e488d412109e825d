"""Deep clustering: objectives against formulas, quadrature and exact posteriors."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import (
    Bernoulli,
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
    kl_divergence,
)

from anabranch.metrics import clustering_accuracy
from anabranch.models import autoencoder, dec, gmvae, vade, vae
from anabranch.models.autoencoders import dense_coders as coder
from anabranch.objectives import (
    Reconstruction,
    VariationalBound,
    self_training,
    sharpened_targets,
    student_log_q,
)
from anabranch.procedures import (
    CollapsedWarning,
    TrainingRun,
    fit_dec,
    fit_vade,
    log_responsibilities,
)
from anabranch.procedures.cluster_watch import ClusterWatch
from anabranch.procedures.fit_dec import SelfTraining
from anabranch.procedures.fit_gmvae import HierarchicalBound
from anabranch.training import FitOptions, Schedule, fit
from tests.estimators.data import folded
from tests.registry import perturb, seeded

LIKELIHOODS = ["gaussian", "bernoulli"]
GRID = torch.linspace(-25.0, 25.0, 20_001, dtype=torch.float64)


# equal but for the rounding of kernels, which choose their order by the sizes of layers
assert_same = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)


def rows(n=5, features=3, seed=0):
    return torch.rand(n, features, generator=seeded(seed), dtype=torch.float64)


def small(recipe, *arguments, likelihood="gaussian", **keywords):
    """A model in double precision, away from its start."""
    keywords = {"latent": 1, "hidden": [4], "activation": "tanh", "seed": 0, **keywords}
    model = recipe(3, *arguments, likelihood=likelihood, **keywords)
    return perturb(model, std=0.5).double()


def observed(model, z):
    """p(x|z) by torch's own distributions."""
    mean = model.decode(z)
    if model.decoder.likelihood == "bernoulli":
        return Independent(Bernoulli(probs=mean, validate_args=False), 1)
    scale = coder.bounded(model.decoder.log_scale, coder.BOUND).exp()
    return Independent(Normal(mean, scale), 1)


# -- likelihoods and noise -------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_likelihoods_of_the_decoder(likelihood):
    model = small(vae, likelihood=likelihood)
    z, x = torch.randn(5, 1, dtype=torch.float64, generator=seeded(1)), rows()
    torch.testing.assert_close(model.decoder.log_prob(z, x), observed(model, z).log_prob(x))


def test_errors_of_the_autoencoder():
    x = rows()
    squares, entropies = (small(autoencoder, likelihood=kind) for kind in LIKELIHOODS)
    mean = squares.decode(squares.encode(x))
    torch.testing.assert_close(
        Reconstruction(squares)({"x": x}).total, nn.functional.mse_loss(mean, x)
    )
    mean = entropies.decode(entropies.encode(x))
    expected = nn.functional.binary_cross_entropy(mean, x)
    torch.testing.assert_close(Reconstruction(entropies)({"x": x}).total, expected)


def test_corruption_hides_features_in_training_only():
    model = small(autoencoder)
    objective, plain = Reconstruction(model, corruption=0.3), Reconstruction(model)
    x = torch.ones(4000, 3, dtype=torch.float64)
    seen = objective.corrupted(x, seeded(0))
    assert set(seen.unique().tolist()) == {0.0, 1.0}
    assert float(seen.mean()) == pytest.approx(0.7, abs=0.02)
    expected = model.error(model.encode(seen), x).mean()
    assert objective({"x": x}, generator=seeded(0)).total == expected
    assert objective.eval()({"x": x}).total == plain({"x": x}).total != expected
    assert objective.stochastic
    assert not plain.stochastic


@pytest.mark.parametrize(("recipe", "arguments"), [(vae, ()), (vade, (2,))])
def test_noise_is_drawn_anew_in_training_and_fixed_outside(recipe, arguments):
    objective, batch = VariationalBound(small(recipe, *arguments)), {"x": rows()}
    first, second = (objective(batch, generator=seeded(i)).total for i in (0, 1))
    assert first != second
    assert first == objective(batch, generator=seeded(0)).total
    assert objective.eval()(batch).total == objective(batch, generator=seeded(1)).total


def test_a_code_reaches_the_limit_of_scales_and_no_further():
    values = torch.tensor([-100.0, -2.0, 0.0, 100.0])
    limited = coder.bounded(coder.unbounded(values), coder.BOUND)
    torch.testing.assert_close(limited, torch.tensor([-5.7, -2.0, 0.0, 5.7]), atol=1e-4, rtol=0)


# -- bounds ----------------------------------------------------------------------------------------


def log_evidence(model, prior, x):
    """Log p(x) of a model with a one-dimensional code, by the trapezoidal rule."""
    z = GRID[:, None]
    joint = observed(model, z).log_prob(x[:, None]) + prior.log_prob(z)[:, 0]
    return torch.logsumexp(joint, 1) + math.log(float(GRID[1] - GRID[0]))


# Noise on a grid in place of draws, and the weights of its rows.
NOISE = torch.linspace(-9, 9, 4001, dtype=torch.float64)[:, None]
WEIGHTS = torch.softmax(-0.5 * NOISE[:, 0].square(), 0)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@torch.no_grad()
def test_the_bound_of_vae(likelihood):
    model, x = small(vae, likelihood=likelihood), rows()
    evidence = log_evidence(model, Normal(0.0, 1.0), x)
    for i, row in enumerate(x):
        loc, log_scale = (moment[0] for moment in model.encoder(row[None]))
        q = Normal(loc, log_scale.exp())
        reconstruction, divergence = model.terms(row.expand(len(NOISE), -1), NOISE)
        expected = kl_divergence(q, Normal(torch.zeros_like(loc), 1.0)).sum()
        torch.testing.assert_close(divergence[0], expected)
        density = q.log_prob(GRID[:, None])[:, 0].exp() * (GRID[1] - GRID[0])
        integral = (density * observed(model, GRID[:, None]).log_prob(row)).sum()
        torch.testing.assert_close((WEIGHTS * reconstruction).sum(), integral, rtol=1e-6, atol=1e-6)
        assert integral - expected < evidence[i]


def prior_of(model):
    """The prior of a VaDE by torch's own distributions: components, and the mixture."""
    scale = coder.bounded(model.log_scale, coder.BOUND).exp()[:, 0, 0]
    components = Normal(model.loc[:, 0, 0], scale)
    return components, MixtureSameFamily(Categorical(logits=model.logits[:, 0]), components)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@torch.no_grad()
def test_the_bound_of_vade(likelihood):
    model = small(vade, 3, likelihood=likelihood)
    components, prior = prior_of(model)
    log_weights = torch.log_softmax(model.logits[:, 0], 0)
    x = rows()
    evidence = log_evidence(model, prior, x)
    joint = log_weights + components.log_prob(GRID[:, None])  # (grid, K)
    gamma = torch.softmax(joint, 1)
    for i, row in enumerate(x):
        loc, log_scale = (moment[0] for moment in model.encoder(row[None]))
        log_q = Normal(loc, log_scale.exp()).log_prob(GRID[:, None])[:, 0]
        density = log_q.exp() * (GRID[1] - GRID[0])
        inner = density @ joint  # E log pi_k N(z'; m_k, s_k)
        outer = observed(model, GRID[:, None]).log_prob(row)
        outer = outer + (gamma * (inner - gamma.clamp_min(1e-300).log())).sum(1)
        bound = (density * outer).sum() - (density * log_q).sum()
        reconstruction, divergence = model.terms(row.expand(len(NOISE), -1), NOISE)
        found = (WEIGHTS * (reconstruction - divergence)).sum()
        torch.testing.assert_close(found, bound, rtol=1e-6, atol=1e-6)
        assert bound < evidence[i]


@torch.no_grad()
def test_the_bound_of_vade_is_tight_where_the_posterior_is_known():
    """One component, x = z + noise: q(z|x) is set to the exact posterior."""
    model = vade(1, 1, latent=1, hidden=[], seed=0).double()
    sd, noise = 2.0, 0.5
    model.loc.fill_(0.7)
    model.log_scale.copy_(coder.unbounded(torch.tensor(math.log(sd))))
    model.decoder.network.last.weight.fill_(1.0)
    model.decoder.network.last.bias.fill_(0.0)
    model.decoder.log_scale.copy_(coder.unbounded(torch.tensor(math.log(noise))))
    gain = sd**2 / (sd**2 + noise**2)
    model.encoder.network.last.weight.copy_(torch.tensor([[gain], [0.0]]))
    log_scale = coder.unbounded(torch.tensor(0.5 * math.log(gain) + math.log(noise)))
    model.encoder.network.last.bias.copy_(torch.tensor([[(1 - gain) * 0.7], [float(log_scale)]]))
    x = torch.tensor([[1.3]], dtype=torch.float64)
    reconstruction, divergence = model.terms(x.expand(len(NOISE), 1), NOISE)
    exact = Normal(0.7, math.hypot(sd, noise)).log_prob(x)[0, 0]
    torch.testing.assert_close((WEIGHTS * (reconstruction - divergence)).sum(), exact)


@torch.no_grad()
def test_responsibilities_of_vade_are_bayes_rule():
    model = small(vade, 3)
    components, _ = prior_of(model)
    x = rows()
    joint = torch.log_softmax(model.logits[:, 0], 0) + components.log_prob(model.encode(x))
    torch.testing.assert_close(model.responsibilities(x), torch.log_softmax(joint, 1).mT)


# -- GMVAE -----------------------------------------------------------------------------------------


def hierarchical(**keywords):
    """A small model whose components move with w."""
    return small(gmvae, 3, **{"hidden_prior": [4], **keywords})


def normals(moments):
    loc, log_scale = moments
    return Normal(loc, log_scale.exp())


def near(first, second):
    """Whether two samples have means within three standard errors of their difference."""
    error = math.sqrt(first.var() / len(first) + second.var() / len(second))
    return abs(float(first.mean() - second.mean())) < 3 * error


@torch.no_grad()
def test_each_divergence_of_gmvae_is_that_of_draws():
    model, n = hierarchical(latent=2, latent_prior=3), 40_000
    row = rows()[:1]
    noise = torch.randn(n, 5, dtype=torch.float64, generator=seeded(0))
    found = model.terms(row.expand(n, -1), noise)
    torch.manual_seed(1)
    loc, log_scale = model.encoder(row)
    q_z, q_w = (normals((loc[0, s], log_scale[0, s])) for s in (slice(0, 2), slice(2, 5)))
    z, w, other = q_z.sample((n,)), q_w.sample((n,)), q_z.sample((n,))
    p_w = Normal(torch.zeros(3, dtype=torch.float64), 1.0)
    assert near(found["w_prior"], (q_w.log_prob(w) - p_w.log_prob(w)).sum(1))
    p_z = normals(model.components(w))
    log_p = torch.log_softmax(p_z.log_prob(z).sum(-1), 0)
    k = Categorical(logits=log_p.mT).sample()
    assert near(found["k_prior"], log_p[k, range(n)] + math.log(3))
    assert near(found["entropy"], -log_p[k, range(n)])
    gap = q_z.log_prob(other) - p_z.log_prob(other)[k, range(n)]
    assert near(found["conditional_prior"], gap.sum(-1))
    assert near(found["reconstruction"], observed(model, z).log_prob(row))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@torch.no_grad()
def test_each_row_of_gmvae_has_terms_of_its_own_z_and_w(likelihood):
    """Against every component in turn, by torch's own distributions, one row after the other."""
    model, x = hierarchical(latent=2, latent_prior=3, likelihood=likelihood), rows()
    noise = torch.randn(5, 5, dtype=torch.float64, generator=seeded(7))
    found, log_p = model.terms(x, noise), model.responsibilities(x)
    for i, row in enumerate(x[:, None]):
        q = normals(moment[0] for moment in model.encoder(row))
        z, w = (q.loc + q.scale * noise[i]).split([2, 3])
        q_z, q_w = (Normal(q.loc[s], q.scale[s]) for s in (slice(0, 2), slice(2, 5)))
        p_z = [normals(moment[k, 0] for moment in model.components(w[None])) for k in range(3)]
        p = Categorical(logits=torch.stack([own.log_prob(z).sum() for own in p_z]))
        apart = [kl_divergence(q_z, own).sum() for own in p_z]
        flat = Categorical(logits=torch.zeros(3).double())
        expected = {
            "reconstruction": observed(model, z[None]).log_prob(row)[0],
            "conditional_prior": sum(share * kl for share, kl in zip(p.probs, apart, strict=True)),
            "w_prior": kl_divergence(q_w, Normal(torch.zeros(3).double(), 1.0)).sum(),
            "k_prior": kl_divergence(p, flat),
            "entropy": p.entropy(),
        }
        torch.testing.assert_close({name: term[i] for name, term in found.items()}, expected)
        torch.testing.assert_close(log_p[:, i], model.responsibilities(row)[:, 0])


# Noise of both latents on a grid in place of draws, and the weights of its rows.
PAIRS = torch.cartesian_prod(*[torch.linspace(-8, 8, 129, dtype=torch.float64)] * 2)
PAIR_WEIGHTS = torch.softmax(-0.5 * PAIRS.square().sum(1), 0)


def hierarchical_evidence(model, x):
    """Log p(x) by the trapezoidal rule over z and w."""
    z, w = torch.linspace(-12, 12, 2401).double(), torch.linspace(-8, 8, 161).double()
    p_z = normals(moment[..., 0, None] for moment in model.components(w[:, None]))  # (K, W, 1)
    log_z = torch.logsumexp(p_z.log_prob(z), 0) - math.log(model.n_components)
    log_z = torch.logsumexp(log_z + Normal(0.0, 1.0).log_prob(w)[:, None], 0)
    joint = observed(model, z[:, None]).log_prob(x[:, None]) + log_z
    return torch.logsumexp(joint, 1) + math.log(float((z[1] - z[0]) * (w[1] - w[0])))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("information", [0.0, 0.5])
@torch.no_grad()
def test_the_bound_of_gmvae(likelihood, information):
    model, x = hierarchical(likelihood=likelihood), rows()
    evidence = hierarchical_evidence(model, x)
    for row, log_prob in zip(x, evidence, strict=True):
        terms = model.terms(row.expand(len(PAIRS), -1), PAIRS)
        divergences = terms["conditional_prior"] + terms["w_prior"]
        divergences = divergences + terms["k_prior"].clamp_min(information)
        bound = (PAIR_WEIGHTS * (terms["reconstruction"] - divergences)).sum()
        assert bound < log_prob
        assert bound > log_prob - 30


@torch.no_grad()
def test_the_bound_of_gmvae_is_tight_where_the_posterior_is_known():
    """One component, moved by w, of which x says nothing beyond z; both posteriors are exact."""
    model = gmvae(1, 1, latent=1, hidden=[], hidden_prior=[], seed=0).double()
    sd, noise, gain = 2.0, 0.5, 4.0 / 4.25
    model.prior.last.weight.zero_()
    model.prior.last.bias.copy_(torch.tensor([[0.7], [float(coder.unbounded(logarithm(sd)))]]))
    model.decoder.network.last.weight.fill_(1.0)
    model.decoder.network.last.bias.zero_()
    model.decoder.log_scale.copy_(coder.unbounded(logarithm(noise)))
    last = model.encoder.network.last
    last.weight.copy_(torch.tensor([[gain], [0.0], [0.0], [0.0]]))
    scale = coder.unbounded(logarithm(math.sqrt(gain) * noise))
    last.bias.copy_(torch.tensor([[(1 - gain) * 0.7], [0.0], [float(scale)], [0.0]]))
    x = torch.tensor([[1.3]], dtype=torch.float64)
    terms = model.terms(x.expand(len(PAIRS), 1), PAIRS)
    bound = terms["reconstruction"] - terms["conditional_prior"] - terms["w_prior"]
    exact = Normal(0.7, math.hypot(sd, noise)).log_prob(x)[0, 0]
    torch.testing.assert_close((PAIR_WEIGHTS * bound).sum(), exact, rtol=1e-6, atol=1e-6)
    assert float(terms["k_prior"].abs().max()) == 0.0


def logarithm(value):
    return torch.tensor(math.log(value))


@torch.no_grad()
def test_responsibilities_of_gmvae_are_bayes_rule():
    model, x = hierarchical(latent=2), rows()
    w = model.encoder(x)[0][:, 2:]
    joint = normals(model.components(w)).log_prob(model.encode(x)).sum(-1)
    torch.testing.assert_close(model.responsibilities(x), torch.log_softmax(joint, 0))


def test_information_is_free_up_to_its_limit_and_entropy_is_paid_for():
    x, model = rows(50), hierarchical()
    plain, free, sure = (
        HierarchicalBound(model, **{"information": 0.0, **k}).eval()
        for k in ({}, {"information": 0.4}, {"entropy": 2.0})
    )
    noise = torch.randn(50, 2, dtype=torch.float64, generator=seeded(0))
    terms, loss = model.terms(x, noise), plain({"x": x})
    divergence = terms["k_prior"]
    assert 0 < int((divergence < 0.4).sum()) < 50
    expected = -terms["reconstruction"] + terms["conditional_prior"] + terms["w_prior"]
    torch.testing.assert_close(loss.total, (expected + divergence).mean())
    clamped = (expected + divergence.clamp_min(0.4)).mean()
    torch.testing.assert_close(free({"x": x}).total, clamped)
    torch.testing.assert_close(sure({"x": x}).total, loss.total + 2 * terms["entropy"].mean())


@pytest.mark.parametrize("seed", [100, 101])
def test_clusters_fade_without_information_and_are_found_with_it(seed):
    x, labels, _ = folded(400)
    x = torch.as_tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
    used, found = [], []
    for information in (0.0, None):
        source = seeded(seed)
        model = gmvae(20, 4, latent=2, hidden=[32], hidden_prior=[16], seed=source)
        objective = HierarchicalBound(model, information=information)
        options = FitOptions(max_epochs=40, batch_size=50, learning_rate=3e-3, patience=None)
        run = TrainingRun(options, seeded(0), source)
        run.fit(objective, {"x": x}, {"x": x})
        certain = log_responsibilities(model.eval(), x).exp().amax(0) > 0.5
        clusters = log_responsibilities(model, x).argmax(0)
        used.append(len(clusters[certain].unique()))
        found.append(clustering_accuracy(labels, clusters.numpy()))
    assert used[0] < used[1] == 4
    assert found[0] < 0.8
    assert found[1] > 0.9


@torch.no_grad()
def test_gmvae_starts_at_an_autoencoder_and_its_mixture():
    coded, x = small(autoencoder, latent=2), rows()
    model = gmvae(3, 2, latent=2, latent_prior=3, hidden=[4], activation="tanh", seed=1)
    model = model.double()
    means = torch.randn(2, 2, dtype=torch.float64, generator=seeded(3))
    variances = torch.tensor([[0.5, 2.0], [1.0, 0.1]], dtype=torch.float64)
    model.start_from(coded, 0.04, torch.tensor([0.3, 0.7]), means, variances)
    assert_same(model.encode(x), coded.encode(x))
    assert_same(model.decode(means), coded.decode(means))
    mixture = Independent(Normal(means, variances.sqrt()), 1)
    joint = mixture.log_prob(coded.encode(x)[:, None])
    torch.testing.assert_close(model.responsibilities(x), torch.log_softmax(joint, 1).mT)
    expected = 0.25 * variances.log().mean(0).mul(0.5).exp()
    torch.testing.assert_close(model.encoder(x)[1][:, :2].exp(), expected.expand(5, 2))


# -- self-training ---------------------------------------------------------------------------------


def by_hand(z, centers, alpha):
    """Q and P of the paper in loops, (N, K)."""
    q = np.array(
        [
            [(1 + sum((a - b) ** 2) / alpha) ** (-(alpha + 1) / 2) for b in centers.numpy()]
            for a in z.detach().numpy()
        ]
    )
    q /= q.sum(1, keepdims=True)
    p = q**2 / q.sum(0)
    return q, p / p.sum(1, keepdims=True)


@pytest.mark.parametrize("alpha", [1.0, 3.0])
def test_assignments_targets_and_the_gradient_of_dec(alpha):
    z = torch.randn(6, 2, dtype=torch.float64, generator=seeded(0)).requires_grad_()
    centers = torch.randn(3, 2, dtype=torch.float64, generator=seeded(1))
    q, p = by_hand(z, centers, alpha)
    log_q = student_log_q(z, centers, alpha)
    np.testing.assert_allclose(log_q.exp().mT.detach(), q, rtol=1e-12)
    targets = sharpened_targets(log_q)
    np.testing.assert_allclose(targets.mT, p, rtol=1e-12)
    loss = self_training(log_q, targets)
    np.testing.assert_allclose(loss.detach(), (p * np.log(p / q)).sum(1), rtol=1e-10)
    loss.sum().backward()
    away = z.detach()[:, None] - centers
    kernel = 1 / (1 + away.square().sum(-1) / alpha)
    pull = (kernel * torch.as_tensor(p - q))[..., None] * away
    closed = (alpha + 1) / alpha * pull.sum(1)  # equation 4 of the paper
    torch.testing.assert_close(z.grad, closed, rtol=1e-9, atol=1e-12)


def test_targets_with_zeros_are_no_trouble():
    log_q = torch.log(torch.tensor([[0.5], [0.5]])).requires_grad_()
    loss = self_training(log_q, torch.tensor([[1.0], [0.0]]))
    loss.sum().backward()
    assert float(loss.detach()) == pytest.approx(math.log(2))
    assert torch.equal(log_q.grad, torch.tensor([[-1.0], [0.0]]))


def test_dec_has_no_decoder_and_idec_does():
    x = rows()
    plain, improved = small(dec, 2), small(dec, 2, decoder=True)
    assert plain.decoder is None
    loss = SelfTraining(improved, reconstruction=3.0)({"x": x})
    total = loss.terms["self_training"] + 3 * loss.terms["reconstruction"]
    torch.testing.assert_close(loss.total, total)
    error = (improved.decoder(improved.encode(x)) - x).square().mean()
    torch.testing.assert_close(loss.terms["reconstruction"], error)
    targets = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(5, 2)
    fixed = SelfTraining(plain)({"x": x, "targets": targets}).terms["self_training"]
    torch.testing.assert_close(fixed, -plain.responsibilities(x)[0].mean())


# -- starts ----------------------------------------------------------------------------------------


@torch.no_grad()
def test_systems_start_at_their_autoencoder():
    coded, x = small(autoencoder, latent=2), rows()
    gathered = dec(3, 4, latent=2, hidden=[4], activation="tanh", decoder=True).double()
    centers = torch.randn(4, 2, dtype=torch.float64, generator=seeded(3))
    gathered.start_from(coded, centers)
    assert_same(gathered.encode(x), coded.encode(x))
    assert_same(gathered.decoder(gathered.encode(x)), coded.decode(coded.encode(x)))
    assert torch.equal(gathered.centers, centers)

    deep = vade(3, 2, latent=2, hidden=[4], activation="tanh", seed=1).double()
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    variances = torch.tensor([[0.5, 2.0], [1.0, 0.1]], dtype=torch.float64)
    deep.start_from(coded, 0.04, weights, centers[:2], variances)
    assert_same(deep.encode(x), coded.encode(x))
    assert_same(deep.decode(centers), coded.decode(centers))
    mixture = Independent(Normal(centers[:2], variances.sqrt()), 1)
    joint = weights.log() + mixture.log_prob(coded.encode(x)[:, None])
    torch.testing.assert_close(deep.responsibilities(x), torch.log_softmax(joint, 1).mT)
    scale = coder.bounded(deep.decoder.log_scale, coder.BOUND).exp()
    assert float(scale) == pytest.approx(0.2)
    expected = 0.25 * variances.log().mean(0).mul(0.5).exp()
    torch.testing.assert_close(deep.encoder(x)[1].exp(), expected.expand(5, 2))


# -- runs ------------------------------------------------------------------------------------------


def two(n=200, seed=0):
    """Two overlapping groups of rows, and a started DEC of them."""
    labels = torch.arange(n) % 2
    x = 1.5 * (2 * labels[:, None] - 1) + torch.randn(n, 3, generator=seeded(seed))
    model = dec(3, 2, latent=2, hidden=[8], activation="tanh", seed=0)
    with torch.no_grad():
        codes = model.encode(x)
        model.centers.copy_(torch.stack([codes[labels == k].mean(0) for k in (0, 1)]))
    return model, x


OPTIONS = FitOptions(max_epochs=30, batch_size=50, learning_rate=1e-2)


def run_of(**changes):
    return TrainingRun(OPTIONS, seeded(0), seeded(1), **changes)


def test_self_training_makes_assignments_certain_and_ends():
    model, x = two()
    before = log_responsibilities(model, x)
    result = fit_dec(model, x, run_of(), refresh=8)
    after = log_responsibilities(model, x)
    assert after.amax(0).exp().mean() > before.amax(0).exp().mean() + 0.1
    assert result.stopped == "settled"
    assert result.steps < 30 * 4
    steps = [entry["step"] for entry in result.history]
    assert steps == sorted(set(steps))
    assert result.history[-1]["clusters"] == 2.0


def test_self_training_leaves_the_last_state_of_a_loss_whose_targets_move():
    model, x = two()
    result = fit_dec(model, x, run_of(), refresh=4, tol=0.0)
    again, _ = two()
    watch = ClusterWatch(again, x, targets=x.new_zeros(200, 2))
    data = {"x": x, "targets": watch.targets}
    options = FitOptions(
        max_epochs=30, batch_size=50, learning_rate=1e-2, patience=None, min_evaluation_steps=4
    )
    fit(
        SelfTraining(again),
        data,
        options=options,
        generator=seeded(0),
        schedules=[watch],
        on_epoch=watch.on_epoch,
    )
    assert result.steps == 120
    assert torch.equal(watch.last["centers"], model.state_dict()["centers"])


class Sabotage(Schedule):
    """Puts all rows into the first cluster at step 6; remembers the clusters at step 4."""

    name, value = "sabotage", 0.0

    def __init__(self, model, x):
        self.model, self.x = model, x

    @torch.no_grad()
    def on_step(self, step):
        if step == 4:
            self.before = log_responsibilities(self.model, self.x)
        if step == 6 and hasattr(self.model, "centers"):
            self.model.centers[1] = 1e6
        elif step == 6:
            self.model.logits[0] = 1e6

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@pytest.mark.parametrize("system", ["dec", "vade"])
def test_a_run_that_collapses_is_stopped_and_undone(system):
    model, x = two()
    if system == "vade":
        model = vade(3, 2, latent=2, hidden=[8], seed=0)
        codes = model.encode(x).detach()
        model.loc.data = torch.stack([codes[k::2].mean(0, keepdim=True) for k in (0, 1)])
    sabotage = Sabotage(model, x)
    train = partial(fit_vade, model, x, x)
    if system == "dec":
        train = partial(fit_dec, model, x, refresh=4, tol=0.0)
    with pytest.warns(CollapsedWarning, match="after epoch 2 all rows were in one cluster"):
        result = train(run=run_of(schedules=[sabotage]))
    assert result.stopped == "collapsed"
    assert result.steps == 8
    assert result.history[-1]["step"] == 8
    assert torch.equal(log_responsibilities(model, x), sabotage.before)


def test_one_component_is_no_collapse():
    model = dec(3, 1, latent=2, hidden=[8], seed=0)
    x = rows(60).float()
    assert fit_dec(model, x, run_of(), refresh=1).stopped == "settled"


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_state_that_is_kept(keep):
    """Steps that are far too long, so that the best state is the first."""
    _, x = two()
    model = vade(3, 2, latent=2, hidden=[8], seed=0)
    options = FitOptions(max_epochs=3, batch_size=50, learning_rate=50.0, min_evaluation_steps=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = TrainingRun(options, seeded(0), seeded(1), keep=keep)
    run.fit(VariationalBound(model), {"x": x}, {"x": x})
    same = all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert same == (keep == "best")


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vae(3, likelihood="poisson"), "likelihood must be one of .*, got 'poisson'"),
        (
            lambda: Reconstruction(autoencoder(3), corruption=1.0),
            r"corruption must be in \[0, 1\), got 1.0",
        ),
        (lambda: dec(3, 0), "n_components and alpha must be positive, got 0 and 1.0"),
        (lambda: dec(3, 2, alpha=0.0), "got 2 and 0.0"),
        (
            lambda: SelfTraining(dec(3, 2), reconstruction=-1.0),
            "reconstruction must not be negative, got -1.0",
        ),
        (
            lambda: SelfTraining(dec(3, 2), reconstruction=1.0),
            "needs a model with decoder=True, got one without",
        ),
        (lambda: vade(3, 0), "n_components must be positive, got 0"),
        (lambda: gmvae(3, 0), "must be positive, got 0 and 10"),
        (
            lambda: HierarchicalBound(gmvae(3, 2), information=-1.0),
            "must not be negative, got -1.0 and 0.0",
        ),
        (
            lambda: HierarchicalBound(gmvae(3, 2), entropy=math.nan),
            "must not be negative, .* and nan",
        ),
    ],
)
def test_what_cannot_be_built(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_refresh_below_one_step():
    model, x = two()
    with pytest.raises(ValueError, match="refresh must be at least 1 step, got 0"):
        fit_dec(model, x, run_of(), refresh=0)
