"""Small data and quick settings for the estimator's tests."""

import numpy as np

from anabranch import FlowMixture

CENTERS = np.array([[0.0, 0.0], [5.0, 1.0], [1.0, 6.0]])
FLOW = {"name": "realnvp", "n_layers": 2, "hidden": [8]}


def blobs(n=150, seed=0):
    """Three round clusters in turn, and which is which."""
    labels = np.arange(n) % 3
    return CENTERS[labels] + 0.5 * np.random.RandomState(seed).randn(n, 2), labels


def quick(n_components=3, **changes):
    """An estimator that is fitted in a blink, and that training does change."""
    settings = {
        "flow": FLOW,
        "posterior": {"name": "mlp", "hidden": [8]},
        "covariance_type": "full",
        "max_epochs": 4,
        "batch_size": 64,
        "learning_rate": 0.01,
        "random_state": 0,
        **changes,
    }
    return FlowMixture(n_components, **settings)


def moved(**changes):
    """Settings whose runs end away from their start on the data of `bent`."""
    return quick(2, **{"max_epochs": 30, "batch_size": 100, **changes})


def bent(n=400, seed=0):
    """Two thin arcs, which two Gaussians fit badly."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 2
    angle = np.pi * random.rand(n)
    arc = np.stack([np.cos(angle), np.sin(angle)], 1) * (1 - 2 * labels[:, None])
    X = arc + labels[:, None] * np.array([1.0, 0.3]) + 0.05 * random.randn(n, 2)
    return X, labels


def picture(n=120, seed=0):
    """Rows of four integers 0..7 in two classes."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 2
    means = np.array([[1.0, 6.0, 2.0, 5.0], [6.0, 1.0, 5.0, 3.0]])[labels]
    return np.clip(np.round(means + random.randn(n, 4)), 0, 7), labels


CORNERS = 2.5 * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])


def folded(n=600, features=20, seed=0):
    """Four round clusters in the plane, pushed through a random network; and the plane's."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 4
    z = CORNERS[labels] + random.randn(n, 2)
    hidden = np.tanh(0.5 * z @ random.randn(2, 32) / np.sqrt(2) + random.randn(32))
    X = hidden @ random.randn(32, features) / np.sqrt(32)
    return X + 0.02 * random.randn(n, features), labels, z
