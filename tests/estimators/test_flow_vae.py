"""FlowVAE: its scores, codes and draws; its options; what it refuses."""

import copy

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from anabranch import FlowVAE, load, save
from anabranch.problems import LinearGaussian
from tests.registry import seeded

PROBLEM = LinearGaussian.random(4, 2, random_state=0)
X, _ = PROBLEM.sample(600, random_state=0)
FRESH, _ = PROBLEM.sample(300, random_state=1)
QUICK = {"latent": 2, "hidden": (8,), "max_epochs": 2, "random_state": 0}
SHARES = 1 / (1 + np.exp(-X))


def model(**changes):
    return FlowVAE(**{**QUICK, **changes})


@pytest.fixture(scope="module")
def fitted():
    settings = {"posterior": "copula", "hidden": (), "max_epochs": 60, "learning_rate": 2e-2}
    return model(**settings).fit(X)


def test_a_linear_model_finds_the_likelihood_of_its_problem(fitted):
    scores, truth = fitted.score_samples(FRESH), PROBLEM.log_prob(FRESH)
    # one noise for all standardised columns, and what 600 rows say of 13 numbers
    assert abs(scores.mean() - truth.mean()) < 0.15
    assert np.corrcoef(scores, truth)[0, 1] > 0.95
    assert fitted.effective_sample_size(FRESH).mean() > 0.8
    assert fitted.lower_bound_ == pytest.approx(scores.mean(), abs=0.3)


def test_units_of_the_data_are_kept():
    plain, moved = model().fit(X), 1000 * X + 5
    large = model().fit(moved)
    shift = 4 * np.log(1000)
    scores = plain.score_samples(X[:20]) - shift
    assert large.score_samples(moved[:20]) == pytest.approx(scores, abs=0.02)
    assert large.lower_bound_ == pytest.approx(plain.lower_bound_ - shift, abs=0.02)
    told = 1000 * plain.reconstruct(X) + 5
    assert large.reconstruct(moved) == pytest.approx(told, rel=0.02)


def test_codes_tell_of_rows(fitted):
    Z = fitted.transform(FRESH)
    assert Z.shape == (300, 2)
    told = fitted.reconstruct(FRESH)
    assert np.square(FRESH - told).mean() < 0.5 * FRESH.var(0).mean()
    assert fitted.inverse_transform(Z) == pytest.approx(told)
    with pytest.raises(ValueError, match=r"codes must have shape \(n, 2\), got \(1, 3\)"):
        fitted.inverse_transform(np.zeros((1, 3)))


def test_draws_are_like_the_data(fitted):
    drawn = fitted.sample(4000, random_state=1)
    assert drawn.mean(0) == pytest.approx(X.mean(0), abs=0.25)
    assert np.cov(drawn.T) == pytest.approx(np.cov(X.T), abs=0.35)
    assert (fitted.sample(3) == fitted.sample(3)).all()


def test_a_row_gets_its_own_score(fitted):
    assert fitted.score_samples(FRESH[:1])[0] == fitted.score_samples(FRESH[:5])[0]


@pytest.mark.slow
@parametrize_with_checks([FlowVAE(2, hidden=(4,), max_epochs=1, objective={"score_draws": 5})])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("posterior", ["iaf", "hamiltonian"])
def test_rows_in_a_batch_get_what_each_gets_alone(posterior):
    found = model(posterior=posterior, max_epochs=1, objective={"score_draws": 20}).fit(X)
    for method in ("importance", "annealed"):
        how = {"method": method, "temperatures": 5}
        alone = [found.score_samples(FRESH[i : i + 1], **how)[0] for i in range(4)]
        assert found.score_samples(FRESH[:4], **how) == pytest.approx(alone, rel=1e-12)


def test_annealed_scores_need_no_good_posterior(fitted):
    truth = fitted.score_samples(FRESH[:40])  # its posterior is exact
    spoilt = copy.deepcopy(fitted)
    with torch.no_grad():
        for weight in spoilt.model_.posterior.parameters():
            weight.fill_(0.5)
    how = {"method": "annealed", "temperatures": 100}
    assert np.abs(spoilt.score_samples(FRESH[:40]) - truth).mean() > 0.2
    assert np.abs(spoilt.score_samples(FRESH[:40], **how) - truth).mean() < 0.06
    assert spoilt.effective_sample_size(FRESH[:40], **how).mean() > 0.5
    with pytest.raises(ValueError, match="method must be one of"):
        spoilt.score_samples(FRESH[:2], method="exact")
    with pytest.raises(ValueError, match="temperatures must be an integer of at least 1, got 0"):
        spoilt.score_samples(FRESH[:2], method="annealed", temperatures=0)


@pytest.mark.slow
def test_rows_of_the_model_lie_between_their_bounds(fitted):
    found = fitted.sandwich(100, temperatures=150)
    assert found.X.shape == (100, 4)
    assert found.importance == pytest.approx(fitted.score_samples(found.X), abs=1e-6)
    assert 0 < (found.upper - found.lower).mean() < 0.1
    assert (found.upper - found.importance).mean() > 0
    assert found.importance.mean() == pytest.approx(found.lower.mean(), abs=0.05)


def test_labels_change_nothing():
    y = np.where(np.arange(len(X)) % 2, -1, 3)
    assert (model().fit(X, y).transform(X) == model().fit(X).transform(X)).all()


@pytest.mark.parametrize(
    "posterior", ["diagonal", "planar", "radial", "iaf", "nice", "realnvp", "hamiltonian"]
)
def test_it_comes_back_from_a_file(posterior, tmp_path):
    prior = {"name": "vampprior", "n_components": 3} if posterior == "diagonal" else "normal"
    first = model(posterior=posterior, prior=prior, max_epochs=1).fit(X)
    save(first, tmp_path / "m")
    again = load(tmp_path / "m")
    assert (again.score_samples(X[:2]) == first.score_samples(X[:2])).all()
    assert (again.sample(5) == first.sample(5)).all()


def test_a_fit_goes_on_where_it_was_interrupted(tmp_path):
    options = {"checkpoint": str(tmp_path / "c")}
    whole = model(max_epochs=3).fit(X)
    model(max_epochs=1, fit_options=options).fit(X)
    resumed = model(max_epochs=3, fit_options=options).fit(X, resume=True)
    assert resumed.n_iter_ == 3
    assert (resumed.transform(X) == whole.transform(X)).all()


def test_pretended_rows_begin_at_rows():
    prior = {"name": "vampprior", "n_components": 5}
    shares = model(prior=prior, likelihood="bernoulli", max_epochs=0).fit(SHARES)
    rows = shares.model_.prior.learned_rows().detach().numpy()
    distance = np.abs(rows[:, None] - SHARES).max(-1).min(1)
    assert (distance < 0.06).all()


def test_bits_are_drawn_and_scored():
    bits = (SHARES > 0.5).astype(float)
    found = model(likelihood="bernoulli").fit(bits)
    assert set(np.unique(found.sample(50))) <= {0.0, 1.0}
    assert (found.score_samples(bits[:20]) < 0).all()
    assert ((found.reconstruct(bits) > 0) & (found.reconstruct(bits) < 1)).all()
    with pytest.raises(ValueError, match=r"bernoulli.*needs values in"):
        model(likelihood="bernoulli").fit(X)


WORSE = {"max_epochs": 3, "learning_rate": 0.7}


@pytest.mark.parametrize(
    "change",
    [
        {"latent": 1},
        {"posterior": "diagonal"},
        {"prior": "maf"},
        {"hidden": (7,)},
        {"model_options": {"context": 5}},
        {"model_options": {"activation": "tanh"}},
        {"objective": {"draws": 3}},
        {"objective": {"free_bits": 3.0}},
        {"objective": {"warm_up": 0.9}},
        {"objective": {"score_draws": 7}},
        {"learning_rate": 1e-2},
        {"batch_size": 20},
        {"max_epochs": 1},
        {"fit_options": {"keep": "last"}, **WORSE},
        {"fit_options": {"average": 0.5}},
        {"random_state": 1},
    ],
    ids=str,
)
def test_an_option_does_something(change):
    beside = WORSE if change.items() >= WORSE.items() else {}
    found = [model(**changed).fit(X[:200]).score_samples(X[:3]) for changed in (beside, change)]
    assert not np.array_equal(*found)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"latent": 0}, ValueError, "latent must be an integer of at least 1, got 0"),
        ({"posterior": "x"}, ValueError, "unknown recipe 'x'"),
        ({"posterior": "vae"}, ValueError, "takes no context: it cannot be a posterior"),
        ({"prior": {"name": "maf", "x": 1}}, TypeError, "has no keyword 'x'"),
        ({"likelihood": "poisson"}, ValueError, "likelihood must be one of"),
        ({"hidden": (0,)}, ValueError, "hidden must"),
        ({"model_options": {"context": 0}}, ValueError, "model_options.context must be"),
        ({"objective": {"draws": 2, "free_bits": 1}}, ValueError, "objective.free_bits go with"),
        ({"objective": {"warm_up": 2}}, ValueError, "objective.warm_up must be a share"),
        ({"fit_options": {"keep": "all"}}, ValueError, "keep must be one of"),
    ],
)
def test_settings_that_cannot_be(change, error, message):
    with pytest.raises(error, match=message):
        model(**change).fit(X)


def test_a_score_is_the_bound_of_its_draws(fitted):
    network, z = fitted.model_.double(), fitted.preparation_.encode(FRESH[:1])
    with torch.no_grad():
        reconstruction, divergence = network.terms(z[0].double(), 100, seeded(0))
    expected = (reconstruction - divergence).logsumexp(0) - np.log(100) + z[1]
    assert fitted.score_samples(FRESH[:1]) == pytest.approx(expected.numpy(), abs=1e-4)
    network.float()
