"""The shared settings of estimators: refused by name, or made into those of the loop."""

import numpy as np
import pytest
import torch

from anabranch.procedures.optimisation import Optimisation

WRONG = [
    ("learning_rate", 0.0),
    ("learning_rate", "fast"),
    ("learning_rate", True),
    ("learning_rate", float("nan")),
    ("weight_decay", -1e-3),
    ("weight_decay", float("inf")),
    ("batch_size", 2.5),
    ("batch_size", 0),
    ("batch_size", True),
    ("max_epochs", 1.5),
    ("max_epochs", -1),
    ("max_epochs", float("nan")),
    ("patience", -1),
    ("patience", 0.5),
    ("patience", False),
    ("validation_fraction", 1.0),
    ("validation_fraction", 0),
    ("validation_fraction", "0.1"),
    ("keep", "first"),
    ("fit_options", [1]),
    ("device", "gpu"),
    ("device", "meta"),
    ("device", None),
    ("device", 0),
    ("random_state", "x"),
    ("random_state", -1),
    ("random_state", 2.5),
    ("random_state", True),
    ("verbose", "x"),
    ("verbose", -1),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_settings_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must .*got .*{value}"):
        Optimisation(**{name: value})


def test_unknown_options_of_the_loop_are_refused():
    with pytest.raises(ValueError, match="fit_options has no 'clip'"):
        Optimisation(fit_options={"clip": 1})


@pytest.mark.parametrize("seed", [None, 0, np.int64(3), np.random.RandomState(0), np.random])
def test_what_seeds_scikit_learn_is_taken(seed):
    assert Optimisation(random_state=seed).random_state is seed


def test_devices_may_be_objects():
    assert Optimisation(device=torch.device("cpu")).options(100).batch_size == 64


class Small:
    """An estimator with some of the settings."""

    def __init__(self, **params):
        self.params = params

    def get_params(self, deep=True):
        return self.params


def test_settings_are_read_from_an_estimator():
    estimator = Small(batch_size=np.int64(8), max_epochs=3, latent=2)
    optimisation = Optimisation.of(estimator)
    assert optimisation == Optimisation(batch_size=8, max_epochs=3)
    assert type(optimisation.batch_size) is int


def test_an_automatic_rate_is_for_those_who_understand_it():
    estimator = Small(learning_rate="auto")
    assert Optimisation.of(estimator, automatic_rate=True).rate(0.25) == 0.25
    with pytest.raises(ValueError, match="learning_rate must be a positive number, got 'auto'"):
        Optimisation.of(estimator)


def test_options_of_the_loop():
    optimisation = Optimisation(
        learning_rate=0.1,
        weight_decay=0.2,
        batch_size=500,
        max_epochs=7,
        patience=4,
        fit_options={"clip_norm": np.float64(2), "average": 0.5},
        verbose=1,
    )
    options = optimisation.options(400, average=0.9, monitor="nll")
    assert (options.learning_rate, options.weight_decay) == (0.1, 0.2)
    assert (options.batch_size, options.max_epochs, options.patience) == (100, 7, 4)
    assert (options.clip_norm, options.average, options.monitor) == (2.0, 0.5, "nll")
    assert type(options.clip_norm) is float
    assert options.progress is None
    assert Optimisation().options(400).progress is False
    assert optimisation.options(40, least_batch=16).batch_size == 16
    assert optimisation.options(40, learning_rate=0.3, patience=None).learning_rate == 0.3
