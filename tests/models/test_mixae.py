"""A mixture of autoencoders against its parts one by one."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, kl_divergence
from torch.nn.functional import binary_cross_entropy, mse_loss

from anabranch.metrics import clustering_accuracy
from anabranch.models import mixae
from anabranch.networks import MLP
from anabranch.procedures import CollapsedWarning, TrainingRun, fit_mixae
from anabranch.procedures.fit_mixae import AssignedError, unit_of
from anabranch.training import FitOptions
from tests.registry import perturb, seeded


def small(**changes):
    return mixae(**{"features": 3, "n_components": 4, "latent": 2, "hidden": [8], **changes})


def rows(n=6):
    return torch.rand(n, 3, generator=seeded(0))


def run(generator=None, **changes):
    options = FitOptions(**{"max_epochs": 2, "batch_size": 32, "progress": False, **changes})
    return TrainingRun(options, generator)


def objective(model, x, unit=None, **weights):
    made = AssignedError(model, x, **weights)
    if unit is not None:
        made.unit.fill_(unit)
    return made


def alone(network, k, *sizes):
    """Network k of a stack, by itself."""
    one = MLP(*sizes)
    one.load_state_dict({name: tensor[k] for name, tensor in network.state_dict().items()})
    return one


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@torch.no_grad()
def test_the_loss_is_that_of_a_loop_over_autoencoders(likelihood):
    model, x = perturb(small(likelihood=likelihood, seed=0)), rows()
    encoders = [alone(model.encoder, k, 3, 2, (8,)) for k in range(4)]
    decoders = [alone(model.decoder, k, 2, 3, (8,)) for k in range(4)]
    codes = [encoder(x) for encoder in encoders]
    p = torch.softmax(model.assignment(torch.cat(codes, 1)), 1)
    told = [decoder(code) for decoder, code in zip(decoders, codes, strict=True)]
    if likelihood == "bernoulli":
        told = [one.sigmoid() for one in told]
    measure = mse_loss if likelihood == "gaussian" else binary_cross_entropy
    errors = torch.stack([measure(one, x, reduction="none").sum(1) for one in told], 1)
    errors = errors / 2.5
    entropy, spread = (-(q * q.log()).sum(-1) for q in (p, p.mean(0)))
    expected = (p * errors).sum(1).mean() + 0.3 * entropy.mean() - 0.7 * spread
    loss = objective(model, x, 2.5, certainty=0.3, balance=0.7)({"x": x})
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(loss.terms["entropy"], entropy.mean())
    torch.testing.assert_close(loss.terms["spread"], spread)
    torch.testing.assert_close(model.reconstruct(x), torch.stack(told))
    torch.testing.assert_close(model.encode(x), torch.cat(codes, 1))
    torch.testing.assert_close(model.responsibilities(x).exp().mT, p)


def test_the_unit_of_squares_is_the_sum_of_variances():
    x = rows(50)
    torch.testing.assert_close(unit_of(small(), x), x.var(0, unbiased=False).sum())


def test_the_unit_of_cross_entropies_is_a_divergence():
    """Of binary rows it is the sum of the entropies of their columns."""
    model = small(likelihood="bernoulli")
    x = torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    entropy = -0.25 * math.log(0.25) - 0.75 * math.log(0.75) + math.log(2)
    assert unit_of(model, x).item() == pytest.approx(entropy, abs=1e-4)
    shares = rows(50)
    mean = shares.mean(0).expand_as(shares)
    gain = kl_divergence(Bernoulli(shares), Bernoulli(mean)).sum(1).mean()
    torch.testing.assert_close(unit_of(model, shares), gain, atol=1e-4, rtol=0)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_rows_that_are_all_the_same_have_the_unit_one(likelihood):
    model = small(likelihood=likelihood)
    assert unit_of(model, torch.full((8, 3), 0.3)) == 1
    assert unit_of(model, torch.ones(8, 3)) == 1


def test_the_unit_of_small_numbers_is_small():
    x = 1e-3 * rows(50)
    torch.testing.assert_close(unit_of(small(), x), x.var(0, unbiased=False).sum())


def test_the_unit_is_that_of_the_rows_that_are_given():
    """So that the weights do not depend on the units of the columns."""
    model, x = small(seed=0), 100 * rows(64)
    torch.testing.assert_close(objective(model, x).unit, x.var(0, unbiased=False).sum())


def test_certain_assignments_have_a_finite_gradient():
    model = small(seed=0)
    with torch.no_grad():
        model.assignment.last.bias.copy_(torch.tensor([[200.0], [0.0], [0.0], [0.0]]))
    loss = objective(model, rows())({"x": rows()})
    loss.total.backward()
    assert loss.terms["entropy"].item() == 0.0
    assert loss.terms["spread"].item() == pytest.approx(0.0, abs=1e-6)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_lines_become_autoencoders():
    """Two segments in the plane, each with a code of one number."""
    labels = torch.arange(400) % 2
    along = 2 * torch.rand(400, generator=seeded(0)) - 1
    x = torch.stack([along, 2.0 * labels - 1], 1)
    x = x + 0.02 * torch.randn(400, 2, generator=seeded(1))
    shape = {"latent": 1, "hidden": [8], "activation": "tanh"}
    model = mixae(2, 2, **shape, seed=0)
    how = run(max_epochs=60, batch_size=100, learning_rate=1e-2)
    result = fit_mixae(model, x, how, certainty=1.0, balance=1.0)
    found = model.responsibilities(x).argmax(0)
    assert clustering_accuracy(labels.numpy(), found.numpy()) > 0.95
    assert result.steps == 60 * 4
    terms = objective(model, x)({"x": x}).terms
    assert terms["spread"].item() == pytest.approx(math.log(2), abs=0.01)
    assert terms["reconstruction"].item() < 0.075  # of the variance
    certainties = [entry["certainty"] for entry in result.history]
    assert set(certainties) == {1.0, 0.5, 0.25, 0.125, 0.0625}
    assert certainties == sorted(certainties, reverse=True)


def test_each_autoencoder_starts_with_the_rows_of_its_cluster():
    """Clusters that no error of its own would choose: halves of one segment, in given order."""
    x = torch.linspace(-1, 1, 200)[:, None] * torch.tensor([[1.0, 0.5]])
    clusters = (x[:, 0] < 0).long()
    model = mixae(2, 2, latent=1, hidden=[8], activation="tanh", seed=0)
    result = fit_mixae(
        model,
        x,
        run(seeded(0), max_epochs=0, batch_size=50, learning_rate=1e-2),
        clusters=clusters,
        start_epochs=100,
    )
    assert result.steps == 0
    with torch.no_grad():
        errors, log_p = model.told(x)
        errors = errors / unit_of(model, x)
    assert (log_p.argmax(0) == clusters).float().mean() > 0.95
    assert (errors.argmin(0) == clusters).float().mean() > 0.8
    assert errors.gather(0, clusters[None]).mean() < 0.05


@pytest.mark.parametrize(
    ("clusters", "message"),
    [
        (
            torch.zeros(63, dtype=torch.long),
            r"clusters must be \(64,\) of torch.int64, got \(63,\)",
        ),
        (torch.zeros(64), r"got \(64,\) of torch.float32"),
        (torch.full((64,), 4), r"clusters must be in 0\.\.3, got 4\.\.4"),
        (torch.arange(64) % 4 - 1, r"got -1\.\.2"),
    ],
)
def test_bad_clusters(clusters, message):
    with pytest.raises(ValueError, match=message):
        fit_mixae(small(), rows(64), run(), clusters=clusters)


def test_without_balance_all_rows_may_come_into_one_cluster():
    model = small(seed=0)
    x = torch.randn(128, 3, generator=seeded(0))
    how = run(max_epochs=20, learning_rate=1e-2)
    with pytest.warns(CollapsedWarning, match="raise balance, or lower certainty"):
        result = fit_mixae(model, x, how, balance=0.0, certainty=5.0)
    assert result.stopped == "collapsed"


# of assignments that stay near 1/4, one may be highest everywhere
@pytest.mark.filterwarnings("ignore::anabranch.procedures.CollapsedWarning")
def test_no_certainty_stays_none():
    how = run(max_epochs=30, learning_rate=1e-2)
    result = fit_mixae(small(seed=0), rows(64), how, certainty=0.0)
    assert "certainty" not in result.history[-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_components": 0}, "n_components must be positive, got 0"),
        ({"likelihood": "poisson"}, "likelihood must be one of .* got 'poisson'"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"certainty": -1.0}, "must not be negative, got -1.0 and 0.5"),
        ({"balance": math.nan}, "must not be negative, got 0.1 and nan"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        fit_mixae(small(), rows(64), run(), **weights)


def test_a_batch_holds_all_clusters():
    with pytest.raises(ValueError, match="a batch must hold all 4 clusters, got 3 rows"):
        fit_mixae(small(), rows(64), run(batch_size=3))
    with pytest.raises(ValueError, match="got 2 rows"):
        fit_mixae(small(), rows(2), run())
