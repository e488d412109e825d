import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans

from anabranch.metrics import clustering_accuracy
from anabranch.problems import HiddenBlobs, TwoFacets

# of the rows that the recorded results were made from
BLOBS, FACETS = -2450.863881911508, 3965.80947106884


def test_draws_are_those_of_the_recorded_results():
    X, labels, best = HiddenBlobs().sample(4000, random_state=0)
    assert (labels.sum(), best) == (7993, 1.0)
    assert X.sum() == pytest.approx(BLOBS, rel=1e-9)
    X, labels = TwoFacets().sample(2000, random_state=0)
    assert labels.sum() == 4021
    assert X.sum() == pytest.approx(FACETS, rel=1e-9)


def test_blobs_are_what_they_are_said_to_be():
    problem = HiddenBlobs()
    X, labels, best = problem.sample(4000, random_state=100)
    assert X.shape == (4000, 64)
    assert (problem.sample(4000, random_state=100)[0] == X).all()
    assert set(labels) == set(range(5))
    assert 0.98 < best <= 1
    assert np.abs(X).max() < 10


def test_no_two_blobs_lie_on_top_of_each_other():
    problem = HiddenBlobs()
    # the first means that seed 128 draws are 3.2 standard deviations apart
    distances = [
        pdist(problem.draw_means(np.random.RandomState(seed)) / problem.stds).min()
        for seed in range(124, 134)
    ]
    assert min(distances) >= problem.apart
    assert problem.sample(4000, random_state=128)[2] > 0.98


def test_k_means_splits_the_blobs_although_the_latents_tell_them_apart():
    found, best = [], []
    for seed in range(100, 106):
        X, labels, possible = HiddenBlobs().sample(500, random_state=seed)
        clusters = KMeans(5, n_init=10, random_state=seed).fit_predict(X)
        found.append(clustering_accuracy(labels, clusters))
        best.append(possible)
    assert np.mean(found) < 0.85
    assert min(best) > 0.97


def test_the_two_facets_are_independent():
    X, labels = TwoFacets().sample(2000, random_state=100)
    assert X.shape == (2000, 64)
    assert (TwoFacets().sample(2000, random_state=100)[0] == X).all()
    counts = np.histogram2d(*labels.T, bins=3)[0] / len(labels)
    np.testing.assert_allclose(counts, 1 / 9, atol=4 * np.sqrt(8 / 81 / len(labels)))


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match="smallest_std is 0"):
        HiddenBlobs(stds=(1.0, 0.0))
    with pytest.raises(ValueError, match="own is -1"):
        TwoFacets(own=-1)
