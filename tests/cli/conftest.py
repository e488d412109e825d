"""Small data in every format, a fitted model, and the command line in this process."""

import gzip
import struct

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from anabranch.cli import app

CENTERS = np.array([[0.0, 0.0], [5.0, 1.0], [1.0, 6.0]])
TINY = ("--max-epochs", "2", "--flow-option", "n_layers=2")


def invoke(*args):
    """Run the command line; nothing a user sees may be a traceback."""
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="session")
def cli():
    return invoke


@pytest.fixture(scope="session")
def succeed():
    """Run a command that must succeed, and give what it printed."""

    def run(*args):
        result = invoke(*args)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.fixture(scope="session")
def fail():
    """Run a command that must fail with one sentence, and give that sentence."""

    def run(*args):
        result = invoke(*args)
        assert result.exit_code == 1, result.output
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, result.output
        assert result.stderr.splitlines()[-1] == lines[0]
        return lines[0]

    return run


def blobs(n=90, seed=0):
    labels = np.arange(n) % 3
    return CENTERS[labels] + 0.4 * np.random.RandomState(seed).randn(n, 2), labels


def write_idx(path, array, compressed=True):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if compressed else content)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The same blobs as t.csv and t.parquet (width, height, kind), t.npy, t.npz."""
    folder = tmp_path_factory.mktemp("data")
    X, labels = blobs()
    frame = pd.DataFrame({"width": X[:, 0], "height": X[:, 1], "kind": labels})
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_parquet(folder / "t.parquet")
    np.save(folder / "t.npy", X)
    np.savez(folder / "t.npz", X=X, y=labels)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Images of 3 x 3 bytes in three classes, 4, 5 and 9, as IDX files."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.RandomState(0)
    labels = np.arange(90) % 3
    means = 60 + 60 * rng.randint(0, 3, (3, 3, 3))
    pictures = np.clip(means[labels] + 8 * rng.randn(90, 3, 3), 0, 255)
    write_idx(folder / "images-idx3-ubyte.gz", pictures)
    write_idx(folder / "labels-idx1-ubyte.gz", np.array([4, 5, 9])[labels])
    return folder / "images-idx3-ubyte.gz", folder / "labels-idx1-ubyte.gz"


@pytest.fixture(scope="session")
def model(files, tmp_path_factory, succeed):
    """A model of the columns width and height."""
    path = tmp_path_factory.mktemp("model") / "named.safetensors"
    succeed("fit", files / "t.csv", "-o", path, "-k", 3, "--columns", "width,height", *TINY)
    return path


@pytest.fixture(scope="session")
def unnamed(files, tmp_path_factory, succeed):
    """A model of two columns without names."""
    path = tmp_path_factory.mktemp("model") / "unnamed.safetensors"
    succeed("fit", files / "t.npy", "-o", path, "-k", 3, *TINY)
    return path
