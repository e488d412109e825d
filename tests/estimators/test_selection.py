"""Choosing the number of components of mixtures whose number is known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import KFold

from anabranch import GaussianMixture
from anabranch.estimators import choose_n_components
from tests.estimators.data import blobs, quick

X, LABELS = blobs(300)
GAUSSIAN = GaussianMixture(n_init=2, random_state=0)


@pytest.mark.parametrize("criterion", ["bic", "mdl", "aic", "held_out"])
def test_three_blobs_are_three(criterion):
    most = 6 if criterion in ("bic", "mdl") else 3  # the others do not mind one too many
    found = choose_n_components(GAUSSIAN, X, range(1, most + 1), criterion=criterion)
    assert found.n_components == found.best_estimator.n_components_ == 3
    assert (found.criterion, list(found.scores)) == (criterion, list(range(1, most + 1)))
    assert found.scores[3] == min(found.scores.values())
    assert found.best_estimator is found.estimators[3]
    assert not hasattr(GAUSSIAN, "weights_")


def test_scores_are_those_of_the_estimators():
    found = choose_n_components(GAUSSIAN, X, [2, 4], criterion="aic")
    assert found.scores == {k: found.estimators[k].aic(X) for k in (2, 4)}
    alone = clone(GAUSSIAN).set_params(n_components=4).fit(X)
    assert found.scores[4] == alone.aic(X)


def test_held_out_scores_are_of_the_rows_left_out():
    folds = KFold(3, shuffle=True, random_state=7)
    expected = -np.mean(
        [GaussianMixture(2, random_state=0).fit(X[a]).score(X[b]) for a, b in folds.split(X)]
    )
    own = GaussianMixture(random_state=0)
    for cv in (folds, 3):
        found = choose_n_components(own, X, [2], criterion="held_out", cv=cv, random_state=7)
        assert found.scores == {2: pytest.approx(expected, abs=1e-12)}
    assert found.best_estimator.score(X) == GaussianMixture(2, random_state=0).fit(X).score(X)


def test_sorted_rows_are_shuffled():
    ordered = X[np.argsort(LABELS)]
    assert choose_n_components(GAUSSIAN, ordered, [1, 3], criterion="held_out").n_components == 3


def test_a_flow_mixture():
    frame = pd.DataFrame(X, columns=["width", "height"])
    mixture = quick(max_epochs=0)
    found = choose_n_components(mixture, frame, [3], criterion="held_out", cv=2)
    assert found.scores[3] == pytest.approx(-found.best_estimator.score(frame), abs=0.3)
    fitted = choose_n_components(mixture, frame, [1, 3], criterion="bic").estimators
    assert [fitted[k].n_components_ for k in (1, 3)] == [1, 3]


def test_labels_are_passed_on():
    y = np.where(np.arange(300) < 30, LABELS, -1)
    found = choose_n_components(GAUSSIAN, X, [3, 4], y=y)
    assert (found.estimators[3].predict(X) == LABELS).mean() > 0.99


@pytest.mark.parametrize("candidates", [[], [0, 1], [1.5], ["auto"]])
def test_candidates_that_are_none(candidates):
    with pytest.raises(ValueError, match="candidates must be positive integers"):
        choose_n_components(GAUSSIAN, X, candidates)


def test_a_criterion_that_is_none():
    with pytest.raises(ValueError, match=r"criterion must be one of .*got 'icl'"):
        choose_n_components(GAUSSIAN, X, [1], criterion="icl")
