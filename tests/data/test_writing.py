import errno
import os
import stat
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anabranch.data import TableWriter, atomic_write, check_finite, read_table, write_table


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    return {
        "label": rng.integers(0, 5, 100),
        "score": rng.normal(size=100),
        "single": rng.normal(size=100).astype("f4"),
        "name, quoted": np.array(["a,b", 'say "x"', "line\nbreak", "plain"] * 25),
    }


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "T.CSV"])
def test_what_is_written_is_read(tmp_path, columns, name):
    write_table(tmp_path / name, columns)
    # as text: older pandas reads the last digit of a number wrongly
    read_csv = partial(pd.read_csv, dtype=str)
    frame = (pd.read_parquet if name.endswith("parquet") else read_csv)(tmp_path / name)
    assert list(frame) == list(columns)
    for key, values in columns.items():
        assert np.array_equal(frame[key].to_numpy().astype(values.dtype), values)
    numeric = read_table(tmp_path / name, columns=["score", "label"])
    assert np.array_equal(numeric.X[:, 0], columns["score"])
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_parts_make_one_table(tmp_path, columns, name):
    with TableWriter(tmp_path / name) as writer:
        for start in range(0, 100, 30):
            writer.write({key: values[start : start + 30] for key, values in columns.items()})
            assert not (tmp_path / name).exists()
    write_table(tmp_path / f"whole_{name}", columns)
    parts, whole = (
        read_table(tmp_path / n, columns=["label", "score", "single"]).X
        for n in (name, f"whole_{name}")
    )
    assert np.array_equal(parts, whole)


def test_the_text_of_a_csv_file(tmp_path):
    values = {"a": np.array([1, 2]), "b": np.array([0.1, np.nan]), "c d": np.array(["x", "y,z"])}
    write_table(tmp_path / "t.csv", values)
    assert (tmp_path / "t.csv").read_text() == 'a,b,c d\n1,0.1,"x"\n2,nan,"y,z"\n'


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_nothing_behind(tmp_path, columns, name, error):
    def fail():
        with TableWriter(tmp_path / name) as writer:
            writer.write(columns)
            raise error("mine")

    with pytest.raises(error, match=r"^mine$"):
        fail()
    assert os.listdir(tmp_path) == []
    (tmp_path / name).write_text("old")
    with pytest.raises(error, match=r"^mine$"):
        fail()
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "old"
    write_table(tmp_path / name, columns)
    assert len(read_table(tmp_path / name, columns=["label"])) == 100


def test_a_link_and_the_permissions_stay(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write_table(tmp_path / "link.csv", {"a": [1]})
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a\n1\n"
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "real.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.fixture
def full_device(tmp_path_factory):
    """A device that is always full: a private node for a superuser, whose broken code could
    replace the one that everybody uses.
    """
    if os.name != "posix" or not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    if os.geteuid() != 0:
        return Path("/dev/full")
    node = tmp_path_factory.mktemp("device") / "full"
    try:
        os.mknod(node, stat.S_IFCHR | 0o666, os.stat("/dev/full").st_rdev)
        node.open("wb").close()
    except PermissionError:
        pytest.skip("a superuser who may not make device nodes")
    return node


@pytest.mark.parametrize("name", [None, "link.csv", "link.parquet"])
@pytest.mark.parametrize("rows", [1, 200_000])
def test_a_full_disk_is_a_clear_error(tmp_path, full_device, name, rows):
    path = full_device if name is None else tmp_path / name
    if name is not None:
        path.symlink_to(full_device)
    with pytest.raises(OSError, match=f"^cannot write {path}: No space left") as caught:
        write_table(path, {"a": np.arange(float(rows))})
    assert caught.value.errno == errno.ENOSPC
    assert full_device.is_char_device()
    assert os.listdir(tmp_path) == ([] if name is None else [name])


def test_a_pipe_is_written_directly(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_table(tmp_path / "pipe", {"a": [1, 2]})
        assert os.read(reader, 100) == b"a\n1\n2\n"
    finally:
        os.close(reader)


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^cannot write .*t\.csv: there is no folder .*no"):
        write_table(tmp_path / "no" / "t.csv", {"a": [1]})
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.csv: it is a folder"):
        write_table(tmp_path / "folder.csv", {"a": [1]})
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_table(tmp_path / "file" / "t.csv", {"a": [1]})


def test_a_read_only_folder():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        superuser = os.geteuid() == 0
        try:
            if superuser:
                os.seteuid(65534)
            with pytest.raises(PermissionError, match=r"^cannot write .*t\.csv: Permission denied"):
                write_table(folder / "t.csv", {"a": [1]})
        finally:
            if superuser:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.parametrize("name", ["t.txt", "t", "t.csv.xz", "t.npy"])
def test_unknown_endings_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"the name must end in \.csv, "):
        write_table(tmp_path / name, {"a": [1]})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "columns is empty"),
        ({"a": np.ones((2, 2))}, r"column 'a' has shape \(2, 2\), expected \(n,\)"),
        ({"a": [1, 2], "b": [1]}, "different lengths: {'a': 2, 'b': 1}"),
    ],
)
def test_wrong_columns_are_named(tmp_path, columns, message):
    with pytest.raises(ValueError, match=message):
        write_table(tmp_path / "t.csv", columns)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_parts_must_be_alike(tmp_path, name):
    expected = r"columns are b \(int64\), expected a \(int64\) as before"

    def write_unlike_parts():
        with TableWriter(tmp_path / name) as writer:
            writer.write({"a": [1]})
            writer.write({"b": [1]})

    with pytest.raises(ValueError, match=expected):
        write_unlike_parts()
    with pytest.raises(ValueError, match="no rows were written"), TableWriter(tmp_path / name):
        pass
    with pytest.raises(RuntimeError, match="not open"):
        TableWriter(tmp_path / name).write({"a": [1]})
    assert os.listdir(tmp_path) == []


def test_atomic_write_keeps_the_old_file_until_the_end(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_check_finite_names_columns_and_counts():
    X = np.ones((5, 3))
    check_finite(X, ["a", "b", "c"])
    check_finite(np.full((5, 1), 1e308), ["huge"])
    check_finite(np.full((5, 1), 1e38, dtype="f4"), ["huge"])
    X[1, 2], X[2, 2], X[3, 2], X[0, 0] = np.nan, np.inf, np.inf, -np.inf
    expected = r"in 2 of 3 columns: 'a' \(1 infinite\), 'c' \(1 NaN, 2 infinite\), first in row 0$"
    with pytest.raises(ValueError, match=expected):
        check_finite(X, ["a", "b", "c"])
    with pytest.raises(
        ValueError, match=r"in 30 of 30 columns: 'x0' .* 'x9' .* and 20 more, first in row 0$"
    ):
        check_finite(np.full((2, 30), np.nan), [f"x{i}" for i in range(30)])
    with pytest.raises(ValueError, match=r"X has shape \(5, 3\), expected \(n, 2\)"):
        check_finite(np.ones((5, 3)), ["a", "b"])
    # Opposite infinities must not cancel.
    with pytest.raises(ValueError, match="2 infinite"):
        check_finite(np.array([[np.inf], [-np.inf]]), ["a"])
