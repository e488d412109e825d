"""The Gaussian-mixture autoencoder: bounds, gradients, labels and starts."""

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from anabranch.experiments import nvisa_gradients as truth
from anabranch.metrics import clustering_accuracy
from anabranch.models import GaussianMixtureVAE, nvisa
from anabranch.models.autoencoders.mixture_prior import MixturePrior
from anabranch.networks import MLP, ConvClassifier, LabelledMLP
from anabranch.objectives import (
    Enumerated,
    GaussianNoise,
    Gumbel,
    LatentMixtureBound,
    Nvil,
    PosteriorPenalty,
    Vimco,
    make_bound,
)
from anabranch.objectives.mixture_bounds import BOUNDS, log_weights
from anabranch.procedures import start_from_codes
from anabranch.procedures.std_annealing import std_annealing
from anabranch.training import (
    DivergedWarning,
    FitOptions,
    RateHalving,
    ScheduledBuffer,
    fit,
)

CONV = {"name": "conv", "image_shape": [4, 4], "channels": [3, 4], "hidden": [8]}
SAMPLED = ("VIMCO, z reparameterised", "VIMCO, z as given", "NVIL")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small(**changes):
    settings = {"latent": 2, "hidden": [8], "seed": 0, **changes}
    return nvisa(settings.pop("features", 4), settings.pop("n_components", 3), **settings)


def trained_by(bound="vimco", *, penalty=None, inference="variational", **model):
    """An objective of a small model."""
    model = small(**model)
    made = make_bound(bound, 4, generator=seeded(0))
    return LatentMixtureBound(model, made, penalty=penalty, inference=inference)


def rows(n=6, features=4):
    return torch.rand(n, features, generator=seeded())


# -- gradients -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", truth.FORMS)
def test_the_expected_gradient_is_that_of_the_bound(name):
    x = truth.observation(100)
    objective = truth.tiny(100, **{"samples": 2, **truth.FORMS[name]})
    exact = truth.flat_gradient(objective, truth.exact_bound(objective, x))
    expected = truth.expected_gradient(objective, x)
    assert (expected - exact).norm() / exact.norm() < 1e-6


@pytest.mark.parametrize("name", SAMPLED)
def test_without_its_score_it_is_another_gradient(name, monkeypatch):
    x = truth.observation(100)
    objective = truth.tiny(100, **{"samples": 2, **truth.FORMS[name]})
    exact = truth.flat_gradient(objective, truth.exact_bound(objective, x))

    def forgetful(*args, **how):
        log_w, score = log_weights(*args, **how)
        return log_w, score.detach()

    monkeypatch.setattr(truth, "log_weights", forgetful)
    wrong = truth.expected_gradient(objective, x)
    assert (wrong - exact).norm() / exact.norm() > 1e-2


@pytest.mark.parametrize("name", truth.FORMS)
def test_draws_have_that_gradient_in_the_mean(name, monkeypatch):
    monkeypatch.setattr(truth, "BATCHES", 60)
    x = truth.observation(101)
    objective = truth.tiny(101, **{"samples": 2, **truth.FORMS[name]})
    exact = truth.flat_gradient(objective, truth.exact_bound(objective, x))
    mean, variance = truth.sampled_gradient(objective, x, 0)
    assert (mean - exact).norm() < 3 * (variance.sum() / (60 * truth.ROWS)).sqrt()


@pytest.mark.parametrize("bound", [Vimco(4000), Gumbel(4000)])
def test_labels_are_drawn_as_often_as_q_says(bound):
    log_q = torch.log(torch.tensor([[0.7, 0.0], [0.2, 0.5], [0.1, 0.5]])).clamp_min(-69.0)
    y = bound.draw_labels(log_q, seeded())
    torch.testing.assert_close(y.max(0).values, torch.ones(4000, 2))
    torch.testing.assert_close(y.sum(0), torch.ones(4000, 2))
    torch.testing.assert_close(y.mean(1), log_q.exp(), atol=0.03, rtol=0)


# -- bounds ----------------------------------------------------------------------------------------


def linear_gaussian(likelihood_std=1.5):
    """A model whose decoder is linear, so that log p(x) is known; and this log p(x)."""
    vae = GaussianMixtureVAE(
        MLP(3, 2, (5,), generator=seeded(1)),
        LabelledMLP(3, 2, 4, (5,), generator=seeded(2)),
        MLP(2, 6, (), generator=seeded(3)),
        MixturePrior(2, 2, generator=seeded(4)),
        floor=0.5,
    )
    raw = math.log(math.expm1(likelihood_std - 0.5))
    with torch.no_grad():
        vae.decoder.last.weight[3:] = 0.0
        vae.decoder.last.bias[3:] = raw
        vae.encoder.last.bias[2:] = 2.5  # wide: all of the posterior is within reach
    vae = vae.double().eval()
    W, b = vae.decoder.last.weight[:3].detach(), vae.decoder.last.bias[:3, 0].detach()
    std = torch.nn.functional.softplus(vae.prior.scale.detach()) + 1
    components = [
        torch.distributions.MultivariateNormal(
            W @ vae.prior.mean[:, k].detach() + b,
            W @ torch.diag(std[:, k] ** 2) @ W.T + likelihood_std**2 * torch.eye(3).double(),
        )
        for k in range(2)
    ]

    def log_prob(x):
        each = torch.stack([component.log_prob(x) for component in components])
        return torch.logsumexp(each, 0) - math.log(2)

    return vae, log_prob


def mean_bound(bound, x):
    vae, _ = linear_gaussian()
    with torch.no_grad():
        return LatentMixtureBound(vae, bound).eval()({"x": x}).terms["bound"].item()


def test_bounds_are_below_the_likelihood_and_rise_to_it():
    vae, log_prob = linear_gaussian()
    x = vae.sample(4000, generator=seeded(5))[0]
    exact = log_prob(x).mean().item()
    bounds = [mean_bound(Vimco(m), x) for m in (2, 8, 64)]
    elbo, tight = mean_bound(Enumerated(), x), mean_bound(Enumerated(20, importance=True), x)
    assert elbo < bounds[0] < bounds[1] < bounds[2] < exact
    assert elbo < tight < exact
    assert exact - bounds[2] < 0.3
    assert mean_bound(Gumbel(8), x) == pytest.approx(bounds[1], abs=1e-9)


def test_the_importance_weighted_estimate_comes_to_the_likelihood():
    vae, log_prob = linear_gaussian()
    x = vae.sample(50, generator=seeded(5))[0]
    estimate = vae.importance_log_prob(x, 40_000)
    torch.testing.assert_close(estimate, log_prob(x), atol=0.15, rtol=0)
    again = vae.importance_log_prob(x[:7], 40_000)
    torch.testing.assert_close(again, estimate[:7], atol=1e-9, rtol=0)  # rows stand alone


def test_draws_have_the_likelihood_that_is_known():
    vae, log_prob = linear_gaussian()
    x, labels = vae.sample(4000, generator=seeded(6))
    assert labels.double().mean().item() == pytest.approx(0.5, abs=0.03)
    own, ones = vae.sample(4000, component=1, generator=seeded(6))
    assert (ones == 1).all()
    assert (own.mean(0) - x[labels == 1].mean(0)).abs().max() < 0.2
    # the entropy by draws is that by importance weights at the same draws
    assert log_prob(x).mean().item() < log_prob(x * 0.8).mean().item()


def test_mean_field_shares_one_code_among_labels():
    objective = trained_by("enumerate", posterior="mean_field").eval()
    assert not objective.model.structured
    assert objective({"x": rows()}).total.isfinite()
    assert objective.model.codes(rows()).shape == (6, 2)


def test_bernoulli_draws_are_bits_and_means_are_shares():
    model = small(likelihood="bernoulli").eval()
    draws, _ = model.sample(20, generator=seeded())
    assert set(draws.unique().tolist()) <= {0.0, 1.0}
    means = model.decode(torch.zeros(3, 2))
    assert ((means > 0) & (means < 1)).all()
    one = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    z = torch.zeros(2, 1)
    expected = torch.distributions.Bernoulli(means[0]).log_prob(one[0]).sum()
    torch.testing.assert_close(model.log_likelihood(one.mT, z)[0], expected)


# -- training --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("posterior", ["structured", "mean_field"])
def test_every_bound_reaches_every_parameter(bound, posterior):
    objective = trained_by(bound, posterior=posterior)
    loss = objective({"x": rows()}, generator=seeded())
    loss.total.backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert loss.terms == {}


@pytest.mark.parametrize("bound", BOUNDS)
def test_the_same_seed_gives_the_same_bits(bound):
    totals = []
    for seed in (1, 1, 2):
        objective = trained_by(bound)
        totals.append(objective({"x": rows()}, generator=seeded(seed)).total.item())
    assert totals[0] == totals[1] != totals[2]
    objective.eval()
    first, second = (objective({"x": rows()}, generator=seeded(seed)).total for seed in (1, 2))
    assert first == second


@pytest.mark.parametrize("bound", ["vimco", "enumerate", "gumbel"])
def test_labelled_rows_teach_q_and_their_own_component(bound):
    objective = trained_by(bound)
    targets = torch.eye(3)[[2] * 6]
    objective({"x": rows(), "targets": targets}, generator=seeded()).total.backward()
    model = objective.model
    assert (model.prior.mean.grad[:, 2] != 0).all()
    assert model.prior.mean.grad[:, :2].abs().max() < 1e-6
    step = model.classifier.last.bias.grad.squeeze()
    assert step[2] < 0 < step[0]  # descent raises the logit of the label


def test_the_weight_of_labels_scales_their_cross_entropy():
    targets, losses = torch.eye(3)[[2] * 6], []
    for weight in (0.0, 1.0, 3.0):
        objective = LatentMixtureBound(small(), Enumerated(), label_weight=weight).eval()
        losses.append(objective({"x": rows(), "targets": targets}).total.item())
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-5)
    cross_entropy = -small().log_q(rows())[2].mean().item()
    assert losses[1] - losses[0] == pytest.approx(cross_entropy, rel=1e-4)


def test_a_penalty_is_a_term_of_training_alone():
    x, loss = rows(), []
    for penalty in (None, PosteriorPenalty(GaussianNoise(0.5), 1.0)):
        objective = trained_by(penalty=penalty)
        trained = objective({"x": x}, generator=seeded()).total.item()
        loss.append((trained, objective.eval()({"x": x}).total.item()))
    assert loss[0][0] != loss[1][0]
    assert loss[0][1] == loss[1][1]


@pytest.mark.parametrize("bound", ["vimco", "enumerate", "nvil"])
@pytest.mark.parametrize("inference", ["invariant", "variational"])
def test_the_bound_has_no_say_in_an_invariant_posterior(bound, inference):
    penalty = PosteriorPenalty(GaussianNoise(0.5), 1.0, 0.2)
    objective = trained_by(bound, penalty=penalty, inference=inference)
    gradients = []
    for shift in (0.0, 1.0):
        objective.model.decoder.last.bias.data += shift
        objective.zero_grad()
        objective({"x": rows()}, generator=seeded()).total.backward()
        gradients.append(objective.model.classifier.last.weight.grad.clone())
    assert (gradients[0] != 0).any()
    assert torch.equal(*gradients) == (inference == "invariant")


def test_half_precision_changes_the_bound_little_and_sums_in_float32():
    totals = []
    for half in (False, True):
        objective = LatentMixtureBound(small(hidden=[32]), Enumerated(), half_precision=half)
        totals.append(objective.eval()({"x": rows(200)}).total)
    assert totals[0] != totals[1]
    torch.testing.assert_close(totals[1], totals[0], rtol=0.01, atol=0)


def test_a_run_that_diverges_is_stopped_with_a_message():
    objective = trained_by({"name": "vimco", "samples": 2})
    options = FitOptions(max_epochs=50, batch_size=8, learning_rate=1e6, clip_norm=None)
    data = {"x": rows(64)}, {"x": rows(16)}
    with pytest.warns(DivergedWarning, match=r"diverged at step \d+: \d+ steps were not finite"):
        result = fit(objective, *data, options=options, noise=seeded())
    assert result.stopped == "diverged"
    assert all(p.isfinite().all() for p in objective.parameters())
    assert objective({"x": rows()}).total.isfinite()


def test_the_spread_of_nvil_survives_a_step_that_is_not_finite():
    objective = trained_by("nvil")
    objective({"x": torch.full((4, 4), torch.nan)})
    assert objective.bound.spread == 1.0
    objective({"x": rows()})
    assert objective.bound.spread != 1.0


# -- the start -------------------------------------------------------------------------------------


def clusters(n=300, seed=0):
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 3
    centres = np.array([[3.0, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0]])
    x = centres[labels] + 0.3 * random.randn(n, 4)
    return torch.as_tensor(x - x.mean(0), dtype=torch.float32), labels


def test_a_start_puts_the_prior_where_the_codes_are():
    x, labels = clusters()
    model = small(hidden=[32])
    options = FitOptions(max_epochs=30, batch_size=32, learning_rate=5e-3)
    targets = np.zeros((300, 3))
    targets[:3] = np.eye(3)[[2, 0, 1]]  # rows of clusters 0, 1, 2 are to be called 2, 0, 1
    R = start_from_codes(
        model, x, targets=targets, options=options, random_state=np.random.RandomState(0)
    )
    named = np.array([2, 0, 1])[labels]
    assert (R.argmax(1) == named).mean() > 0.98
    assert (model.log_q(x).argmax(0).numpy() == named).mean() > 0.98
    codes = model.codes(x).detach()
    for k in range(3):
        own = codes[torch.as_tensor(named == k)]
        assert (own.mean(0) - model.prior.mean[:, k]).abs().max() < 0.3
    assert 0.5 < own.std(0).mean() < 2.0
    error = (model.decode(codes) - x).square().sum(1).mean()
    assert error < 0.5 * x.square().sum(1).mean()  # scaling the codes has kept the reconstruction


@pytest.mark.parametrize("network", ["mlp", CONV])
def test_scaled_codes_are_decoded_as_before(network):
    model = small(features=16, network=network).double()
    x = rows(features=16).double()
    before = model.decode(model.codes(x))
    from anabranch.procedures.codes_start import _scale_codes

    codes = model.codes(x)
    centre, factor = np.array([0.3, -1.0]), np.array([[4.0, 1.0], [0.0, 0.1]])
    _scale_codes(model, centre, factor)
    expected = (codes - torch.tensor(centre)) @ torch.tensor(factor)
    torch.testing.assert_close(model.codes(x), expected)
    torch.testing.assert_close(model.decode(model.codes(x)), before)


# -- images ----------------------------------------------------------------------------------------


def squares(n=150):
    """Images of 4 x 4 with a bright square in one of three corners, and which."""
    random = np.random.RandomState(0)
    labels = np.arange(n) % 3
    images = 0.2 * random.rand(n, 4, 4)
    for k, place in enumerate(([0, 0], [0, 2], [2, 0])):
        images[labels == k, place[0] : place[0] + 2, place[1] : place[1] + 2] += 0.7
    return torch.as_tensor(images.reshape(n, 16), dtype=torch.float32), labels


def test_convolutions_start_from_codes_and_train():
    x, labels = squares()
    model = small(features=16, network=CONV)
    objective = LatentMixtureBound(model, Vimco(4))
    options = FitOptions(max_epochs=20, batch_size=32, learning_rate=1e-2)
    R = start_from_codes(model, x, options=options, random_state=np.random.RandomState(0))
    assert clustering_accuracy(labels, R.argmax(1)) > 0.98
    before = objective.eval()({"x": x}).terms["bound"]
    options = FitOptions(max_epochs=5, batch_size=32, learning_rate=2e-3)
    fit(objective, {"x": x}, options=options, noise=seeded())
    assert objective.eval()({"x": x}).terms["bound"] > before + 1.0
    assert clustering_accuracy(labels, model.log_q(x).argmax(0).numpy()) > 0.98
    draws, _ = model.sample(200, generator=seeded())
    assert draws.shape == (200, 16)
    assert (draws.mean(0) - x.mean(0)).abs().max() < 0.3


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("posterior", ["structured", "mean_field"])
def test_convolutions_learn_in_every_layer(likelihood, posterior):
    model = small(features=16, network=CONV, likelihood=likelihood, posterior=posterior)
    assert isinstance(model.classifier, ConvClassifier)
    LatentMixtureBound(model, Enumerated())({"x": rows(features=16)}).total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert (parameter.grad != 0).any(), name


# -- half precision --------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["mlp", CONV])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_half_precision_ends_with_the_networks(network, likelihood):
    model = small(features=16, network=network, likelihood=likelihood, floor=0.1).eval()
    x, z = rows(50, 16), torch.randn(2, 7, 50, generator=seeded())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        parameters = model.decoder.columns(z.flatten(1))
        if (network, likelihood) == ("mlp", "gaussian"):  # where the bias is added in float32
            last = model.decoder.last
            parameters = last.weight @ model.decoder.hidden_columns(z.flatten(1))
            assert parameters.dtype == torch.bfloat16
            parameters = parameters + last.bias.detach()
    parameters, columns = parameters.double().unflatten(1, (7, 50)), x.mT.double()[:, None]
    if likelihood == "gaussian":
        loc, raw = parameters.chunk(2)
        std = torch.nn.functional.softplus(raw) + 0.1
        expected = torch.distributions.Normal(loc, std).log_prob(columns).sum(0)
    else:
        terms = columns * parameters - torch.nn.functional.softplus(parameters)
        expected = terms.sum(0)
    # the sum of 16 terms in bfloat16 would be off by a hundredth
    found = model.log_likelihood(x.mT, z, half=True)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    log_q = torch.log_softmax(model.logits(x, half=True), 0)
    assert log_q.dtype == torch.float32
    assert (log_q != model.log_q(x)).any()
    assert torch.logsumexp(log_q, 0).abs().max() < 1e-6
    y = Vimco().draw_labels(log_q, seeded())
    noise = torch.randn(2, 15, 50, generator=seeded())
    for weights in log_weights(model, x.mT, log_q, y, noise, half=True):
        assert weights.dtype == torch.float32


def ten_epochs(likelihood, *, half):
    """A model of digits, and its bound."""
    images = load_digits().data
    x = (images + np.random.RandomState(0).rand(*images.shape)) / 17
    x = torch.as_tensor(x, dtype=torch.float32)
    how = {"latent": 5, "hidden": [64], "likelihood": likelihood}
    model = small(features=64, n_components=10, **how)
    objective = LatentMixtureBound(model, Vimco(5), half_precision=half)
    steps = 10 * (len(x) // 64)
    annealing = std_annealing(steps, first=0.3, last=1e-2, share=0.6)
    options = FitOptions(max_epochs=10, batch_size=64, learning_rate=3e-3, patience=None)
    schedules = [RateHalving(steps // 5), ScheduledBuffer("std_bound", model.floor, annealing)]
    sources = {"generator": seeded(), "noise": seeded()}
    fit(objective, {"x": x}, options=options, schedules=schedules, **sources)
    bounds = {}
    for objective.half_precision in (half, not half):
        bounds[objective.half_precision] = objective.eval()({"x": x}).terms["bound"].item()
    return bounds


@pytest.mark.parametrize(
    # runs by a Gaussian likelihood, whose standard deviations come close to the bound, part: those
    # with other draws are 1 % apart and more
    ("likelihood", "apart"),
    [("bernoulli", 0.005), pytest.param("gaussian", 0.03, marks=pytest.mark.slow)],
)
def test_ten_epochs_in_half_precision_come_as_far(likelihood, apart):
    plain, half = ten_epochs(likelihood, half=False), ten_epochs(likelihood, half=True)
    assert half[True] == pytest.approx(plain[False], rel=apart)
    for bounds in (plain, half):  # the same weights, by networks of either precision
        assert bounds[True] != bounds[False]
        assert bounds[True] == pytest.approx(bounds[False], rel=0.005)


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"likelihood": "poisson"}, "likelihood must be one of"),
        ({"posterior": "exact"}, "posterior must be one of"),
        ({"hidden": []}, "hidden must be positive integers, at least one"),
        ({"n_components": 0}, "n_components must be at least 1"),
        ({"floor": 0.0}, "floor must be positive"),
        ({"n_components": -1}, "n_components must be at least 1, got -1"),
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"network": "rnn"}, r"network must be one of \['conv', 'mlp'\], got 'rnn'"),
        ({"network": CONV}, r"image_shape \[4, 4\] has 16 pixels, but a row has 4 features"),
        ({"network": {**CONV, "image_shape": [2]}}, r"image_shape must be \(H, W\) or \(C, H, W"),
        ({"prior": "normal"}, "unknown recipe 'normal'; there are .*, realnvp"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=message):
            small(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "conv"}, "network 'conv' needs image_shape"),
        ({"network": {**CONV, "pooling": 2}}, "network 'conv' has no keyword 'pooling'; it has im"),
        ({"prior": {"name": "realnvp", "layers": 2}}, "recipe 'realnvp' has no keyword 'layers'"),
        ({"prior": {"name": "gaussian", "std": 2}}, "prior 'gaussian' has no keywords, got std"),
    ],
)
def test_keywords_that_nothing_takes_are_refused(changes, message):
    with pytest.raises(TypeError, match=message):
        small(**changes)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: make_bound("guess", 4),
            ValueError,
            "objective must be one of .*, got 'g",
        ),
        (lambda: make_bound({"samples": 3}, 4), ValueError, "objective must be one of"),
        (lambda: Vimco(1), ValueError, "samples must be at least 2 for Vimco, got 1"),
        (lambda: Enumerated(0), ValueError, "samples must be at least 1 for Enumerated, got 0"),
        (lambda: Gumbel(temperature=0.0), ValueError, "temperature must be positive, got 0.0"),
        (
            lambda: make_bound({"name": "iwae", "baseline": []}, 4),
            TypeError,
            "objective 'iwae' takes samples; got 'baseline'",
        ),
        (lambda: trained_by(inference="exact"), ValueError, "inference must be one of"),
        (lambda: trained_by(inference="invariant"), ValueError, "'invariant' needs a penalty"),
        (lambda: PosteriorPenalty(GaussianNoise(), 0.0), ValueError, "weight must be positive"),
        (lambda: PosteriorPenalty(GaussianNoise(), 1.0, -1.0), ValueError, "balance must not be"),
    ],
)
def test_objectives_that_cannot_be_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_bound_has_the_keywords_that_it_is_given():
    generator = seeded()
    made = make_bound(
        {"name": "nvil", "samples": 3, "reparameterized": True, "baseline": [7]},
        4,
        activation="tanh",
        generator=generator,
    )
    assert isinstance(made, Nvil)
    assert (made.samples, made.reparameterized) == (3, True)
    assert [layer.out_features for layer in made.baseline.hidden] == [7]
    assert make_bound("iwae", 4).samples == 15
    assert make_bound({"name": "gumbel", "temperature": 0.1}, 4).temperature == 0.1


def test_a_start_needs_a_row_for_each_component():
    with pytest.raises(ValueError, match="x has 2 rows for 3 components"):
        start_from_codes(small(), rows(2))
