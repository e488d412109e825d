"""Copied, summed and nearly collinear columns: the density of the subspace, and samples on it."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from anabranch import FlowGMM, FlowMixture, load, save
from anabranch.procedures.dependent_columns import fit_dependence
from anabranch.transforms import Dependence
from tests.estimators.data import FLOW

RANDOM = np.random.RandomState(0)
N = 300
Y = np.repeat([0, 1], N // 2)
X = RANDOM.randn(N, 2) + 5 * Y[:, None] * [1, 0]
FURTHER = {
    "twice": lambda x: x,
    "total": lambda x: x.sum(1),
    "inches": lambda x: 2.54 * x[:, 0] + 1,
    "from the end": lambda x: 1e3 - x[:, 1],
}
SETTINGS = {"flow": FLOW, "init_params": "kmeans", "covariance_type": "full", "random_state": 0}


def fitted(table, kind=FlowMixture, **changes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(2, **{**SETTINGS, "max_epochs": 3, **changes}).fit(table)


@pytest.mark.parametrize(
    ("further", "kind"),
    [*((further, FlowMixture) for further in FURTHER.values()), (FURTHER["total"], FlowGMM)],
    ids=[*FURTHER, "total of a FlowGMM"],
)
def test_clusters_and_density_are_those_without_the_copies(further, kind, tmp_path):
    table = np.c_[X, further(X)]
    mixture = fitted(table, kind)
    assert adjusted_rand_score(Y, mixture.predict(table)) > 0.95
    kept = mixture.preparation_.dependence.kept
    assert len(kept) == 2
    alone = fitted(table[:, kept], kind)
    expected = alone.score_samples(table[:, kept])
    assert mixture.score_samples(table) == pytest.approx(expected, abs=1e-3)
    drawn = mixture.sample(50, random_state=0)[0]
    assert further(drawn[:, :2]).reshape(50, -1) == pytest.approx(drawn[:, 2:], abs=1e-4)
    save(mixture, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert (again.score_samples(table) == mixture.score_samples(table)).all()
    assert (again.sample(9, random_state=0)[0] == mixture.sample(9, random_state=0)[0]).all()
    further_on = kind(2, **SETTINGS, max_epochs=1, start=mixture)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert further_on.fit(table).predict(table).shape == (N,)


def test_a_nearly_copied_column_counts_in_its_own_scale():
    """The density of two columns is that of the first and of the noise, however small it is."""
    noise = 1e-6
    one = RANDOM.randn(2000, 1)
    pair = np.c_[one, one + noise * RANDOM.randn(2000, 1)]
    mixture = fitted(pair, max_epochs=0)
    truth = -np.log(2 * np.pi * np.e) - np.log(noise)
    assert mixture.score(pair) == pytest.approx(truth, abs=0.1)
    drawn = mixture.sample(500, random_state=0)[0]
    assert np.diff(drawn).std() == pytest.approx(noise, rel=0.2)


def test_the_map_is_a_bijection_of_what_is_kept():
    Z = np.c_[X - X.mean(0), X[:, 0] + 1e-3 * RANDOM.randn(N), X.sum(1)]
    Z = (Z - Z.mean(0)) / Z.std(0)
    determined = np.array([False, False, False, True])
    dependence = fit_dependence(Z, determined, np.zeros(4, bool))
    rows = torch.as_tensor(Z[:5])
    z, term = dependence.encode(rows)
    back, back_term = dependence.decode(z)
    assert back.numpy() == pytest.approx(Z[:5], abs=1e-9)
    assert (term + back_term).abs().max() < 1e-12
    jacobian = torch.autograd.functional.jacobian(lambda x: dependence.encode(x)[0], rows[0])
    log_det = torch.linalg.slogdet(jacobian[:, dependence.kept])[1]
    assert log_det.item() == pytest.approx(term[0].item(), abs=1e-9)


def test_independent_columns_are_left_alone():
    nothing = np.zeros(2, bool)
    assert fit_dependence((X - X.mean(0)) / X.std(0), nothing, nothing) is None
    assert fitted(X).preparation_.dependence is None


def test_wrong_places_are_refused():
    with pytest.raises(ValueError, match="kept must name some of 2 columns in rising order"):
        Dependence(2, [1, 0])
    with pytest.raises(ValueError, match="scale must have the shape"):
        Dependence(2, [0]).set_multiples(scale=torch.zeros(1))
