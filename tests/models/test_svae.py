"""SVAE: its bound against quadrature, its posteriors against the best there are."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import StudentT

from anabranch import DeepClustering
from anabranch.algorithms.gaussians import merge_overlapping
from anabranch.metrics import clustering_accuracy
from anabranch.models import autoencoder, svae
from anabranch.models.autoencoders.svae import Local
from anabranch.procedures.fit_svae import StructuredBound
from tests.registry import perturb, seeded

NOISE = torch.linspace(-8, 8, 401, dtype=torch.float64)
NOISE_WEIGHTS = torch.softmax(-0.5 * NOISE.square(), 0)
Z = torch.linspace(-60, 60, 60_001, dtype=torch.float64)
INFERENCES = ["mean-field", "amortised"]


def small(inference="mean-field", n_components=3, **keywords):
    """A model in double precision, away from its start."""
    keywords = {"latent": 1, "hidden": [4], "activation": "tanh", "seed": 0, **keywords}
    return perturb(svae(2, n_components, inference=inference, **keywords), std=0.4).double()


def rows(n=4):
    return torch.rand(n, 2, generator=seeded(0), dtype=torch.float64)


def integral(logs):
    return torch.logsumexp(logs, -1) + math.log(float(Z[1] - Z[0]))


@pytest.mark.parametrize("inference", INFERENCES)
@torch.no_grad()
def test_the_bound_of_one_row_is_below_its_evidence(inference):
    """Weights, means and covariances integrated out: each component is Student's t beforehand."""
    model, x = small(inference), rows(1)
    prior = model.prior()
    strength, dof, scatter = prior.strength[0], prior.dof[0], prior.scatter[0, 0, 0]
    scale = (scatter * (1 + 1 / strength) / dof).sqrt()
    log_z = StudentT(dof, prior.mean[0, 0], scale).log_prob(Z)
    observed = model.decoder.log_prob(Z[:, None], x.expand(len(Z), -1))
    evidence = float(integral(observed + log_z))
    bounds = []
    for _ in range(30):
        local = model.infer(x.expand(len(NOISE), -1))
        reconstruction, divergence = model.terms(x.expand(len(NOISE), -1), local, NOISE[:, None])
        each = (NOISE_WEIGHTS * (reconstruction - divergence)).sum()
        bounds.append(float(each - model.divergence()))
        model.natural_step(model.statistics(model.infer(x)), 1, 1.0)
    assert max(bounds) < evidence
    # the posterior of the mixture that starts at a hundred rows of each component is worth less
    assert bounds[-1] > bounds[0] + 1


def surrogate(model, x, local):
    """Mean of log of the encoder's factor, less the local divergence: what q(k, z) maximises."""
    loc, log_scale = model.encoder(x)
    precision = torch.exp(-2 * log_scale)
    variance = local.covariance.diagonal(dim1=-2, dim2=-1)
    factor = precision * loc * local.loc - 0.5 * precision * (local.loc.square() + variance)
    r = local.log_r.exp()
    _, divergence = model.terms(x, local, torch.zeros(len(x), 1, dtype=x.dtype))
    return (r * factor.sum(-1)).sum(0) - divergence


@torch.no_grad()
def test_the_amortised_posterior_is_the_best_and_the_mean_field_below_it():
    model, x = small("amortised"), rows()
    loc, log_scale = model.encoder(x)
    precision = torch.exp(-2 * log_scale)
    at_z = Local(torch.zeros(1), Z[None, :, None], torch.full((1, len(Z), 1, 1), 1e9).double())
    log_joint = model._log_joint(at_z, model.belief.expected())
    factor = precision * loc * Z - 0.5 * precision * Z.square()
    best = torch.logsumexp(integral(log_joint[:, None] + factor), 0)
    found = surrogate(model, x, model.infer(x))
    torch.testing.assert_close(found, best, rtol=1e-6, atol=1e-6)
    model.inference = "mean-field"
    assert bool((surrogate(model, x, model.infer(x)) < best).all())


@torch.no_grad()
def test_rounds_of_the_mean_field_never_lose(monkeypatch):
    model, x = small(), rows()
    values = []
    for rounds in range(1, 8):
        monkeypatch.setattr("anabranch.models.autoencoders.svae.ROUNDS", rounds)
        values.append(surrogate(model, x, model.infer(x)))
    gains = torch.stack(values).diff(dim=0)
    assert float(gains.min()) > -1e-9
    assert float(gains.max()) > 1e-3


@torch.no_grad()
def test_a_whole_natural_step_is_the_posterior_of_certain_codes():
    model = small(latent=2)
    z = torch.randn(6, 2, generator=seeded(1), dtype=torch.float64)
    sure = torch.tensor([0, 0, 0, 0, 1, 1])
    log_r = torch.where(torch.arange(3)[:, None] == sure, 0.0, -torch.inf).double()
    local = Local(log_r, z[None], 1e9 * torch.eye(2).double().expand(1, 6, 2, 2))
    model.natural_step(model.statistics(local), 6, 1.0)
    prior = model.prior()
    assert model.counts.tolist() == pytest.approx([4.1, 2.1, 0.1])
    after = model.belief
    assert after.dof.tolist() == pytest.approx((prior.dof + torch.tensor([4, 2, 0])).tolist())
    expected = z[:4].sum(0) / (prior.strength[0] + 4)
    torch.testing.assert_close(after.mean[0], expected, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(after.scatter[2], prior.scatter[2], rtol=1e-7, atol=1e-7)


def test_a_step_moves_the_mixture_in_training_alone():
    model, batch = small(), {"x": rows()}
    objective = StructuredBound(model, n_rows=4)
    before = model.counts.clone()
    first = objective.eval()(batch).total
    assert torch.equal(objective(batch).total, first)
    assert torch.equal(model.counts, before)
    loss = objective.train()(batch, generator=seeded(0)).total
    assert not torch.equal(model.counts, before)
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(gradients) == len(list(model.parameters()))
    assert all(bool(g.isfinite().all()) for g in gradients)


@torch.no_grad()
def test_a_component_without_weight_starts_as_before_any_row():
    coder = autoencoder(2, latent=1, hidden=[4], activation="tanh", seed=1)
    model = svae(2, 3, latent=1, hidden=[4], activation="tanh", seed=0)
    means, variances = torch.tensor([[2.0], [-2.0], [0.0]]), torch.full((3, 1), 0.25)
    model.start_from(coder, 0.1, torch.tensor([0.5, 0.5, 0.0]), means, variances)
    prior = model.prior()
    assert float(model.counts[2]) == pytest.approx(0.1)
    assert (float(model.centre), float(model.scale)) == pytest.approx((0.0, 4.25**0.5))
    torch.testing.assert_close(model.belief.scatter[2], prior.scatter[2])
    assert model.belief.mean[:2, 0].tolist() == pytest.approx([2.0, -2.0], rel=0.02)
    assert model.belief.mean[2, 0] == 0


def test_components_of_one_cluster_are_merged():
    random = np.random.RandomState(0)
    centres = np.array([-10, -9, -8, 8, 9, 10])
    x = random.choice([-1, 1], 600) * random.uniform(7.5, 10.5, 600)
    R = np.exp(-0.5 * ((x[:, None] - centres) / 0.4) ** 2)
    merged = merge_overlapping(R / R.sum(1, keepdims=True))
    assert merged.shape == (600, 2)
    assert clustering_accuracy((x > 0).astype(int), merged.argmax(1)) == 1.0
    np.testing.assert_allclose(merged.sum(1), 1.0)
    assert merge_overlapping(merged[:300], 2.0, at_least=1).shape == (300, 2)
    alike = np.full((4, 3), 1 / 3)
    assert merge_overlapping(alike).shape == (4, 1)
    assert merge_overlapping(alike, at_least=2).shape == (4, 2)


@pytest.mark.parametrize("inference", INFERENCES)
def test_an_upper_limit_of_components_is_pruned(inference):
    random = np.random.RandomState(0)
    y = random.randint(3, size=400)
    X = np.array([[0.0, 4.0], [4.0, -2.0], [-4.0, -2.0]])[y] + random.randn(400, 2)
    model = DeepClustering(
        6,
        method="svae",
        latent=2,
        hidden=(16,),
        pretrain={"epochs": 30},
        max_epochs=20,
        model_options={"inference": inference},
        random_state=0,
    ).fit(X)
    assert int((model.model_.weights > 0.03).sum()) == 3
    assert clustering_accuracy(y, model.predict(X)) > 0.97


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: svae(3, 0), "must be positive, got 0 and 0.1"),
        (lambda: svae(3, 2, concentration=0.0), "must be positive, got 2 and 0.0"),
        (lambda: svae(3, 2, inference="exact"), "inference must be one of"),
        (lambda: StructuredBound(svae(3, 2), n_rows=0), "n_rows must be at least 1"),
        (lambda: StructuredBound(svae(3, 2), n_rows=5, rate=1.5), r"rate in \(0, 1\]"),
        (lambda: merge_overlapping(np.ones((2, 2)), 0.0), "threshold must be positive"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
