"""scikit-learn's own tests of its Gaussian mixture, with ours in its place.

Only what is private there has other names here, and the class below lends them.
"""

import inspect

import pytest

from anabranch import GaussianMixture as Ours
from anabranch.algorithms.gaussians import GaussianParameters
from anabranch.algorithms.gaussians.seeding import expanded
from anabranch.estimators.gaussian_plan import GaussianPlan

theirs = pytest.importorskip("sklearn.mixture.tests.test_gaussian_mixture")
shared = pytest.importorskip("sklearn.mixture.tests.test_mixture")

# as in scikit-learn's own run of them, where a fit that warns is no failure
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings(
        "ignore::anabranch.estimators.column_warnings.ColumnWarning",
        "ignore:max_components has no effect",
    ),
]
# tests of what ours does not have
LEFT_OUT = {
    "test_gaussian_mixture_array_api_compliance": "arrays of other libraries, skipped there too",
    "test_gaussian_mixture_raises_where_array_api_not_implemented": "likewise",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": "calls of a private "
    "function of theirs are counted",
}
# tests that ours does not pass, and why
DIFFERENT = {
    "test_check_weights": "their message calls the smallest weight the largest",
}


# seconds each: all warm starts of one step, and all starts of many draws
SLOW = {"test_monotonic_likelihood", "test_init", "test_gaussian_mixture_fit_best_params"}


class GaussianMixture(Ours):
    """Ours, under the names that only their tests know."""

    __init__ = Ours.__init__

    def _set_parameters(self, params):
        weights, means, covariances, _ = params
        self.covariance_type_, self._precision = self.covariance_type, means.dtype
        full = expanded(covariances.astype(float), self.covariance_type, *means.shape)
        self._set(GaussianParameters(weights.astype(float), means.astype(float), full))

    def _initialize(self, X, resp):
        given = GaussianPlan.of(self)._given(resp.shape[1], X.shape[1])
        self.covariance_type_, self._precision = self.covariance_type, X.dtype
        means = resp.T.astype(float) @ X / resp.sum(0)[:, None]
        self._set(GaussianParameters(resp.mean(0), means, given["covariances"]))


@pytest.fixture(autouse=True)
def ours(monkeypatch):
    monkeypatch.setattr(theirs, "GaussianMixture", GaussianMixture)


def test_what_is_left_out_is_there():
    assert set(LEFT_OUT) | set(DIFFERENT) <= set(vars(theirs))


@pytest.mark.parametrize(
    "name",
    ["test_gaussian_mixture_n_iter", "test_mixture_n_components_greater_than_n_samples_error"],
)
def test_of_all_mixtures(name):
    getattr(shared, name)(GaussianMixture())


def _as_it_is(test):
    if test.__name__ in SLOW:
        return pytest.mark.slow(test)
    reason = DIFFERENT.get(test.__name__)
    return test if reason is None else pytest.mark.xfail(reason=reason, strict=True)(test)


globals().update(
    {
        name: _as_it_is(test)
        for name, test in vars(theirs).items()
        if name.startswith("test_") and inspect.isfunction(test) and name not in LEFT_OUT
    }
)
