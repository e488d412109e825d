"""Rows of files: what judges and what is sampled depends on their contents alone."""

import numpy as np
import pandas as pd
import pytest

from anabranch.data import ParquetRows
from anabranch.data.dealt_rows import DealtRows
from anabranch.data.parquet_rows import joined
from anabranch.data.row_hashes import row_hashes

X = np.random.RandomState(0).randn(900, 3)


def write(folder, parts, names="abcdefgh"):
    folder.mkdir(exist_ok=True)
    for name, part in zip(names, parts, strict=False):
        frame = pd.DataFrame(part, columns=["x", "y", "z"])
        frame.to_parquet(folder / f"{name}.parquet", row_group_size=100)
    return folder


def parts_of(X):
    return np.split(X, [250, 300, 700])


def dealt(scan):
    return np.concatenate([joined(scan.read(pile)) for pile in scan.piles])


def ordered(X):
    return X[np.lexsort(X.T)]


def test_all_rows_judge_or_are_trained_on(tmp_path):
    rows = ParquetRows(write(tmp_path, parts_of(X)), sample_rows=10_000)
    scan = rows.scan(0.2)
    assert rows.shape == (900, 3)
    assert 0.15 < len(scan.judging.X) / 900 < 0.25
    read = dealt(scan)
    assert scan.dealt.sizes.sum() == len(read) == len(scan.sample.X)
    for found in (read, scan.sample.X):
        assert (ordered(np.concatenate([found, scan.judging.X])) == ordered(X)).all()


def test_names_and_order_of_files_do_not_matter(tmp_path):
    parts, small = parts_of(X), {"sample_rows": 50, "buffer_mb": 0.02}
    a = ParquetRows(write(tmp_path / "a", parts), **small).scan(0.2)
    b = ParquetRows(write(tmp_path / "b", parts[::-1], "hgfe"), **small).scan(0.2)
    assert a.fingerprint == b.fingerprint
    assert (a.sample.X == b.sample.X).all()
    assert (a.judging.X == b.judging.X).all()
    assert len(a.piles) > 20
    assert (dealt(a) == dealt(b)).all()
    other = ParquetRows(write(tmp_path / "c", [*parts[:3], parts[3] + 1])).scan(0.2)
    assert other.fingerprint != a.fingerprint


def test_piles_of_sorted_files_are_like_the_whole(tmp_path):
    Y = np.sort(X, axis=0)
    scan = ParquetRows(write(tmp_path, [Y]), buffer_mb=0.1).scan(0.1)
    means = np.array([scan.read(pile).X[:, 0].mean() for pile in scan.piles])
    sizes = scan.dealt.sizes[scan.piles]
    chi2 = ((means - Y[:, 0].mean()) ** 2 * sizes / Y[:, 0].var()).sum()
    assert len(means) > 5
    assert chi2 < 3 * len(means)


def test_labels_weights_and_contexts_stay_with_their_rows(tmp_path):
    frame = pd.DataFrame(X, columns=["x", "y", "z"])
    frame["weight"] = np.arange(900) % 3.0
    frame["kind"] = np.where(X[:, 0] > 1, "high", np.where(X[:, 0] < -1, "low", None))
    for name, part in (("b", frame.iloc[:300]), ("a", frame.iloc[300:])):
        part.to_parquet(tmp_path / f"{name}.parquet", row_group_size=70)
    rows = ParquetRows(tmp_path, label="kind", weight="weight", context=["z"], buffer_mb=0.05)
    assert rows.columns == ["x", "y"]
    scan = rows.scan(0.3)
    assert scan.labels.values.tolist() == ["high", "low"]
    read = [scan.read(pile) for pile in scan.piles]
    assert (scan.judging.labels == -1).all()  # rows with labels are too good for judges
    found = np.concatenate([joined(part) for part in [*read, scan.judging]])
    expected = frame[frame["weight"] > 0]
    codes = expected["kind"].map({"high": 0, "low": 1}).fillna(-1)
    expected = np.column_stack([expected[["x", "y", "z", "weight"]], codes]).astype(float)
    assert (ordered(found) == ordered(expected)).all()


def test_a_copy_that_has_no_room_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(OSError, match="let TMPDIR name a folder"):
        DealtRows(2**50, 20, 4)
    assert not list(tmp_path.iterdir())


def test_a_sample_is_of_the_whole_table(tmp_path):
    Y = np.sort(X, axis=0)  # a file sorted by class, and worse
    scan = ParquetRows(write(tmp_path, parts_of(Y)), sample_rows=300).scan(0.2)
    assert len(scan.sample.X) == 300
    assert np.abs(scan.sample.X.mean(0) - Y.mean(0)).max() < 0.15


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
    with pytest.raises(ValueError, match="buffer_mb must be positive"):
        ParquetRows(folder, buffer_mb=0)
    with pytest.raises(ValueError, match="'x' is a column to use"):
        ParquetRows(folder, ["x", "y"], weight="x")
    with pytest.raises(ValueError, match=r"a\.parquet: 'x' must be weights not below zero"):
        ParquetRows(folder, weight="x").scan(0.1)
    with pytest.raises(ValueError, match="sample_rows must be at least 2"):
        ParquetRows(folder, sample_rows=1)
    bad = X.copy()
    bad[800, 1] = np.nan
    folder = write(tmp_path / "b", parts_of(bad))
    with pytest.raises(ValueError, match=r"d\.parquet: .*y"):
        ParquetRows([folder / "*.parquet"]).scan(0.1)
