"""PixelDensity: what it learns, draws and completes; its options; what it refuses."""

import warnings

import numpy as np
import pytest
import torch

from anabranch import PixelDensity, load, save
from anabranch.estimators.column_warnings import ConstantColumnWarning

TINY = {"name": "gated_pixelcnn", "channels": 6, "n_layers": 2, "first_kernel": 3}
QUICK = {"image_shape": (2, 3), "levels": 3, "max_epochs": 3, "batch_size": 20, "random_state": 0}

# one epoch at such a rate is worse than the start
WORSE = {"max_epochs": 1, "learning_rate": 10.0}


def stripes(n, seed=0):
    """Two rows of three pixels that are all 0, or all 2: one bit each."""
    kinds = 2 * np.random.RandomState(seed).randint(0, 2, (n, 2))
    return kinds.repeat(3, axis=1), kinds


X, KINDS = stripes(120)


@pytest.fixture(scope="module")
def fitted():
    return PixelDensity(TINY, **QUICK | {"max_epochs": 30, "learning_rate": 2e-2}).fit(X)


def test_it_learns_stripes(fitted):
    test, _ = stripes(50, seed=1)
    assert fitted.score(test) == pytest.approx(-2 * np.log(2), abs=0.15)
    assert fitted.bits_per_dim(test) == pytest.approx(-fitted.score(test) / (6 * np.log(2)))
    assert fitted.lower_bound_ == pytest.approx(fitted.score(X), abs=0.2)
    draws = fitted.sample(300, temperature=0.5)
    assert (draws.reshape(-1, 2, 3) == draws.reshape(-1, 2, 3)[..., :1]).mean() > 0.97
    assert 0.35 < (draws[:, 0] == 2).mean() < 0.65


def test_it_completes_what_is_given(fitted):
    whole = fitted.complete(X[:30], rows=1, random_state=1)
    assert (whole[:, :3] == X[:30, :3]).all()
    assert (whole[:, 3:] != X[:30, 3:]).any()
    assert (fitted.complete(X[:30], rows=2) == X[:30]).all()


def test_a_context_is_learned():
    context = (KINDS > 0).astype(float)
    density = PixelDensity(TINY, **QUICK | {"max_epochs": 20, "learning_rate": 2e-2})
    density.fit(X, context=context)
    assert density.score(X, context=context) > -0.7  # log 4 without
    assert density.score(X, context=1 - context) < -2
    assert density.sample(context=[1.0, 0.0], n_samples=2).shape == (2, 6)
    with pytest.raises(ValueError, match="context is required"):
        density.score_samples(X)
    with pytest.raises(ValueError, match="context must have 2 columns, got 3"):
        density.sample(2, context=np.zeros((2, 3)))


def test_it_comes_back_from_a_file(fitted, tmp_path):
    save(fitted, tmp_path / "m")
    again = load(tmp_path / "m")
    assert (again.score_samples(X) == fitted.score_samples(X)).all()
    assert (again.sample(5) == fitted.sample(5)).all()


def test_a_fit_goes_on_where_it_was_interrupted(tmp_path):
    options = {"checkpoint": str(tmp_path / "c"), "patience": 9}
    settings = QUICK | {"fit_options": options}
    PixelDensity(TINY, **settings | {"max_epochs": 1}).fit(X)
    resumed = PixelDensity(TINY, **settings).fit(X, resume=True)
    assert resumed.n_iter_ == 3


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": {**TINY, "channels": 7}},
        {"image_shape": (3, 2)},
        {"levels": 4},
        {"learning_rate": 1e-3},
        {"batch_size": 40},
        {"max_epochs": 2},
        {"fit_options": {"keep": "last"}, **WORSE},
        {"fit_options": {"average": 0.9}},
        {"random_state": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_option_does_something(change):
    beside = WORSE if "fit_options" in change else {}
    found = [
        PixelDensity(**{"recipe": TINY, **QUICK, **changed}).fit(X).score_samples(X)
        for changed in (beside, change)
    ]
    assert not np.array_equal(*found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": 2}, r"levels=2 needs integers 0\.\.1, got 2 in column"),
        ({"levels": 1}, "levels must be an integer of at least 2, got 1"),
        ({"image_shape": (2, 4)}, r"image_shape \[2, 4\] has 8 pixels, but a row has 6 features"),
        ({"image_shape": (6, 1, 1)}, "must be .C, H, W., channels first; .6, 1, 1. has them last"),
        ({"image_shape": (6,)}, r"image_shape must be \(H, W\) or \(C, H, W\)"),
        ({"recipe": "maf"}, "recipe must be that of a PixelModel, got 'maf'"),
        ({"recipe": "x"}, "unknown recipe 'x'"),
        ({"max_epochs": -1}, "max_epochs must be an integer of at least 0, got -1"),
        ({"fit_options": {"keep": "all"}}, "keep must be one of"),
        ({"fit_options": {"speed": 1}}, "fit_options has no 'speed'"),
    ],
)
def test_settings_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        PixelDensity(**{"recipe": TINY, **QUICK, **change}).fit(X)


def test_images_that_cannot_be(fitted):
    with pytest.raises(ValueError, match=r"levels=3 needs integers 0\.\.2, got 0.5"):
        PixelDensity(TINY, **QUICK).fit(X + 0.5)
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        PixelDensity(TINY, **QUICK).fit(X[:1])
    with pytest.raises(ValueError, match="8 features, but PixelDensity is expecting 6"):
        fitted.score_samples(np.zeros((2, 8)))
    with pytest.raises(ValueError, match="X holds NaN or infinity in 6 of 6 columns"):
        PixelDensity(TINY, **QUICK).fit(np.where(X == 0, np.nan, X))
    with pytest.raises(ValueError, match="context is given, but the density was fitted without"):
        fitted.sample(2, context=np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"rows must be in 0\.\.2, got 3"):
        fitted.complete(X, rows=3)
    with pytest.raises(ValueError, match="temperature must be a positive number, got 0"):
        fitted.sample(2, temperature=0)


def test_images_that_are_all_the_same_are_told_of():
    with pytest.warns(ConstantColumnWarning, match="all images are the same"):
        density = PixelDensity(TINY, **QUICK).fit(np.ones((40, 6)))
    assert density.score(np.ones((1, 6))) > -6 * np.log(3)


def test_no_steps_leave_the_uniform_distribution():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        density = PixelDensity(TINY, **QUICK | {"max_epochs": 0}).fit(X)
    assert density.score_samples(X) == pytest.approx(-6 * np.log(3))
    assert torch.is_tensor(density.model_.log_prob(torch.zeros(1, 1, 2, 3)))
