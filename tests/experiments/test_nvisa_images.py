"""NVISA on images, in small."""

import numpy as np
import pytest

from anabranch.experiments import Run, image_data, nvisa_half, nvisa_images

from .test_vmonf_mnist import bars

SMALL = {
    "cpu": {
        "rows": 300,
        "pure": {"start__epochs": 5, "max_epochs": 2},
        "consistent": {
            "start__name": "invariant",
            "consistency__steps": 150,
            "model_options__classifier": {"name": "mlp", "hidden": [32]},
            "consistency__perturbation": {
                "name": "affine",
                "image_shape": [8, 8],
                "rotation": 0.1,
                "shift": 0.05,
            },
            "start__epochs": 5,
            "max_epochs": 2,
        },
    }
}


@pytest.fixture(scope="module")
def outcome():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nvisa_images, "K", 3)
        patch.setattr(nvisa_images, "BUDGETS", SMALL)
        patch.setattr(nvisa_images, "SHARED", {"levels": 256, "hidden": [32], "schedule": {}})
        for name, rows in (("SCORED_ROWS", 40), ("MAPPED_ROWS", 60), ("PRIOR_DRAWS", 30)):
            patch.setattr(nvisa_images, name, rows)
        parts = {"train": bars(1500, 0), "t10k": bars(200, 1)}
        patch.setattr(nvisa_images, "images", lambda run, folder, part: parts[part])
        task = nvisa_images.MNIST._replace(latent=3, target=0.9)
        yield nvisa_images.nvisa_images(Run(seeds=(100,)), task)


def test_it_runs_in_small(outcome):
    figures = {figure.name: figure for figure in outcome.figures}
    values = {name: figure.value for name, figure in figures.items()}
    assert figures["test ACC, NVISA with consistency"].met
    start = values["train ACC, autoencoder + Gaussian mixture, the start of NVISA"]
    gain = values["train ACC of NVISA less that of its start"]
    assert values["train ACC, NVISA"] == pytest.approx(start + gain)
    assert 3 < values["with consistency: bits/dim, bound"] < 12
    assert values["test ACC of its p(y|x) by importance sampling"] > 0.5


def test_the_counts_of_the_matched_clusters_are_on_the_diagonal(outcome):
    lines = outcome.table.split("\n\n")[1].splitlines()
    counts = np.array([[int(n) for n in line.split()[1:]] for line in lines[1:]])
    assert counts.sum() == 200
    assert np.trace(counts) > 180


def test_pictures_are_drawn(outcome):
    names = {"samples.png", "samples-pure.png", "latent.png", "loss.png"}
    assert set(outcome.pictures) == names
    assert all(picture.startswith(b"\x89PNG") for picture in outcome.pictures.values())


def test_the_images_have_to_be_there():
    with pytest.raises(FileNotFoundError, match="give the folder of the data sets by --data"):
        image_data.images(Run(seeds=(0,)), "mnist", "train")


@pytest.mark.parametrize("broken", [False, True])
def test_half_precision_is_compared_on_the_same_rows(monkeypatch, broken):
    rows = bars(250, 0)
    monkeypatch.setattr(nvisa_half, "images", lambda run, folder, part: rows)
    monkeypatch.setattr(nvisa_half, "K", 3)
    monkeypatch.setattr(nvisa_half, "ROWS", {"cpu": 200})
    monkeypatch.setattr(nvisa_half, "SCORED_ROWS", 50)
    small = {"levels": 256, "hidden": [32], "start__epochs": 2, "max_epochs": 2}
    monkeypatch.setattr(nvisa_half, "SETTINGS", {**small, "schedule__std_first": 0.1})
    if broken:  # half precision that learns other things
        fit = nvisa_half._fit
        other = lambda X, seed, how: fit(X, seed + len(how), how)  # noqa: E731
        monkeypatch.setattr(nvisa_half, "_fit", other)
    outcome = nvisa_half.nvisa_half(Run(seeds=(100, 101)))
    values = {figure.name: figure.value for figure in outcome.figures}
    rows = np.array([line.split() for line in outcome.table.splitlines()[1:]], float)
    apart = rows[:, 2] / rows[:, 1] - 1
    worst = values["largest difference of the bound, relative"]
    assert worst == pytest.approx(abs(apart).max(), abs=1e-5)
    assert (worst < 0.02) is not broken
    mean = values["mean over seeds of the same, with its sign"]
    assert mean == pytest.approx(apart.mean(), abs=1e-5)
    assert (values["largest difference of float32 by other kernels"] < 0.01) is not broken
    lost = (rows[:, 4] - rows[:, 5]).mean()
    assert values["mean loss of log p(x) by the weights, nats"] == pytest.approx(lost, abs=2e-3)
