"""Every setting of DeepClustering, and of each of its methods, does something."""

from dataclasses import fields
from functools import cache

import numpy as np
import pytest

from anabranch import DeepClustering
from anabranch.procedures.clustering_methods import METHODS

# no clusters, so that every start and every weight matters
X = np.random.RandomState(0).randn(90, 4)
SMALL = {"latent": 2, "hidden": (8,), "max_epochs": 4, "batch_size": 20, "random_state": 0}
LABELS = tuple(np.arange(90) % 4)

# Another value of each setting, and the method that it is tried with.
SETTINGS = {
    "n_components": ("idec", 3),
    "method": ("idec", "dec"),
    "method_options": ("idec", {"refresh": 8, "tol": 0.0, "alpha": 3.0}),
    "latent": ("idec", 3),
    "hidden": ("idec", (9,)),
    "levels": ("idec", 8),
    "model_options": ("idec", {"activation": "tanh"}),
    "start": ("idec", LABELS),
    "fit_options__keep": ("vade", "last"),
    "pretrain": ("idec", {"epochs": 1}),
    "pretrain__epochs": ("idec", 1),
    "pretrain__corruption": ("idec", 0.5),
    "max_epochs": ("idec", 2),
    "learning_rate": ("idec", 1e-2),
    "weight_decay": ("idec", 0.1),
    "batch_size": ("idec", 10),
    "patience": ("vade", 0),
    "validation_fraction": ("idec", 0.5),
    "fit_options": ("idec", {"average": 0.9}),
    "random_state": ("idec", 1),
}
# What changes no number: where it is computed, and what is shown.
SHOWN = {"device", "verbose"}
OPTIONS = {
    "learning_rate": 1e-2,
    "alpha": 3.0,
    "refresh": 1,
    "tol": 1.0,
    "reconstruction": 1.0,
    "covariance_type": "diag",
    "n_init": 1,
    "information": 0.1,
    "entropy": 2.0,
    "rounds": 2,
    "eta": 0.5,
    "rate": 0.5,
    "certainty": 1.0,
    "balance": 0.1,
    "start_epochs": 1,
    "loss": "wgan-gp",
    "penalty": 5.0,
    "critic_steps": 2,
    "n_drawn": 70,
}
# Other settings of a method, without which one of its options would have nothing to do.
BESIDE = {
    "vade": {
        "max_epochs": 12,
        "method_options": {"learning_rate": 0.3},
        "fit_options": {"min_evaluation_steps": 1},
    },
    "vae+gmm": {"n_components": 7},
    "svae": {"n_components": 8},
    "ltvae": {"method_options": {"rounds": 1}},
    "ltvae-gmm": {"method_options": {"rounds": 1}},
    "gmgan": {"method_options": {"n_drawn": 60}},
    "dec": {"max_epochs": 6, "method_options": {"refresh": 8, "tol": 0.0}},
    "idec": {"max_epochs": 6, "method_options": {"refresh": 8, "tol": 0.0}},
}


def outcome(by, **changes):
    """All that a fit has found."""
    settings = {**SMALL, **({} if by == "gmgan" else {"pretrain": {"epochs": 4}})}
    settings |= {"n_components": 4, "method": by, **BESIDE.get(by, {})}
    model = DeepClustering(**settings).set_params(**changes)
    rows = np.clip(np.round(X + 3), 0, 7) if model.levels else X
    model.fit(rows)
    results = [(result.history, result.stopped) for result in model.fit_results_.values()]
    state = {name: value.tolist() for name, value in model.model_.state_dict().items()}
    return str((results, state, model.predict_proba(rows).tolist()))


@cache
def usual(method):
    return outcome(method)


def test_every_setting_is_tried_here():
    given = DeepClustering().get_params()
    assert set(given) | {"fit_options__keep"} == set(SETTINGS) | SHOWN
    assert len(DeepClustering().get_params(deep=False)) <= 20


# runs of four epochs may end with all rows in one cluster
@pytest.mark.filterwarnings("ignore::anabranch.procedures.CollapsedWarning")
@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_does_something(name):
    method, value = SETTINGS[name]
    assert outcome(method, **{name: value}) != usual(method)


@pytest.mark.filterwarnings("ignore::anabranch.procedures.CollapsedWarning")
@pytest.mark.parametrize(
    ("method", "option"),
    [(name, field.name) for name, own in METHODS.items() for field in fields(own.options)],
)
def test_an_option_of_a_method_does_something(method, option):
    changed = outcome(method, **{f"method_options__{option}": OPTIONS[option]})
    assert changed != usual(method)


def test_a_seed_repeats_the_outcome():
    """Without which the tests above could not fail."""
    assert outcome("idec") == usual("idec")
