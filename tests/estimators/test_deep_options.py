"""Every option of a `DeepMixture` does something: one without a line here fails."""

import functools

import numpy as np
import pytest

from anabranch import DeepMixture
from anabranch.estimators.deep_plan import DeepPlan
from anabranch.estimators.groups import defaults
from anabranch.objectives.mixture_bounds import BOUNDS, check_bound
from anabranch.procedures.nvisa_options import BESIDE_THE_BOUND, Start

X = np.random.RandomState(0).randn(60, 6) + 3.0 * (np.arange(60) % 3)[:, None]
LABELS = np.where(np.arange(60) < 9, np.arange(60) % 3, -1)
BASE = {"n_components": 3, "latent": 2, "hidden": (4,), "max_epochs": 2, "random_state": 0}
BASE |= {"start": {"name": "autoencoder", "epochs": 1}}
RANDOM = {"start": "random"}
STEADY = {"consistency": {"weight": 1.0, "perturbation": "noise", "balance": 0.1}}
INVARIANT = {"start__name": "invariant", "consistency__steps": 2}
# of each option, a value that is not its default, and what is set beside it in both fits
OPTIONS = {
    "n_components": (2, {}),
    "latent": (3, {}),
    "hidden": ((5,), {}),
    "network": ({"name": "mlp", "hidden": [5]}, {}),
    "levels": (16, {}),
    "model_options": ({"activation": "tanh"}, {}),
    "model_options__likelihood": ("bernoulli", {}),
    "model_options__prior": ({"name": "maf", "n_layers": 1, "hidden": [3]}, RANDOM),
    "model_options__posterior": ("mean_field", {}),
    "model_options__classifier": ({"name": "mlp", "hidden": [3]}, {}),
    "model_options__activation": ("tanh", {}),
    "model_options__reg_covar": (0.1, {}),
    "objective": ("iwae", {}),
    "objective__name": ("enumerate", {}),
    "objective__samples": (3, {}),
    "objective__reparameterized": (True, {}),
    "objective__temperature": (2.0, {"objective": {"name": "gumbel", "samples": 2}}),
    "objective__baseline": ([], {"objective": {"name": "nvil"}}),
    "objective__label_weight": (5.0, {}),
    "objective__score_samples": (3, {}),
    "consistency": ({"weight": 2.0}, {}),
    "consistency__weight": (2.0, STEADY),
    "consistency__perturbation": ({"name": "noise", "scale": 1.0}, STEADY),
    "consistency__balance": (0.5, STEADY),
    "consistency__inference": ("invariant", STEADY),
    "consistency__steps": (4, INVARIANT),
    "schedule": ({"std_last": 0.2}, {}),
    "schedule__std_first": (0.5, {}),
    "schedule__std_last": (0.05, {}),
    "schedule__std_share": (0.3, {**RANDOM, "max_epochs": 10}),
    "schedule__rate_halvings": (0, {}),
    "schedule__half_precision": (True, {"max_epochs": 5}),
    "start": ("random", {"start": {"name": "autoencoder"}, "max_epochs": 1}),
    "start__name": ("random", STEADY),
    "start__epochs": (3, {}),
    "start__clusters": (np.arange(60) % 3, {}),
    "n_init": (2, {}),
    "fit_options__keep": ("last", {"learning_rate": 1.0, "max_epochs": 4}),
    "learning_rate": (1e-2, {}),
    "batch_size": (8, RANDOM),
    "max_epochs": (3, {}),
    "validation_fraction": (0.3, {}),
    "fit_options": ({"weight_decay": 0.5}, {}),
    "device": ("meta", {}),
    "random_state": (1, {}),
    "verbose": (1, {}),
}


def of_bounds():
    """All that a bound takes."""
    return {key for name in BOUNDS for key in keywords(name)} | {"name", *BESIDE_THE_BOUND}


def keywords(name):
    found = []
    for key in ("samples", "reparameterized", "temperature", "baseline", "speed"):
        try:
            found += check_bound({"name": name, key: None})[1]
        except TypeError:
            continue
    return found


def test_no_option_is_left_out():
    inside = {f"objective__{key}" for key in of_bounds()}
    inside |= {f"start__{key}" for key in defaults(Start)}
    # a network's keywords are those of `make_coders`, and fit_options those of the loop
    known = set(DeepMixture().get_params()) - {"network__name"}
    assert set(OPTIONS) - {"fit_options__keep"} == known | inside


@functools.cache
def outcome(name, changed):
    """All that can be seen of a fit: its plan, its bits, or why there is none."""
    value, beside = OPTIONS[name]
    model = DeepMixture(**{**BASE, "objective": {"name": "vimco", "score_samples": 2}})
    model.set_params(**{key: v for key, v in beside.items() if "__" not in key})
    model.set_params(**{key: v for key, v in beside.items() if "__" in key})
    if changed:
        model.set_params(**{name: value})
    # shares of sixteen levels, one of which is in all rows
    rows = np.clip(np.round(4 + X), 0, 15) / (1 if model.levels else 15)
    rows[:, 5] = 0
    try:
        model.fit(rows, LABELS)
    except ValueError as error:
        return str(error)
    told = model.fit_result_
    progress = DeepPlan.of(model).options(60).progress
    return str((told.history, told.stages, model.score_samples(rows).tolist(), progress))


@pytest.mark.filterwarnings("ignore")  # of settings that go unused, and of a constant column
@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_does_something(name):
    assert outcome(name, True) != outcome(name, False)


@pytest.mark.filterwarnings("ignore")
def test_the_same_fit_again_is_the_same():
    again = outcome.__wrapped__  # not from the cache: else all would seem to differ
    assert again("learning_rate", False) == again("learning_rate", False)
