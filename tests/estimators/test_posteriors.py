"""Logarithms of posteriors, where probabilities underflow."""

import numpy as np
import pytest

from anabranch import GaussianMixture
from tests.estimators.data import blobs, quick

X, _ = blobs()


@pytest.mark.parametrize("method", ["exact", "network"])
def test_logarithms_are_those_of_the_probabilities(method):
    mixture = quick(inference="variational", max_epochs=2).fit(X)
    logs = mixture.predict_log_proba(X, method=method)
    assert np.exp(logs) == pytest.approx(mixture.predict_proba(X, method=method), abs=1e-12)
    with pytest.raises(ValueError, match="method must be one of"):
        mixture.predict_log_proba(X, method="some")


@pytest.mark.parametrize("far", [1e3, 1e5])
def test_they_do_not_underflow(far):
    for mixture in (quick(2, flow=None, max_epochs=0), GaussianMixture(2, random_state=0)):
        mixture.fit(np.concatenate([X, X + far]))
        logs = mixture.predict_log_proba(X, method="exact")
        assert mixture.predict_proba(X, method="exact").min() == 0
        assert np.isfinite(logs).all()
        assert logs.min() < -1000
