"""Rows of files: what judges and what is sampled depends on their contents alone."""

import numpy as np
import pandas as pd
import pytest

from anabranch.data import ParquetRows
from anabranch.data.parquet_rows import row_hashes

X = np.random.RandomState(0).randn(900, 3)


def write(folder, parts, names="abcdefgh"):
    folder.mkdir(exist_ok=True)
    for name, part in zip(names, parts, strict=False):
        frame = pd.DataFrame(part, columns=["x", "y", "z"])
        frame.to_parquet(folder / f"{name}.parquet", row_group_size=100)
    return folder


def parts_of(X):
    return np.split(X, [250, 300, 700])


def test_all_rows_judge_or_are_trained_on(tmp_path):
    rows = ParquetRows(write(tmp_path, parts_of(X)), sample_rows=10_000)
    scan = rows.scan(0.2)
    assert rows.shape == (900, 3)
    assert 0.15 < len(scan.judging_values) / 900 < 0.25
    read = np.concatenate([scan.read(group) for group in scan.order])
    assert scan.sizes.sum() == len(read) == len(scan.sample_values)
    for found in (read, scan.sample_values):
        every = np.concatenate([found, scan.judging_values])
        assert (every[np.lexsort(every.T)] == X[np.lexsort(X.T)]).all()


def test_names_and_order_of_files_do_not_matter(tmp_path):
    parts = parts_of(X)
    a = ParquetRows(write(tmp_path / "a", parts), sample_rows=50).scan(0.2)
    b = ParquetRows(write(tmp_path / "b", parts[::-1], "hgfe"), sample_rows=50).scan(0.2)
    assert a.fingerprint == b.fingerprint
    assert (a.sample_values == b.sample_values).all()
    assert (a.judging_values == b.judging_values).all()
    assert all((a.read(i) == b.read(j)).all() for i, j in zip(a.order, b.order, strict=True))
    other = ParquetRows(write(tmp_path / "c", [*parts[:3], parts[3] + 1])).scan(0.2)
    assert other.fingerprint != a.fingerprint


def test_a_sample_is_of_the_whole_table(tmp_path):
    Y = np.sort(X, axis=0)  # a file sorted by class, and worse
    scan = ParquetRows(write(tmp_path, parts_of(Y)), sample_rows=300).scan(0.2)
    assert len(scan.sample_values) == 300
    assert np.abs(scan.sample_values.mean(0) - Y.mean(0)).max() < 0.15


def test_rows_that_repeat_are_on_both_sides():
    hashes = row_hashes(np.zeros((4000, 2)))
    share = hashes / 2.0**64
    assert len(np.unique(hashes)) == 4000
    assert abs(share.mean() - 0.5) < 0.03
    assert abs((share < 0.1).mean() - 0.1) < 0.02


def test_hashes_are_even():
    share = row_hashes(np.arange(20_000.0)[:, None]) / 2.0**64
    counts = np.histogram(share, 20, (0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi square of 19 degrees of freedom


def test_what_cannot_be_read_is_refused(tmp_path):
    folder = write(tmp_path / "a", parts_of(X))
    with pytest.raises(ValueError, match=r"a\.parquet lacks columns: w"):
        ParquetRows(folder, ["x", "w"])
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        ParquetRows(tmp_path / "*.pq")
    with pytest.raises(ValueError, match="buffer_mb must be at least"):
        ParquetRows(folder, buffer_mb=1e-3)
    with pytest.raises(ValueError, match="sample_rows must be at least 2"):
        ParquetRows(folder, sample_rows=1)
    bad = X.copy()
    bad[800, 1] = np.nan
    folder = write(tmp_path / "b", parts_of(bad))
    with pytest.raises(ValueError, match=r"d\.parquet: .*y"):
        ParquetRows([folder / "*.parquet"]).scan(0.1)
