"""A mixture of autoencoders against its parts one by one."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy, mse_loss

from anabranch.metrics import clustering_accuracy
from anabranch.models import mixae
from anabranch.models.clustering import CollapsedWarning, fit_mixae
from anabranch.networks import MLP
from anabranch.training import FitOptions
from tests.registry import perturb, seeded


def small(**changes):
    return mixae(**{"features": 3, "n_components": 4, "latent": 2, "hidden": [8], **changes})


def rows(n=6):
    return torch.rand(n, 3, generator=seeded(0))


def options(**changes):
    return FitOptions(**{"max_epochs": 2, "batch_size": 32, "progress": False, **changes})


def alone(network, k, *sizes):
    """Network k of a stack, by itself."""
    one = MLP(*sizes)
    one.load_state_dict({name: tensor[k] for name, tensor in network.state_dict().items()})
    return one


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@torch.no_grad()
def test_the_loss_is_that_of_a_loop_over_autoencoders(likelihood):
    model, x = perturb(small(likelihood=likelihood, certainty=0.3, balance=0.7, seed=0)), rows()
    encoders = [alone(model.encoder, k, 3, 2, (8,)) for k in range(4)]
    decoders = [alone(model.decoder, k, 2, 3, (8,)) for k in range(4)]
    codes = [encoder(x) for encoder in encoders]
    p = torch.softmax(model.assignment(torch.cat(codes, 1)), 1)
    told = [decoder(code) for decoder, code in zip(decoders, codes, strict=True)]
    if likelihood == "bernoulli":
        told = [one.sigmoid() for one in told]
    measure = mse_loss if likelihood == "gaussian" else binary_cross_entropy
    errors = torch.stack([measure(one, x, reduction="none").sum(1) for one in told], 1)
    entropy, spread = (-(q * q.log()).sum(-1) for q in (p, p.mean(0)))
    expected = (p * errors).sum(1).mean() + 0.3 * entropy.mean() - 0.7 * spread
    loss = model({"x": x})
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(loss.terms["entropy"], entropy.mean())
    torch.testing.assert_close(loss.terms["spread"], spread)
    torch.testing.assert_close(model.reconstruct(x), torch.stack(told))
    torch.testing.assert_close(model.encode(x), torch.cat(codes, 1))
    torch.testing.assert_close(model.responsibilities(x).exp().mT, p)


def test_certain_assignments_have_a_finite_gradient():
    model = small(seed=0)
    with torch.no_grad():
        model.assignment.last.bias.copy_(torch.tensor([[200.0], [0.0], [0.0], [0.0]]))
    loss = model({"x": rows()})
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
    model = mixae(2, 2, **shape, balance=2.0, seed=0)
    result = fit_mixae(model, x, options=options(max_epochs=60, batch_size=100, learning_rate=1e-2))
    found = model.responsibilities(x).argmax(0)
    assert clustering_accuracy(labels.numpy(), found.numpy()) > 0.95
    assert result.steps == 60 * 4
    terms = model({"x": x}).terms
    assert terms["spread"].item() == pytest.approx(math.log(2), abs=0.01)
    assert terms["reconstruction"].item() < 0.1  # of a variance of 1.33
    certainties = [entry["certainty"] for entry in result.history]
    assert set(certainties) == {2.0, 1.0, 0.5, 0.25, 0.125}
    assert certainties == sorted(certainties, reverse=True)


def test_without_balance_all_rows_may_come_into_one_cluster():
    model = small(balance=0.0, certainty=5.0, seed=0)
    x = torch.randn(128, 3, generator=seeded(0))
    with pytest.warns(CollapsedWarning, match="raise balance, or lower certainty"):
        result = fit_mixae(model, x, options=options(max_epochs=20, learning_rate=1e-2))
    assert result.stopped == "collapsed"


def test_no_certainty_stays_none():
    model = small(certainty=0.0, seed=0)
    result = fit_mixae(model, rows(64), options=options(max_epochs=30, learning_rate=1e-2))
    assert "certainty" not in result.history[-1]
    assert model.certainty == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_components": 0}, "n_components must be positive, .* got 0, 2.0 and 10.0"),
        ({"certainty": -1.0}, "not negative, got 4, -1.0 and 10.0"),
        ({"balance": math.nan}, "not negative, got 4, 2.0 and nan"),
        ({"likelihood": "poisson"}, "likelihood must be one of .* got 'poisson'"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_a_batch_holds_all_clusters():
    with pytest.raises(ValueError, match="a batch must hold all 4 clusters, got 3 rows"):
        fit_mixae(small(), rows(64), options=options(batch_size=3))
    with pytest.raises(ValueError, match="got 2 rows"):
        fit_mixae(small(), rows(2))
