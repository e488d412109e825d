"""Data to try the other commands on."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from anabranch.data import read_table
from anabranch.problems import Pinwheel


@pytest.mark.parametrize("name", ["wings.csv", "wings.parquet"])
def test_wings(succeed, tmp_path, name):
    assert "wrote 2560 rows" in succeed("example", tmp_path / name)
    table = read_table(tmp_path / name)
    X, wing = Pinwheel().sample_per_component(512, random_state=0)
    assert np.allclose(table.X, np.c_[X, wing])


def test_pictures(succeed, tmp_path):
    assert "wrote 1797 pictures" in succeed("example", tmp_path / "pictures.npy")
    pictures = np.load(tmp_path / "pictures.npy")
    assert pictures.dtype == np.uint8
    assert (pictures == load_digits().images).all()


def test_other_endings_are_refused(fail, tmp_path):
    assert "the name must end in .csv" in fail("example", tmp_path / "wings.pdf")
    assert not (tmp_path / "wings.pdf").exists()
