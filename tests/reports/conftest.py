"""A fitted mixture with the interface of the estimator, whose answers are known."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture


class FakeMixture:
    """A GaussianMixture with a posterior network that is its softened posterior."""

    def __init__(self, n_components=3, network=True, history=None):
        self.n_components, self.network = n_components, network
        if history is not None:
            self.history_ = history

    def get_params(self, deep=True):
        return {"n_components": self.n_components, "flow": "<img src=x>"}

    def fit(self, X):
        self.gaussian = GaussianMixture(self.n_components, random_state=0, reg_covar=1e-3).fit(X)
        self.n_components_, self.n_features_in_ = self.n_components, np.shape(X)[1]
        self.weights_ = self.gaussian.weights_
        if hasattr(self.gaussian, "feature_names_in_"):
            self.feature_names_in_ = self.gaussian.feature_names_in_
        return self

    def predict(self, X):
        return self.gaussian.predict(X)

    def predict_proba(self, X, method="exact"):
        exact = self.gaussian.predict_proba(X)
        if method == "exact":
            return exact
        if not self.network:
            raise ValueError("method: there is no posterior network in this mixture.")
        return 0.8 * exact + 0.2 / self.n_components

    def score_samples(self, X):
        return self.gaussian.score_samples(X)

    def sample(self, n_samples=1, component=None, random_state=None):
        rng = np.random.RandomState(random_state)
        labels = np.full(n_samples, component)
        if component is None:
            labels = rng.choice(self.n_components, n_samples, p=self.weights_)
        root = np.linalg.cholesky(self.gaussian.covariances_)[labels]
        noise = rng.randn(n_samples, self.n_features_in_)
        return self.gaussian.means_[labels] + np.einsum("nij,nj->ni", root, noise), labels


HISTORY = [
    {"epoch": 0, "train_loss": 2.0, "validation_nll": 2.2, "learning_rate": 1e-3, "odd<b>": 1.0},
    {"epoch": 1, "train_loss": 1.0, "validation_nll": float("nan"), "learning_rate": 9e-4},
    {"epoch": 2, "train_loss": 0.5, "validation_nll": 1.5, "learning_rate": 8e-4, "note": "text"},
    {"epoch": 3, "train_loss": 0.4, "validation_nll": 1.7, "learning_rate": 7e-4},
]


def blobs(n=240, n_columns=2, n_components=3):
    """Well separated blobs and their labels."""
    labels = np.arange(n) % n_components
    centers = 8 * np.random.RandomState(7).permutation(n_components)[:, None] + np.zeros(n_columns)
    return centers[labels] + np.random.RandomState(0).randn(n, n_columns), labels


@pytest.fixture(scope="session")
def fitted():
    """A function that gives (mixture, X, labels) for a number of columns."""

    def make(n_columns=2, **settings):
        X, labels = blobs(n_columns=n_columns)
        return FakeMixture(**settings).fit(X), X, labels

    return make


@pytest.fixture(scope="session")
def fake():
    return FakeMixture


@pytest.fixture
def history():
    return [dict(epoch) for epoch in HISTORY]
