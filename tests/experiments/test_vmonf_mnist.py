"""The images experiment, in small."""

import numpy as np
import pytest

from anabranch.experiments import Run, vmonf_mnist

FLOWS = {
    "flow": {"name": "maf", "n_layers": 1, "hidden": [8]},
    "max_epochs": 2,
    "batch_size": 100,
}
INVARIANT = {
    "inference": "invariant",
    "model_options": {"levels": 256, "posterior": {"name": "mlp", "hidden": [32]}},
    "consistency": {
        "perturbation": {"name": "affine", "image_shape": [8, 8], "rotation": 0.1, "shift": 0.05},
        "steps": 150,
    },
}
BARS = {1: (slice(None), slice(4, 6)), 2: (slice(6, 8), slice(None))}


def bars(n, seed):
    """8 x 8 bytes: a bright bar in the left, the middle or the lower part."""
    random_state = np.random.RandomState(seed)
    y = random_state.randint(3, size=n)
    X = random_state.randint(40, size=(n, 8, 8))
    for image, kind in zip(X, y, strict=True):
        image[(slice(None), slice(0, 2)) if kind == 0 else BARS[kind]] += 200
    return X.reshape(n, 64).astype(np.float64), y


@pytest.fixture
def small(monkeypatch):
    tasks = (
        vmonf_mnist.Task("MNIST 0-4", "bars", 3, 0.9, FLOWS),
        vmonf_mnist.Task("MNIST", "bars", 3, 0.9, vmonf_mnist.GAUSSIANS),
    )
    monkeypatch.setattr(vmonf_mnist, "TASKS", tasks)
    monkeypatch.setattr(vmonf_mnist, "FLOWS", FLOWS)
    monkeypatch.setattr(vmonf_mnist, "INVARIANT", INVARIANT)
    monkeypatch.setattr(vmonf_mnist, "BASELINE_COLUMNS", 5)
    parts = {"train": bars(1500, 0), "t10k": bars(200, 1)}
    monkeypatch.setattr(vmonf_mnist, "images", lambda run, folder, part, n_classes: parts[part])


@pytest.mark.slow
def test_it_runs_in_small(small):
    outcome = vmonf_mnist.vmonf_mnist(Run(seeds=(0,)))
    values = {figure.name: figure for figure in outcome.figures}
    assert values["MNIST 0-4: ACC q(c|x)"].met
    assert values["MNIST: ACC q(c|x)"].met
    assert 4 < values["MNIST 0-4: bits/dim"].value < 8
    assert 0.9 < values["MNIST 0-4: bits/dim over those of flows given labels"].value < 1.1
    assert outcome.pictures["samples.png"].startswith(b"\x89PNG")
    assert "c2" in outcome.table
