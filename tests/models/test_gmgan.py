"""GM-GAN: Gaussians, draws and classifier against what is known of them."""

import math

import pytest
import torch

from anabranch.metrics import clustering_accuracy
from anabranch.models import gmgan
from anabranch.models.autoencoders.latent_gaussians import LatentGaussians
from anabranch.procedures import TrainingRun, fit_gmgan
from anabranch.training import FitOptions
from tests.registry import perturb, seeded

PLACES = [[-2.0, 0.0], [0.0, 0.0], [2.0, 1.0]]


def small(**changes):
    return gmgan(**{"features": 3, "n_components": 3, "latent": 2, "hidden": [8], **changes})


def run(generator=None, **changes):
    options = FitOptions(**{"max_epochs": 2, "batch_size": 32, "progress": False, **changes})
    return TrainingRun(options, generator)


def near(found, expected, n):
    """Whether means of n draws are within four standard errors, of standard deviation one."""
    return bool(((found - expected).abs() < 4 / math.sqrt(n)).all())


@pytest.mark.parametrize("dynamic", [False, True])
def test_draws_have_the_moments_of_their_gaussians(dynamic):
    gaussians = LatentGaussians(3, 2, means=PLACES, scale=0.4, dynamic=dynamic)
    if dynamic:
        perturb(gaussians, std=0.5)
    with torch.no_grad():
        factors, n = gaussians.factors(), 20_000
        for k in range(3):
            z = gaussians(torch.full((n,), k), seeded(k))
            noise = torch.linalg.solve(factors[k], (z - gaussians.loc[k]).mT).mT
            assert near(noise.mean(0), torch.zeros(2), n)
            assert near(noise.mT @ noise / n, torch.eye(2), n / 2)


def test_a_dynamic_gaussian_turns_and_stretches_but_keeps_its_size():
    gaussians = LatentGaussians(3, 2, scale=0.4, dynamic=True, generator=seeded(0))
    torch.testing.assert_close(gaussians.factors(), 0.4 * torch.eye(2).repeat(3, 1, 1))
    with torch.no_grad():
        gaussians.shape.mul_(1e-3).add_(1e-4 * torch.randn(3, 2, 2, generator=seeded(1)))
        lengths = torch.linalg.matrix_norm(gaussians.factors())
    torch.testing.assert_close(lengths, torch.full((3,), 0.4 * math.sqrt(2)))


@pytest.mark.parametrize(("dynamic", "learned"), [(False, 0), (True, 2)])
def test_only_dynamic_gaussians_are_learned(dynamic, learned):
    gaussians = small(dynamic=dynamic, seed=0).gaussians
    assert len(list(gaussians.parameters())) == learned
    assert gaussians.loc.abs().max() <= 1


def test_places_are_within_the_spread():
    loc = LatentGaussians(500, 2, spread=3.0, generator=seeded(0)).loc
    assert 2.9 < loc.abs().max() <= 3
    torch.testing.assert_close(loc.square().mean(), torch.tensor(3.0), rtol=0.1, atol=0.0)


def test_a_sample_is_the_image_of_its_gaussian():
    model = small(means=PLACES, scale=1e-6, seed=0)
    images = model.decode(model.gaussians.loc)
    for k in range(3):
        torch.testing.assert_close(model.sample(4, k), images[k].expand(4, -1), atol=1e-4, rtol=0)
    drawn, components = model.draw(7)
    assert components.tolist() == [0, 1, 2, 0, 1, 2, 0]
    torch.testing.assert_close(drawn, images[components], atol=1e-4, rtol=0)


def test_all_components_are_drawn_equally_often():
    model, n = small(means=PLACES, scale=1e-6, seed=0), 6000
    drawn = model.sample(n, generator=seeded(1))
    found = torch.cdist(drawn, model.decode(model.gaussians.loc)).argmin(1).bincount() / n
    assert (found - 1 / 3).abs().max() < 4 * math.sqrt(2 / 9 / n)
    assert torch.equal(drawn, model.sample(n, generator=seeded(1)))


def test_shares_are_within_their_range():
    drawn = perturb(small(likelihood="bernoulli", seed=0)).sample(50)
    assert 0 <= drawn.min() < drawn.max() <= 1


def test_the_code_is_what_the_classifier_decides_by():
    model, x = small(seed=0), torch.randn(5, 3, generator=seeded(0))
    codes = model.encode(x)
    assert codes.shape == (5, 8)
    expected = torch.log_softmax(model.classifier.last(codes), -1).mT
    torch.testing.assert_close(model.responsibilities(x), expected)


def test_the_classifier_learns_bayes_rule_of_the_draws():
    """Without training the generator: two Gaussians whose images overlap."""
    means = [[-0.5], [0.5]]
    model = gmgan(1, 2, latent=1, hidden=[16], means=means, scale=0.5, seed=0)
    model.decoder = torch.nn.Linear(1, 1)
    torch.nn.init.ones_(model.decoder.weight)
    torch.nn.init.zeros_(model.decoder.bias)
    x = torch.linspace(-1, 1, 9)[:, None]
    result = fit_gmgan(model, x, run(seeded(0), max_epochs=0, batch_size=64))
    # log-odds of two normals of distance 1 and variance 1/4
    log_q = model.responsibilities(x).detach()
    torch.testing.assert_close(log_q[1] - log_q[0], 4 * x[:, 0], atol=0.5, rtol=0.1)
    z = torch.linspace(-4, 4, 4001, dtype=torch.float64)
    weights = torch.distributions.Normal(0.5, 0.5).log_prob(z).exp() * (z[1] - z[0])
    bayes = (weights * torch.nn.functional.softplus(-4 * z)).sum().item()
    assert result.history[-1]["classification"] == pytest.approx(bayes, abs=0.02)


@pytest.mark.parametrize("dynamic", [False, True])
def test_two_groups_are_found(dynamic):
    labels = torch.arange(400) % 2
    x = (2.0 * labels - 1)[:, None] + 0.1 * torch.randn(400, 1, generator=seeded(0))
    model = gmgan(1, 2, latent=1, hidden=[32], means=[[-1.0], [1.0]], dynamic=dynamic, seed=0)
    places = model.gaussians.loc.clone()
    changes = {"max_epochs": 40, "learning_rate": 5e-3}
    result = fit_gmgan(model, x, run(seeded(1), **changes), n_drawn=400)
    found = model.responsibilities(x).argmax(0)
    assert clustering_accuracy(labels.numpy(), found.numpy()) > 0.95
    assert result.steps == 40 * 12
    assert not model.training
    assert torch.equal(places, model.gaussians.loc) != dynamic


def test_the_same_seed_gives_the_same_bits():
    x = torch.randn(64, 3, generator=seeded(0))
    first, second = small(seed=0), small(seed=0)
    for model in (first, second):
        fit_gmgan(model, x, run(seeded(1)), n_drawn=32)
    assert torch.equal(first.responsibilities(x), second.responsibilities(x))
    assert not torch.equal(first.responsibilities(x), small(seed=0).responsibilities(x))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_components": 0}, "n_components and scale must be positive .* got 0, 0.15 and 1.0"),
        ({"scale": 0.0}, "got 3, 0.0 and 1.0"),
        ({"spread": -1.0}, "spread not negative, got 3, 0.15 and -1.0"),
        ({"means": [[0.0, 1.0]]}, r"means must have the shape \(3, 2\), got \(1, 2\)"),
        ({"likelihood": "poisson"}, "likelihood must be one of .* got 'poisson'"),
        ({"hidden": []}, "hidden must name at least one layer"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_bad_input():
    model = small(seed=0)
    with pytest.raises(ValueError, match=r"component must be in 0\.\.2, got 3"):
        model.sample(1, 3)
    with pytest.raises(ValueError, match="x has 2 rows, fewer than the 3 components"):
        fit_gmgan(model, torch.zeros(2, 3), run())
    with pytest.raises(ValueError, match="n_drawn must be at least 1, got 0"):
        fit_gmgan(model, torch.zeros(5, 3), run(), n_drawn=0)
    with pytest.raises(ValueError, match="x must be finite, got 15 numbers that are not"):
        fit_gmgan(model, torch.full((5, 3), torch.nan), run())
