"""Small data and quick settings for the estimator's tests."""

import numpy as np

from anabranch import FlowMixture
from anabranch.estimators.groups import defaults
from anabranch.estimators.mixture_plan import TRAINING
from anabranch.procedures.optimisation import OF_ALL

CENTERS = np.array([[0.0, 0.0], [5.0, 1.0], [1.0, 6.0]])
FLOW = {"name": "realnvp", "n_layers": 2, "hidden": [8]}


def blobs(n=150, seed=0):
    """Three round clusters in turn, and which is which."""
    labels = np.arange(n) % 3
    return CENTERS[labels] + 0.5 * np.random.RandomState(seed).randn(n, 2), labels


def quick(n_components=3, **changes):
    """An estimator that is fitted in a blink, and that training does change.

    Settings within groups may be given by their own names, as ``posterior`` of the model.
    """
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
    return FlowMixture(n_components, **grouped(FlowMixture, settings))


def grouped(kind, settings):
    """Settings by their own names, each in the group that it belongs to."""
    owners = {key: name for name, group in kind.groups.items() for key in defaults(group)}
    owners |= dict.fromkeys((*OF_ALL, *TRAINING), "fit_options")
    owners = {key: name for key, name in owners.items() if key not in kind().get_params(deep=False)}
    told = {}
    for name, value in settings.items():
        owner = owners.get(name)
        if owner is None:
            told[name] = {**told[name], **value} if isinstance(told.get(name), dict) else value
        else:
            told[owner] = {**(told.get(owner) or {}), name: value}
    return told


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
