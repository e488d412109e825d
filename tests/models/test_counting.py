"""Free parameters of frozen starts are those of a Gaussian mixture of their kind."""

import numpy as np
import pytest
from sklearn import mixture as sklearn_mixture

from anabranch import FlowMixture
from tests.estimators.data import FLOW

ROWS = np.random.default_rng(0).normal(size=(60, 4))


def counted(mixture):
    """What the information criterion counts."""
    return (mixture.bic(ROWS) + 2 * mixture.score_samples(ROWS).sum()) / np.log(len(ROWS))


@pytest.mark.parametrize("kind", ["spherical", "diag", "tied", "full"])
def test_a_frozen_start_counts_as_in_scikit_learn(kind):
    settings = {"covariance_type": kind, "random_state": 0}
    ours = FlowMixture(2, flow=None, max_epochs=5, **settings).fit(ROWS)
    theirs = sklearn_mixture.GaussianMixture(2, **settings).fit(ROWS)
    assert counted(ours) == pytest.approx(theirs._n_parameters())


def test_the_gaussians_of_a_hedge_count_once():
    """They are kept twice: as first map of the flow, and beside it."""
    settings = {"covariance_type": "diag", "max_epochs": 1, "random_state": 0}
    mixture = FlowMixture(2, flow=FLOW, **settings).fit(ROWS)
    trained = sum(p.numel() for p in mixture.model_.mixture.parameters() if p.requires_grad)
    assert counted(mixture) == pytest.approx(trained - 1 + 2 * (4 + 4))
