"""Columns by name: dicts of arrays, and tables and batches of Arrow's; and threads that score."""

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from anabranch import FlowMixture, GaussianMixture

frame = pd.DataFrame(np.random.RandomState(0).randn(60, 3), columns=list("abc"))
GIVEN = {
    "dict": lambda frame: {name: frame[name].to_numpy() for name in frame},
    "lists": lambda frame: {name: frame[name].tolist() for name in frame},
    "batch": pa.RecordBatch.from_pandas,
    "table": pa.Table.from_pandas,
}


MIXTURES = {
    "FlowMixture": partial(FlowMixture, 2, max_epochs=1, random_state=0),
    "GaussianMixture": partial(GaussianMixture, 2, random_state=0),
}


@pytest.fixture(scope="module", params=MIXTURES)
def mixture(request):
    return MIXTURES[request.param]().fit(frame)


@pytest.mark.parametrize("kind", GIVEN)
def test_columns_are_found_by_name(mixture, kind):
    given = GIVEN[kind](frame)
    assert (mixture.score_samples(given) == mixture.score_samples(frame)).all()
    assert (mixture.predict(X=given) == mixture.predict(frame)).all()
    again = MIXTURES[type(mixture).__name__]().fit(given)
    assert again.feature_names_in_.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("kind", GIVEN)
def test_other_names_and_orders_are_refused(mixture, kind):
    for names in (list("cba"), list("abd")):
        given = GIVEN[kind](frame.set_axis(names, axis=1))
        with pytest.raises(ValueError, match="feature names should match"):
            mixture.score_samples(given)


def test_columns_of_unlike_lengths_are_refused(mixture):
    with pytest.raises(ValueError, match="same length"):
        mixture.score_samples({"a": [1.0], "b": [1.0, 2.0], "c": [1.0, 2.0]})


def test_small_models_score_on_one_thread(monkeypatch):
    mixture = FlowMixture(2, max_epochs=1, random_state=0).fit(frame)
    seen, joint = [], mixture._joint

    def watched(z):
        seen.append(torch.get_num_threads())
        return joint(z)

    monkeypatch.setattr(mixture, "_joint", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        mixture.score_samples(frame)
        assert torch.get_num_threads() == 2, "and others have theirs back"
    finally:
        torch.set_num_threads(before)
    assert seen == [1]
