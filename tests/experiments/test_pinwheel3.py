"""The training animation in small."""

import io

import pytest
from PIL import Image

from anabranch.experiments import Run, list_experiments, pinwheel3
from anabranch.metrics import clustering_accuracy


@pytest.fixture
def small(monkeypatch):
    for name, value in {"WING": 40, "HELD_OUT": 200, "EPOCHS": 4, "SNAPSHOTS": 3}.items():
        monkeypatch.setattr(pinwheel3, name, value)
    ours = pinwheel3.our_fit
    monkeypatch.setattr(pinwheel3, "our_fit", lambda X, seed: ours(X, seed, max_epochs=4))


def test_it_is_registered():
    assert "vmonf-pinwheel3-animation" in list_experiments()


@pytest.mark.slow
def test_both_animations_and_the_figures(small):
    outcome = pinwheel3.pinwheel3(Run(seeds=(3,)))
    assert sorted(outcome.pictures) == ["ours.gif", "thesis.gif"]
    for content in outcome.pictures.values():
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "GIF"
            assert 2 <= image.n_frames <= 4
    assert len(outcome.figures) == 5
    assert "ours acc q" in outcome.table


def test_the_thesis_start_knows_nothing_of_the_wings(small):
    X, y = pinwheel3.PROBLEM.sample_per_component(200, random_state=0)
    mixture = pinwheel3.thesis_fit(X, 0)
    first, last = mixture.snapshots_[0][1], mixture.snapshots_[-1][1]
    model = mixture.model_
    model.load_state_dict(first)
    joint = model.mixture.joint_log_prob(mixture.preparation_.encode(X)[0])
    # three times the same Gaussian
    assert (joint - joint[0]).abs().max() < 1e-5
    model.load_state_dict(last)
    assert clustering_accuracy(y, mixture.predict(X)) < 0.99
