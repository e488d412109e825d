"""What every estimator says of itself: facts, settings, and a state that it comes back from."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from anabranch import (
    RAD,
    Coder,
    DeepClustering,
    DeepMixture,
    FlowDensity,
    FlowGMM,
    FlowMixture,
    FlowVAE,
    GaussianMixture,
    NeuralPosterior,
    PixelDensity,
)
from anabranch.estimators.density import DensityEstimator
from anabranch.estimators.files import ESTIMATORS
from tests.estimators.data import blobs

X, LABELS = blobs(60)
FRAME = pd.DataFrame(X, columns=["width", "height"])
LEVELS = FRAME.round().clip(-8, 7) + 8
FLOW = {"name": "realnvp", "n_layers": 1, "hidden": [4]}
QUICK = {"max_epochs": 1, "random_state": 0}
DEEP = {"latent": 2, "hidden": (4,), **QUICK}
# estimators, and what their fit is given beside the rows
CASES = {
    "gaussian": (GaussianMixture(3, random_state=0), {}),
    "auto": (GaussianMixture("auto", max_components=4, random_state=0), {}),
    "mixture": (FlowMixture(3, flow=FLOW, fit_options={"snapshots": 1}, **QUICK), {}),
    "variational": (FlowMixture(3, flow=FLOW, inference="variational", **QUICK), {}),
    "gmm": (FlowGMM(3, flow=FLOW, **QUICK), {}),
    "density": (FlowDensity(FLOW, support={"width": [-50, 50]}, **QUICK), {}),
    "conditional": (FlowDensity(FLOW, **QUICK), {"context": pd.DataFrame({"kind": LABELS})}),
    "posterior": (NeuralPosterior(FLOW, **QUICK), {"context": pd.DataFrame({"kind": LABELS})}),
    "rad": (RAD(n_folds=1, n_between=1, n_last=1, hidden=(4,), **QUICK), {}),
    "coder": (Coder(levels=16, n_neighbours=2, hidden=(4,), **QUICK), {}),
    "pixels": (
        PixelDensity({"name": "row_lstm", "channels": 4, "n_layers": 1}, levels=16, **QUICK),
        {"context": pd.DataFrame({"kind": LABELS})},
    ),
    "vae": (FlowVAE(2, hidden=(4,), **QUICK), {}),
    "deep": (DeepMixture(3, start={"epochs": 1}, **DEEP), {}),
    "random": (DeepMixture(3, start="random", **DEEP), {}),
    "idec": (DeepClustering(3, pretrain={"epochs": 1}, **DEEP), {}),
    "ae+gmm": (DeepClustering(3, method="ae+gmm", pretrain={"epochs": 1}, **DEEP), {}),
    "ltvae": (DeepClustering(3, method="ltvae", pretrain={"epochs": 1}, **DEEP), {}),
}


def frame(case):
    """The rows of a case: some take whole numbers."""
    return LEVELS if case in ("coder", "pixels") else FRAME


@pytest.fixture(scope="module")
def fitted():
    """Each case, fitted once."""
    done = {}

    def fit(case):
        if case not in done:
            estimator, given = CASES[case]
            done[case] = clone(estimator).fit(frame(case), **given), given
        return done[case]

    return fit


def test_every_estimator_that_has_files_is_asked():
    assert {type(estimator) for estimator, _ in CASES.values()} == set(ESTIMATORS.values())
    assert all(name == cls.__name__ for name, cls in ESTIMATORS.items())


@pytest.mark.parametrize("case", CASES)
def test_from_its_state_it_answers_with_the_same_bits(fitted, case):
    estimator, given = fitted(case)
    # as a file would give them
    settings = json.loads(json.dumps(estimator.settings()))
    again = type(estimator).from_state(settings, estimator.state())
    assert type(again) is type(estimator)
    assert again.column_names == ["width", "height"]
    if estimator.score_kind != "none":
        ours, theirs = (e.score_samples(frame(case), **given) for e in (again, estimator))
        assert (ours == theirs).all()
    if estimator.has_clusters:
        assert (again.predict_proba(FRAME) == estimator.predict_proba(FRAME)).all()
    if estimator.has_facets:
        assert (again.predict_facets(FRAME) == estimator.predict_facets(FRAME)).all()
    known = {key: value for key, value in estimator.facts().items() if key != "sizes"}
    assert {key: value for key, value in again.facts().items() if key != "sizes"} == known
    assert again.settings() == estimator.settings()


@pytest.mark.parametrize("case", CASES)
def test_the_state_holds_all_attributes_of_a_fit(fitted, case):
    """But for those that the docstring says are in no file."""
    estimator, _ = fitted(case)
    again = type(estimator).from_state(estimator.settings(), estimator.state())
    missing = set(vars(estimator)) - set(vars(again))
    # of the rows of the fit, which no file holds
    assert missing <= (
        {"labels_", "start_labels_"} if case in ("idec", "ae+gmm", "ltvae") else set()
    )
    for name in ("weights_", "lower_bound_", "converged_", "n_iter_", "history_", "codes_"):
        if name in vars(estimator):
            assert str(getattr(again, name)) == str(getattr(estimator, name)), name


@pytest.mark.parametrize("case", CASES)
def test_facts_and_settings_are_json(fitted, case):
    estimator, _ = fitted(case)
    facts = estimator.facts()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    settings = estimator.settings()
    assert json.loads(json.dumps(settings, allow_nan=False)) == settings
    assert set(settings) == set(estimator.get_params(deep=False))
    assert (facts["estimator"], facts["columns"]) == (type(estimator).__name__, 2)
    assert ("components" in facts) == estimator.has_clusters
    if estimator.fitted_attribute == "model_":
        size = sum(parameter.numel() for parameter in estimator.model_.parameters())
        assert facts["parameters"] == size
        assert facts["epochs"] == estimator.n_iter_


@pytest.mark.parametrize("case", CASES)
def test_what_it_says_it_can_do_it_does(fitted, case):
    estimator, given = fitted(case)
    assert estimator.has_clusters == hasattr(estimator, "predict_proba")
    assert (estimator.score_kind != "none") == hasattr(estimator, "score_samples")
    assert (estimator.components != "none") == ("n_components" in estimator.get_params())
    assert (estimator.context_size, estimator.context_names) == (
        (1, ["kind"]) if given else (0, None)
    )
    for method in estimator.posteriors:
        assert estimator.predict_proba(FRAME, method=method).shape == (60, estimator.n_components_)
    if issubclass(type(estimator), DensityEstimator) and "network" not in estimator.posteriors:
        with pytest.raises((ValueError, TypeError)):
            getattr(estimator, "predict_proba", int)(FRAME, method="network")
    if (start := estimator.started_from) is not None:
        rows, clusters = start
        assert len(rows) == len(clusters) == len(np.unique(rows))
        assert clusters.max() < estimator.n_components_
    assert (start is None) == (case not in ("deep", "idec", "ae+gmm", "ltvae"))


@pytest.mark.filterwarnings("ignore:all rows have labels, but none is of component 2")
@pytest.mark.parametrize("case", [case for case in CASES if CASES[case][0].takes_labels])
def test_labels_teach_those_that_take_them(case):
    """Two groups of rows under one label: without labels nobody would put them together."""
    estimator = clone(CASES[case][0])
    if estimator.components == "searched" and estimator.n_components == "auto":
        with pytest.raises(ValueError, match="auto"):
            estimator.fit(FRAME, LABELS)
        return
    taught = clone(estimator).fit(FRAME, np.where(LABELS == 2, 0, LABELS))
    alone = clone(estimator).fit(FRAME)
    assert not np.allclose(taught.predict_proba(FRAME), alone.predict_proba(FRAME))


def test_unfitted_ones_say_so():
    for estimator in ESTIMATORS.values():
        with pytest.raises(NotFittedError):
            check_is_fitted(estimator())


def test_settings_leave_out_what_says_nothing_of_the_model():
    options = {"checkpoint": Path("a/place"), "clip_norm": 1.0}
    mixture = FlowMixture(fit_options=options, random_state=np.random.RandomState(0))
    assert mixture.settings()["fit_options"] == {"clip_norm": 1.0}
    assert mixture.settings()["random_state"] is None
    assert FlowMixture(fit_options={"checkpoint": "p"}).settings()["fit_options"] is None
    assert mixture.fit_options == options
    weighted = FlowMixture(model_options={"weights": np.array([0.5, 0.5])})
    assert weighted.settings()["model_options"] == {"weights": [0.5, 0.5]}
    assert DeepClustering(start=DeepClustering()).settings()["start"] is None


def test_a_state_on_another_device_comes_back_on_the_cpu(fitted):
    mixture, _ = fitted("mixture")
    again = FlowMixture.from_state({**mixture.settings(), "device": "meta"}, mixture.state())
    assert again.device == "cpu"
    assert {p.device for p in again.model_.parameters()} == {torch.device("cpu")}


def test_checkpoints_are_found(tmp_path):
    path = tmp_path / "c"
    for cls in ESTIMATORS.values():
        assert cls.checkpoint_files(path) == []
    path.touch()
    assert FlowMixture.checkpoint_files(path) == [path]
    assert DeepMixture.checkpoint_files(path) == []
    stage = tmp_path / "c.autoencoder-0"
    stage.touch()
    assert DeepMixture.checkpoint_files(path) == DeepClustering.checkpoint_files(path) == [stage]


@pytest.mark.parametrize("case", ["mixture", "deep", "idec"])
def test_a_fit_that_keeps_its_checkpoint_ends_with_the_same_bits(fitted, case, tmp_path):
    path = tmp_path / "c"
    estimator = clone(CASES[case][0]).set_params(fit_options={"checkpoint": str(path)})
    estimator.fit_keeping_checkpoint(FRAME)
    files = estimator.checkpoint_files(path)
    assert files == sorted(tmp_path.iterdir())
    assert files
    expected = fitted(case)[0].predict_proba(FRAME)
    assert (estimator.predict_proba(FRAME) == expected).all()
    again = clone(estimator).fit_keeping_checkpoint(FRAME, resume=True)
    assert (again.predict_proba(FRAME) == expected).all()
