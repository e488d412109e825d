"""The estimator of the lossless coder."""

import numpy as np
import pytest

from anabranch import Coder, load, save
from anabranch.coding import CompressedFileError
from anabranch.estimators.coder import RoundingWarning
from tests.coding.models import images

X = images((6, 6), 16, n=80).reshape(80, 36)
QUICK = {"levels": 16, "n_neighbours": 8, "hidden": (16,), "max_epochs": 3, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return Coder(**QUICK).fit(X)


def test_it_learns_and_codes_what_it_says(fitted):
    bits = -fitted.score_samples(X) / np.log(2)
    assert bits.mean() < 0.9 * 4 * 36
    assert 8 * len(fitted.compress(X)) < bits.sum() + 8 * 400
    assert abs(fitted.rounding_) < 0.01


@pytest.mark.parametrize("shape", [(80, 36), (80, 6, 6), (10, 12, 24)])
def test_shapes_and_dtypes_come_back(fitted, shape):
    array = X.astype(">i8").reshape(shape)
    again = fitted.decompress(fitted.compress(array))
    assert (again.shape, again.dtype) == (array.shape, array.dtype)
    assert again.tobytes() == array.tobytes()


def test_a_loaded_one_reads_what_was_written(fitted, tmp_path):
    save(fitted, tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.integer_.sha256 == fitted.integer_.sha256
    assert np.array_equal(again.decompress(fitted.compress(X)), X)
    assert np.array_equal(again.score_samples(X), fitted.score_samples(X))
    with pytest.raises(CompressedFileError, match="model"):
        Coder(**QUICK | {"random_state": 1}).fit(X).decompress(fitted.compress(X))


def test_samples_are_images(fitted):
    draws = fitted.sample(5, random_state=1)
    assert draws.shape == (5, 36)
    assert ((draws >= 0) & (draws < 16) & (draws == draws.round())).all()
    assert np.array_equal(draws, fitted.sample(5, random_state=1))


@pytest.mark.parametrize(
    "change",
    [
        {"image_shape": (4, 9)},
        {"levels": 17},
        {"n_neighbours": 4},
        {"hidden": (8,)},
        {"n_mirrored": 2},
        {"learning_rate": 1e-3},
        {"batch_size": 10},
        {"max_epochs": 1},
        {"fit_options": {"average": 0.5}},
        {"fit_options": {"validation_fraction": 0.5}},
        {"random_state": 1},
    ],
)
def test_every_setting_does_something(fitted, change):
    assert not np.array_equal(
        Coder(**QUICK | change).fit(X).score_samples(X), fitted.score_samples(X)
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"levels": 300}, "levels"),
        ({"levels": 1}, "levels"),
        ({"levels": 8}, "levels|0..7"),
        ({"image_shape": (5, 5)}, "image_shape"),
        ({"hidden": 3}, "hidden"),
        ({"n_neighbours": 0}, "n_neighbours"),
        ({"n_mirrored": -1}, "n_mirrored"),
        ({"learning_rate": 0}, "learning_rate"),
    ],
)
def test_wrong_settings_are_refused_by_name(change, reason):
    with pytest.raises(ValueError, match=reason):
        Coder(**QUICK | change).fit(X)


def test_a_costly_rounding_is_said(monkeypatch):
    monkeypatch.setattr("anabranch.estimators.coder.MOST_LOSS", -1.0)
    with pytest.warns(RoundingWarning, match="longer"):
        Coder(**QUICK).fit(X)


def test_a_fit_goes_on_from_its_checkpoint(fitted, tmp_path):
    options = {"checkpoint": str(tmp_path / "c")}
    Coder(**QUICK | {"fit_options": options}).fit(X)
    again = Coder(**QUICK | {"fit_options": options}).fit(X, resume=True)
    assert again.integer_.sha256 == fitted.integer_.sha256
