"""Posterior networks trained by invariance alone."""

import math

import pytest
import torch

from anabranch.metrics import clustering_accuracy
from anabranch.networks import MLP, ConvClassifier, Linear
from anabranch.objectives import balance, consistency, shared_information
from anabranch.objectives.perturbations import Adversarial, GaussianNoise, RandomAffine
from anabranch.procedures.fit_invariant import InvariantPosterior, fit_invariant
from anabranch.training import FitOptions, fit
from tests.battery import same
from tests.registry import seeded

OPTIONS = FitOptions(max_epochs=20, batch_size=100, learning_rate=3e-3, progress=False)


def blobs(n=600):
    """Three distant blobs in the plane, and which is which."""
    labels = torch.arange(n) % 3
    angles = labels * (2 * math.pi / 3)
    centres = torch.stack([angles.cos(), angles.sin()], 1)
    return centres + 0.15 * torch.randn(n, 2, generator=seeded(0)), labels.numpy()


def answers(network, x):
    return network(x).argmax(1).numpy()


def trained(**changes):
    x, labels = blobs()
    network = MLP(2, 3, (32,), generator=seeded(1))
    noise = changes.pop("perturbation", GaussianNoise(0.2))
    options = changes.pop("options", OPTIONS)
    result = fit_invariant(network, x, noise, options=options, generator=seeded(2), **changes)
    return network, x, labels, result


@pytest.mark.parametrize("perturbation", [GaussianNoise(0.2), Adversarial(0.2)])
def test_it_separates_blobs(perturbation):
    network, x, labels, _ = trained(perturbation=perturbation)
    assert clustering_accuracy(labels, answers(network, x)) > 0.98


def test_without_the_balance_it_collapses():
    network, x, _, _ = trained(weight=0.0)
    q = torch.softmax(network(x), 1)
    information = torch.special.entr(q.mean(0)).sum() - torch.special.entr(q).sum(1).mean()
    assert information < 0.1


def test_the_loss_by_hand():
    network = MLP(2, 7, (8,), generator=seeded(1))
    x, _ = blobs(30)
    model = InvariantPosterior(
        network, GaussianNoise(0.3), heads=(2, 2, 3), weight=0.5, spread=2.0
    ).eval()
    loss = model({"x": x}, generator=seeded(3))
    moved = GaussianNoise(0.3)(x, None, seeded(3))
    losses, answers = [], []
    for part in (slice(0, 2), slice(2, 4), slice(4, 7)):
        held, log_q = (torch.log_softmax(network(rows).mT[part], 0) for rows in (x, moved))
        losses.append(consistency(held, log_q).mean() + 0.5 * balance(held, 2.0))
        answers.append((held, log_q))
    same(loss.total, sum(losses), 1e-5)
    held, log_q = max(answers[:2], key=lambda pair: shared_information(*pair).item())
    same(loss.terms["shared_information"], shared_information(held, log_q), 1e-5)
    same(loss.terms["consistency"], consistency(held, log_q).mean(), 1e-5)
    q = held.exp()
    same(loss.terms["entropy_q"], torch.special.entr(q).sum(0).mean(), 1e-5)
    same(loss.terms["entropy_mean_q"], torch.special.entr(q.mean(1)).sum(), 1e-5)


def test_the_best_head_shares_most_information_with_the_perturbed_rows():
    x, labels = blobs()
    network = MLP(2, 6, (), generator=seeded(1))
    with torch.no_grad():  # a useless head, and one that tells the blobs apart
        network.last.weight.zero_()
        network.last.bias.zero_()
        angles = torch.arange(3) * (2 * math.pi / 3)
        network.last.weight[3:] = 20 * torch.stack([angles.cos(), angles.sin()], 1)
    model = InvariantPosterior(network, GaussianNoise(0.1), heads=(3, 3))
    assert model.eval().best_head(x, seeded(0)) == 1
    assert clustering_accuracy(labels, network(x)[:, 3:].argmax(1).numpy()) > 0.98


def test_finer_heads_may_learn_first():
    x, _ = blobs(200)
    network = MLP(2, 9, (8,), generator=seeded(1))
    model = InvariantPosterior(network, GaussianNoise(0.2), heads=(2, 2, 5))
    assert model.n_wanted == 2
    model.ramp.zero_()
    model({"x": x}, generator=seeded(0)).total.backward()
    assert (network.last.weight.grad[:4] == 0).all()
    assert (network.last.weight.grad[4:] != 0).any()


def test_the_first_steps_are_those_of_the_finer_heads():
    """One epoch of two steps: whether the wanted heads take part in them changes the network."""
    options = FitOptions(max_epochs=1, batch_size=300, progress=False)
    networks = [
        trained(options=options, finer_heads=(6,), finer_share=share)[0] for share in (0, 0.4, 0.9)
    ]
    weights = [network.hidden[0].weight for network in networks]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


def test_the_network_keeps_its_shape_and_its_layers():
    network = MLP(2, 3, (8, 8), generator=seeded(1))
    before = [p.clone() for p in network.parameters()]
    names = list(network.state_dict())
    last = network.last
    x, _ = blobs(100)
    short = FitOptions(max_epochs=1, batch_size=50, progress=False)
    fit_invariant(
        network, x, GaussianNoise(0.1), options=short, finer_heads=(6,), generator=seeded(0)
    )
    assert network.last is last
    assert all(type(layer) is Linear for layer in network.hidden)
    assert list(network.state_dict()) == names
    for a, b in zip(before, network.parameters(), strict=True):
        assert a.shape == b.shape
        assert not torch.equal(a, b)


def test_the_same_generator_gives_the_same_bits_and_no_global_seed_moves():
    before = torch.random.get_rng_state()
    short = FitOptions(max_epochs=2, batch_size=100, progress=False)
    first, second = (trained(options=short, finer_heads=(5,))[0] for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_half_precision_is_close():
    x, _ = blobs(30)
    losses = [
        InvariantPosterior(
            MLP(2, 3, (8,), generator=seeded(1)),
            GaussianNoise(0.3),
            heads=(3,),
            half_precision=half,
        )({"x": x}, generator=seeded(0)).total.item()
        for half in (False, True)
    ]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], abs=0.02)


def test_a_convolutional_network_is_trained_too():
    images = torch.rand(40, 64, generator=seeded(0))
    network = ConvClassifier((8, 8), 3, (4,), (8,), generator=seeded(1))
    short = FitOptions(max_epochs=1, batch_size=20, progress=False)
    result = fit_invariant(
        network, images, RandomAffine((8, 8)), options=short, generator=seeded(2)
    )
    assert result.steps == 2
    assert network(images).shape == (40, 3)


def test_a_failure_leaves_the_network_as_it_was():
    network = MLP(2, 3, (8,))
    with pytest.raises(ValueError, match="image_shape"):
        fit_invariant(network, blobs()[0], RandomAffine((3, 3)), options=OPTIONS)
    assert network(torch.zeros(1, 2)).shape == (1, 3)
    assert all(type(layer) is Linear for layer in network.hidden)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weight": -1.0}, "weight must not be negative, got -1"),
        ({"spread": float("nan")}, "spread must not be negative, got nan"),
        ({"n_heads": 0}, "n_heads must be at least 1, got 0"),
        ({"finer_share": 1.0}, r"finer_share must be in \[0, 1\), got 1.0"),
        ({"finer_heads": (0,)}, "heads must be positive numbers of clusters"),
    ],
)
def test_bad_settings_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        fit_invariant(MLP(2, 3), blobs()[0], GaussianNoise(0.1), options=OPTIONS, **wrong)


def test_a_network_without_a_last_layer_is_refused():
    with pytest.raises(ValueError, match="network must end in an MLP, got Linear"):
        fit_invariant(Linear(2, 3), blobs()[0], GaussianNoise(0.1), options=OPTIONS)


def test_a_resumed_run_draws_the_same_perturbations(tmp_path):
    x, _ = blobs(100)

    def run(epochs, file, resume=False):
        network = MLP(2, 3, (8,), generator=seeded(1))
        model = InvariantPosterior(network, GaussianNoise(0.2), heads=(3,))
        options = FitOptions(
            max_epochs=epochs, batch_size=20, patience=None, checkpoint=tmp_path / file
        )
        sources = {"generator": seeded(3), "noise": seeded(2)}
        fit(model, {"x": x}, options=options, resume=resume, **sources)
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    whole = run(4, "whole")
    assert not torch.equal(run(2, "parts"), whole)
    assert torch.equal(run(4, "parts", resume=True), whole)
