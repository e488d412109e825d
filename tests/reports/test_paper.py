"""The PNG of clusters."""

import numpy as np
import pytest
from matplotlib.image import imread

from anabranch.reports import palette, save_cluster_figure


@pytest.mark.parametrize("n_columns", [1, 2, 4])
def test_picture_is_drawn_and_repeats(fitted, tmp_path, n_columns):
    est, X, _ = fitted(n_columns)
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    save_cluster_figure(est, X, first, dpi=50)
    save_cluster_figure(est, X, second, dpi=50)
    assert first.read_bytes() == second.read_bytes()
    pixels = imread(first)
    assert pixels.shape[1] == 450
    assert pixels[..., :3].std() > 0.02
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_regions_have_the_tints_of_their_components(fitted, tmp_path):
    est, X, _ = fitted(2)
    save_cluster_figure(est, X, tmp_path / "a.png", dpi=80)
    pixels = np.round(255 * imread(tmp_path / "a.png")[..., :3]).astype(int)
    for certain in palette.region_colors(np.eye(3)).astype(int):
        near = (np.abs(pixels - certain).max(axis=-1) <= 2).mean()
        assert near > 0.02


def test_pyplot_is_not_touched(fitted, tmp_path):
    import matplotlib.pyplot as plt

    est, X, _ = fitted(2)
    before = plt.get_fignums()
    save_cluster_figure(est, X, tmp_path / "a.png", dpi=40)
    assert plt.get_fignums() == before


def test_bad_targets_and_data(fitted, tmp_path):
    est, X, _ = fitted(2)
    with pytest.raises(ValueError, match=r"path: got 'a.jpg'; expected .*\.png"):
        save_cluster_figure(est, X, tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        save_cluster_figure(est, X, tmp_path / "no" / "a.png")
    with pytest.raises(ValueError, match=r"X: got shape \(240,\)"):
        save_cluster_figure(est, X[:, 0], tmp_path / "a.png")
