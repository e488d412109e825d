"""Snapshots of an estimator's training, and in its file."""

import pytest
import torch

from anabranch import load, save
from tests.estimators.data import bent, moved

X, _ = bent()


@pytest.fixture(scope="module")
def mixture():
    return moved(max_epochs=6, snapshots=4, fit_options={"min_evaluation_steps": 1}).fit(X)


def test_they_come_back_from_a_file_with_the_same_bits(tmp_path, mixture):
    assert 2 < len(mixture.snapshots_) <= 4
    save(mixture, tmp_path / "model")
    loaded = load(tmp_path / "model").snapshots_
    assert [step for step, _ in loaded] == [step for step, _ in mixture.snapshots_]
    for (_, own), (_, other) in zip(mixture.snapshots_, loaded, strict=True):
        assert own.keys() == other.keys() == mixture.model_.state_dict().keys()
        assert all(torch.equal(own[name], other[name]) for name in own)


def test_none_are_kept_unless_asked_for():
    assert moved(max_epochs=2).fit(X).snapshots_ == []


def test_they_change_nothing(mixture):
    plain = moved(max_epochs=6, fit_options={"min_evaluation_steps": 1}).fit(X)
    assert (plain.score_samples(X) == mixture.score_samples(X)).all()
