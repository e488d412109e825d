"""Every parameter of the estimators of flows and Gaussians does something, or a test here fails."""

import warnings
from functools import cache

import numpy as np
import pytest

from anabranch import RAD, FlowDensity, FlowGMM, FlowMixture, GaussianMixture
from tests.estimators.data import FLOW, bent, grouped, picture

X, Y = bent(200)
HALF = np.where(np.arange(200) < 40, Y, -1)
PIXELS, _ = picture(80)
VARIATIONAL = {"inference": "variational"}
NOISY = {"weight": 2.0}
AUTO = {"n_components": "auto", "max_components": 4, "flow": None}
# two Gaussians that overlap, which are two if components are cheap
_SHIFT = [4.0, 0.0] * (np.arange(600) % 2)[:, None]
COSTLY = {**AUTO, "max_components": 3, "max_epochs": 4, "component_cost": 1e-3}
COSTLY |= {"X": np.random.RandomState(0).randn(600, 2) + _SHIFT, "learning_rate": 0.01}
MANY = {"n_init": 3, "init_params": "random", "flow": None, "max_epochs": 0}
# a dict is what changes beside the option; what does it in each estimator: beside and value
SHARED = {
    "learning_rate": ({}, 1e-3),
    "batch_size": ({}, 20),
    "max_epochs": ({}, 1),
    # one epoch at such a rate is worse than the start
    "fit_options__keep": ({"max_epochs": 1, "learning_rate": 1.0}, "best"),
    "fit_options": ({}, {"average": 0.5}),
    "random_state": ({}, 1),
}
OF_FLOWS = {
    **SHARED,
    "n_components": ({}, 3),
    "flow": ({}, "maf"),
    "model_options": ({}, {"weights": "uniform"}),
    "model_options__posterior": (VARIATIONAL, {"name": "mlp", "hidden": [3]}),
    "model_options__trunk": ({}, FLOW),
    "model_options__weights": ({}, [0.9, 0.1]),
    "model_options__algorithm": ({}, "em"),
    "model_options__max_components": (AUTO, 1),
    "model_options__component_cost": (COSTLY, 0.3),
    "model_options__reg_covar": ({}, 0.5),
    "model_options__levels": ({}, 8),
    "model_options__logit_alpha": ({"levels": 8}, 0.2),
    "model_options__hedge": ({}, False),
    "model_options__contamination": ({}, 0.2),
    "covariance_type": ({"max_epochs": 0}, "spherical"),
    "init_params": ({"max_epochs": 0}, "random"),
    "start": ({"init_params": "auto"}, np.where(Y == 1, 0, 1)),
    "inference": ({}, "variational"),
    "temperature": (VARIATIONAL, {"decay": 0.5}),
    "temperature__decay": (VARIATIONAL, 0.5),
    "temperature__floor": ({**VARIATIONAL, "decay": 1.0}, 0.9),
    "temperature__unit": ({**VARIATIONAL, "decay": 0.1}, "epoch"),
    "consistency": (VARIATIONAL, {"weight": 2.0}),
    "consistency__weight": (VARIATIONAL, 2.0),
    "consistency__perturbation": ({**VARIATIONAL, **NOISY}, {"name": "noise", "scale": 2.0}),
    "consistency__balance": ({**VARIATIONAL, **NOISY}, 0.7),
    "consistency__steps": (
        {"inference": "invariant", "max_epochs": 1, "consistency": {"steps": 30}},
        20,
    ),
    "semi_supervised": ({"y": HALF}, {"label_weight": 9.0}),
    "semi_supervised__order": ({"y": HALF}, "alternate"),
    "semi_supervised__pretrain_epochs": ({"y": HALF}, 3),
    "semi_supervised__label_weight": ({"y": HALF}, 9.0),
    "n_init": ({**MANY, "n_init": 1, "random_state": 3}, 8),
    "columns": ({}, {1: ("circle", 9.0)}),
    "missing": ({}, "marginal"),
}
OF_DENSITIES = {
    **SHARED,
    "start": ({"twice": True}, "last"),
    "reg_covar": ({}, 0.5),
}
EFFECTS = {
    FlowMixture: OF_FLOWS,
    FlowGMM: {
        **{
            name: effect
            for name, effect in OF_FLOWS.items()
            if not name.startswith(("temperature", "inference", "consistency__"))
            and name not in ("columns", "missing")
            and name != "model_options__trunk"
        },
        "consistency": ({}, {"weight": 2.0}),
        "consistency__weight": ({}, 2.0),
        "consistency__perturbation": (NOISY, {"name": "noise", "scale": 2.0}),
        "means": ({}, {"start": "random"}),
        "means__start": ({}, "random"),
        "means__spread": ({"means": {"start": "random"}}, 9.0),
        "means__fixed": ({"X": bent(2000)[0]}, True),
        "model_options__posterior": ({"method": "network"}, {"name": "mlp", "hidden": [3]}),
        "model_options__max_components": ({**AUTO, "flow": FLOW}, 1),
        "model_options__component_cost": (COSTLY, 0.3),
    },
    FlowDensity: {
        **OF_DENSITIES,
        "flow": ({}, "maf"),
        "support": ({}, {0: (-9.0, 9.0)}),
        "n_init": ({"flow": FLOW}, 3),
        "levels": ({"X": PIXELS}, 9),
        "logit_alpha": ({"X": PIXELS, "levels": 8}, 0.2),
        "hedge": ({}, False),
    },
    RAD: {
        **OF_DENSITIES,
        "n_folds": ({}, 2),
        "fold": ({}, "tri"),
        "n_between": ({"n_folds": 2}, 1),
        "n_last": ({}, 2),
        "hidden": ({}, (3,)),
        "min_share": ({"n_folds": 3, "method": "exact"}, 0.4),
        "n_init": ({"random_state": 3}, 4),
        "reg_covar": ({"X": np.column_stack([X, np.zeros(200)])}, 0.5),
    },
    GaussianMixture: {
        "n_components": ({}, 3),
        "covariance_type": ({}, "diag"),
        "tol": ({"n_components": 4}, 1.0),
        "reg_covar": ({}, 0.5),
        "max_iter": ({"n_components": 4, "tol": 1.0}, 1),
        "n_init": ({"n_components": 4, "init_params": "random_from_data"}, 20),
        "init_params": ({"n_components": 4}, "random"),
        "weights_init": ({"max_iter": 1}, [0.9, 0.1]),
        "means_init": ({"max_iter": 1}, [[0.0, 0.0], [5.0, 5.0]]),
        "precisions_init": ({"max_iter": 1}, np.stack([np.eye(2), 9 * np.eye(2)])),
        "weight_concentration_prior": ({"n_components": 4}, 50.0),
        "covariance_prior": ({}, 5.0),
        "degrees_of_freedom_prior": ({"covariance_prior": 5.0}, 90.0),
        "max_components": ({"n_components": "auto"}, 1),
        "columns": ({}, {1: ("circle", 9.0)}),
        "missing": ({"tol": 0.0, "max_iter": 3}, "marginal"),
        "warm_start": ({"n_components": 4, "max_iter": 2, "twice": True}, True),
        "random_state": ({"n_components": 4, "init_params": "random_from_data"}, 1),
    },
}
# what shows in no number here, and where it is tested
ELSEWHERE = {
    "device": "test_optimisation.py, tests/cli",
    "verbose": "test_optimisation.py, test_gaussian_mixture.py",
    "verbose_interval": "test_gaussian_mixture.py",
    "model_options__local_dependence": "test_local_dependence.py; FlowGMM has no categories",
    "model_options__trunk": "below: the flow of a FlowGMM is its trunk",
}
# what a group or a recipe holds only where it is given
OPEN = ("flow__", "fit_options__")
CASES = [(kind, name) for kind, effects in EFFECTS.items() for name in effects]


def shown(kind, changes):
    """Numbers that a fit comes to."""
    changes = dict(changes)
    how = {name: changes.pop(name, None) for name in ("X", "y", "method", "twice")}
    levels = changes.get("levels") or (changes.get("model_options") or {}).get("levels")
    rows = how["X"] if how["X"] is not None else PIXELS if levels else X
    settings = {"random_state": 0}
    if kind is not GaussianMixture:
        # not the Gaussian that a flow may give way to
        settings |= {"max_epochs": 3, "batch_size": 50, "learning_rate": 0.02}
        options = {"keep": "last", **(changes.get("fit_options") or {})}
        changes["fit_options"] = options
    if kind not in (FlowDensity, RAD):
        settings["n_components"] = 2
    if kind in (FlowMixture, FlowGMM):
        settings |= {"flow": FLOW, "init_params": "kmeans", "covariance_type": "full"}
        changes = grouped(kind, {**settings, **changes})
    given = {} if how["y"] is None else {"y": how["y"]}
    model = kind(**{**settings, **changes})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # too few steps are meant
        model.fit(rows, **given)
        if how["twice"]:
            model.fit(rows)
    found = [model.score_samples(rows[:20]), [model.n_iter_]]
    if kind in (FlowMixture, FlowGMM):
        found.append(model.predict_proba(rows[:20], method="network").ravel())
    elif kind is not FlowDensity:
        found.append(model.predict_proba(rows[:20]).ravel())
    return np.concatenate(found)


@cache
def usual(kind):
    """What a fit comes to with nothing set."""
    return shown(kind, {})


@pytest.mark.parametrize("kind", EFFECTS, ids=lambda kind: kind.__name__)
def test_no_option_is_without_a_test(kind):
    names = {name for name in kind().get_params() if not name.startswith(OPEN)}
    tested = {name for name in EFFECTS[kind] if not name.startswith(OPEN)}
    assert names == tested | (names & set(ELSEWHERE))


@pytest.mark.parametrize(
    ("kind", "name"), CASES, ids=[f"{kind.__name__}-{name}" for kind, name in CASES]
)
def test_an_option_does_something(kind, name):
    beside, value = EFFECTS[kind][name]
    group, _, key = name.partition("__")
    before = shown(kind, beside) if beside else usual(kind)
    within = {**beside.get(group, {}), key: value} if key else value
    after = shown(kind, {**beside, group: within})
    assert before.shape != after.shape or not np.array_equal(before, after)


def test_a_flow_gmm_has_no_other_trunk():
    with pytest.raises(ValueError, match=r"model_options\.trunk is for FlowMixture"):
        FlowGMM(2, model_options={"trunk": FLOW}).fit(X)


@pytest.mark.parametrize("name", ["balance", "steps"])
def test_pseudo_labels_have_no_balance(name):
    with pytest.raises(ValueError, match=f"consistency has no '{name}'"):
        FlowGMM(2, consistency={name: 1}).fit(X)


@pytest.mark.parametrize("kind", [FlowMixture, FlowGMM], ids=lambda kind: kind.__name__)
def test_few_keywords(kind):
    assert len(kind().get_params(deep=False)) <= 20


# --- what flows alone share ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FlowDensity, RAD], ids=lambda kind: kind.__name__)
def test_a_fit_goes_on_where_another_one_ended(kind):
    settings = {"max_epochs": 2, "fit_options": {"keep": "last"}, "random_state": 0}
    first = kind(**settings).fit(X)
    scores = first.score_samples(X)
    again = kind(**settings | {"max_epochs": 0}, start=first).fit(X + 100)
    assert again.score_samples(X) == pytest.approx(scores), "with its preparation"
    assert again.model_ is not first.model_
    further = kind(**settings, start="last")
    assert further.fit(X).score_samples(X) == pytest.approx(scores), "there is none before"
    assert (further.fit(X).score_samples(X) != scores).any()
    assert (first.score_samples(X) == scores).all(), "it is left alone"


@pytest.mark.parametrize("kind", [FlowDensity, RAD], ids=lambda kind: kind.__name__)
def test_a_start_that_is_none_is_refused(kind):
    for start in ("first", Y, FlowMixture(2)):
        with pytest.raises(ValueError, match=f"start must be a fitted {kind.__name__}, 'last' or"):
            kind(start=start).fit(X)
    with pytest.raises(ValueError, match="not fitted"):
        kind(start=kind()).fit(X)
    other = kind(max_epochs=0).fit(X)
    changed = {"flow": "maf"} if kind is FlowDensity else {"n_last": 1}
    with pytest.raises(ValueError, match=f"a model that differs in {next(iter(changed))}"):
        kind(start=other, **changed).fit(X)


@pytest.mark.parametrize("kind", [FlowDensity, RAD], ids=lambda kind: kind.__name__)
def test_settings_of_training_stood_alone(kind):
    with pytest.warns(FutureWarning, match=r"is now fit_options=\{'patience': 3\}"):
        estimator = kind(patience=3)
    assert estimator.fit_options == {"patience": 3}
