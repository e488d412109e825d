import gzip
import lzma
import struct
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anabranch.data import load_sklearn, read_table, read_tables, stream_table, stream_tables

SHARED = Path(__file__).parents[3] / "shared" / "data"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256))


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def idx_bytes(array):
    codes = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
    code = next(code for text, code in codes.items() if array.dtype == np.dtype(text))
    return (
        bytes([0, 0, code, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + (array.tobytes())
    )


def zipped(content):
    return gzip.compress(content, mtime=0)


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": rng.normal(size=1000),
            "b": rng.integers(0, 9, 1000),
            "kind": rng.choice(["dog", "cat", "eel"], 1000),
            "c": rng.normal(size=1000),
        }
    )


def save(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.xz", "t.parquet", "T.CSV"])
def test_tables_with_columns_and_text_labels(tmp_path, frame, name):
    path = save(frame, tmp_path / name)
    table = read_table(path, label_column="kind")
    assert table.columns == ["a", "b", "c"]
    assert table.X.dtype == np.float64
    assert np.array_equal(table.X, frame[["a", "b", "c"]].to_numpy())
    assert table.label_names == ["cat", "dog", "eel"]
    assert table.labels.dtype == np.int64
    assert np.array_equal(np.array(table.label_names)[table.labels], frame["kind"])
    assert table.image_shape is None
    chosen = read_table(path, columns=["c", "a"])
    assert np.array_equal(chosen.X, frame[["c", "a"]].to_numpy())
    assert chosen.labels is None


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
@pytest.mark.parametrize("batch_rows", [1, 300, 1000, 5000])
def test_streamed_batches_are_the_table(tmp_path, frame, name, batch_rows):
    path = save(frame.head(1000 if batch_rows > 1 else 20), tmp_path / name)
    whole = read_table(path, label_column="kind")
    parts = list(stream_table(path, label_column="kind", batch_rows=batch_rows))
    assert [len(part) for part in parts[:-1]] == [batch_rows] * (len(parts) - 1)
    assert 0 < len(parts[-1]) <= batch_rows
    assert np.array_equal(np.concatenate([part.X for part in parts]), whole.X)
    assert np.array_equal(np.concatenate([part.labels for part in parts]), whole.labels)
    assert all(part.label_names == whole.label_names for part in parts)


def test_csv_of_many_blocks(tmp_path):
    """Beyond Arrow's block size, with a text cell only in the last block."""
    X = np.random.default_rng(0).normal(size=(60_000, 5))
    frame = pd.DataFrame(X, columns=list("abcde"))
    path = save(frame, tmp_path / "big.csv")
    assert path.stat().st_size > 5_000_000
    assert np.array_equal(np.concatenate([t.X for t in stream_table(path)]), X)
    with path.open("a") as file:
        file.write("1,2,3,x4,5\n")
    with pytest.raises(ValueError, match=r"column 'd' holds the text 'x4' in row 60001 \(not"):
        list(stream_table(path))


def test_missing_cells_are_nan_and_missing_labels_minus_one(tmp_path):
    csv = write(tmp_path / "m.csv", "a,b,y\n1,,2\n,2,\nnan,NA,0\n")
    frame = pd.DataFrame({"a": [1, None, None], "b": [None, 2, None], "y": [2, None, 0]})
    for path in (csv, save(frame, tmp_path / "m.parquet")):
        table = read_table(path, label_column="y")
        expected = [[1, np.nan], [np.nan, 2], [np.nan, np.nan]]
        np.testing.assert_array_equal(table.X, expected)
        assert table.labels.tolist() == [2, -1, 0]
        assert table.label_names is None


@pytest.mark.parametrize(
    ("values", "labels", "names"),
    [
        (pa.array([3, 1, -1, 7]), [3, 1, -1, 7], None),
        (pa.array([3.0, None, float("nan"), 7.0]), [3, -1, -1, 7], None),
        (pa.array([True, False, None, True]), [1, 0, -1, 1], None),
        (pa.array(["b", " ", None, "a"]), [1, -1, -1, 0], ["a", "b"]),
        (pa.array(["10", "2", "", "x"]), [0, 1, -1, 2], ["10", "2", "x"]),
        (pa.array(["10", "2.0", "", "-1"]), [10, 2, -1, -1], None),
        (pa.array(["b", "a", None, "b"]).dictionary_encode(), [1, 0, -1, 1], ["a", "b"]),
        (pa.array([1, 0, 2, 2], pa.uint8()), [1, 0, 2, 2], None),
    ],
)
def test_labels_of_all_types(tmp_path, values, labels, names):
    path = tmp_path / "l.parquet"
    pq.write_table(pa.table({"x": np.arange(4.0), "y": values}), path)
    for table in (read_table(path, label_column="y"), *stream_table(path, label_column="y")):
        assert table.labels.tolist() == labels
        assert table.label_names == names


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.5, 1.0], "labels hold 0.5, expected integers"),
        ([1, -2], "labels hold -2, expected 0, 1"),
        ([1.0, np.inf], "labels hold inf, expected integers"),
        ([1.0, 1e30], r"labels hold 1e\+30, expected 0, 1"),
    ],
)
def test_labels_that_are_none(tmp_path, labels, message):
    path = save(pd.DataFrame({"x": [1.0, 2.0], "y": labels}), tmp_path / "l.csv")
    with pytest.raises(ValueError, match=message):
        read_table(path, label_column="y")


def test_a_known_coding_is_kept(tmp_path, frame):
    path = save(frame, tmp_path / "t.csv")
    names = ["eel", "fox", "dog", "cat"]
    for table in stream_table(path, label_column="kind", label_names=names, batch_rows=400):
        assert table.label_names == names
        assert set(table.labels) == {0, 2, 3}
    with pytest.raises(ValueError, match="labels hold 'dog', expected one of 'cat', 'eel'"):
        read_table(path, label_column="kind", label_names=["cat", "eel"])


def test_batches_share_one_coding_when_a_name_comes_late(tmp_path):
    path = write(tmp_path / "t.csv", "x,y\n1,zebra\n2,zebra\n3,ant\n")
    parts = list(stream_table(path, label_column="y", batch_rows=1))
    assert [part.labels.tolist() for part in parts] == [[1], [1], [0]]


def test_float32_is_kept_only_where_all_columns_are(tmp_path):
    frame = pd.DataFrame({"a": np.ones(3, "f4"), "b": np.ones(3, "f4"), "c": np.ones(3, "f8")})
    path = save(frame, tmp_path / "t.parquet")
    assert read_table(path).X.dtype == np.float64
    assert read_table(path, columns=["a", "b"]).X.dtype == np.float32
    np.save(tmp_path / "t.npy", np.ones((3, 2), "f4"))
    assert read_table(tmp_path / "t.npy").X.dtype == np.float32
    np.save(tmp_path / "t.npy", np.ones((3, 2), "i4"))
    assert read_table(tmp_path / "t.npy").X.dtype == np.float64


def test_parquet_numbers_of_all_types(tmp_path):
    columns = {
        "bool": pa.array([True, False, None]),
        "int": pa.array([1, None, 3], pa.int16()),
        "decimal": pa.array([Decimal(1), Decimal(2), Decimal(3)], pa.decimal128(9, 2)),
        "null": pa.nulls(3),
        "half": pa.array(np.array([1, 2, 3], "f2")),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    X = read_table(tmp_path / "t.parquet").X
    nan = np.nan
    np.testing.assert_array_equal(X, [[1, 1, 1, nan, 1], [0, nan, 2, nan, 2], [nan, 3, 3, nan, 3]])


def test_an_index_of_pandas_is_no_column(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]}).iloc[[2, 0]]
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").columns == ["a"]
    frame.to_csv(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=r"column 1 of .*t\.csv has no name \(an index"):
        read_table(tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv", columns=["a"]).X.ravel().tolist() == [3, 1]


def test_csv_headers(tmp_path):
    bare = write(tmp_path / "bare.csv", "1.5,2\n3,4\n")
    with pytest.raises(ValueError, match=r"first line of .* holds only numbers: add a line"):
        read_table(bare)
    assert read_table(bare, header=False).X.tolist() == [[1.5, 2], [3, 4]]
    assert read_table(bare, header=False).columns == ["x0", "x1"]
    assert read_table(bare, header=True).columns == ["1.5", "2"]
    pandas = write(tmp_path / "pandas.csv", "0,1\n3,4\n")
    assert read_table(pandas).columns == ["0", "1"]
    excel = write(tmp_path / "excel.csv", '\ufeffa,"b, c"\r\n1,2\r\n')
    assert read_table(excel).columns == ["a", "b, c"]
    assert read_table(excel, columns=["a"]).X.tolist() == [[1]]
    blank = write(tmp_path / "blank.csv", "\na,b\n\n1,2\n\n3,4\n\n")
    assert read_table(blank).X.tolist() == [[1, 2], [3, 4]]


def test_npy_with_images(tmp_path):
    images = np.random.default_rng(0).normal(size=(50, 4, 3)).astype("f4")
    np.save(tmp_path / "i.npy", images)
    table = read_table(tmp_path / "i.npy")
    assert table.image_shape == (4, 3)
    assert np.array_equal(table.X, images.reshape(50, 12))
    assert table.columns[:2] == ["x0", "x1"]
    parts = list(stream_table(tmp_path / "i.npy", batch_rows=20))
    assert [len(part) for part in parts] == [20, 20, 10]
    assert np.array_equal(np.concatenate([part.X for part in parts]), table.X)
    some = read_table(tmp_path / "i.npy", columns=["x11", "x0"])
    assert some.image_shape is None
    assert np.array_equal(some.X, table.X[:, [11, 0]])
    np.save(tmp_path / "f.npy", np.asfortranarray(images[:, :, 0]))
    assert np.array_equal(read_table(tmp_path / "f.npy").X, images[:, :, 0])


def test_npz(tmp_path):
    X, y = np.arange(6.0).reshape(3, 2), np.array([2, 0, -1])
    np.savez(tmp_path / "t.npz", X=X, y=y)
    for column in (None, "y"):
        table = read_table(tmp_path / "t.npz", label_column=column)
        assert np.array_equal(table.X, X)
        assert table.labels.tolist() == [2, 0, -1]
    np.savez_compressed(tmp_path / "s.npz", data=X, y=np.array(["b", "", "a"]))
    table = read_table(tmp_path / "s.npz")
    assert table.labels.tolist() == [1, -1, 0]
    assert table.label_names == ["a", "b"]
    table = read_table(tmp_path / "t.npz", label_column="x0")
    assert table.columns == ["x1"]
    assert table.labels.tolist() == [0, 2, 4]
    np.savez(tmp_path / "two.npz", a=X, b=X)
    with pytest.raises(ValueError, match=r"holds the arrays 'a', 'b', expected 'X', or a single"):
        read_table(tmp_path / "two.npz")
    np.savez(tmp_path / "y.npz", X=X, y=y[:2])
    with pytest.raises(ValueError, match=r"y has shape \(2,\), expected \(3,\)"):
        read_table(tmp_path / "y.npz")


@pytest.mark.parametrize("name", ["d-ubyte", "d-ubyte.gz", "d.idx", "d.idx.gz", "d", "d.gz"])
def test_idx_by_name_and_by_first_bytes(tmp_path, name):
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 5), dtype="u1")
    content = idx_bytes(images)
    path = write(tmp_path / name, zipped(content) if name.endswith(".gz") else content)
    table = read_table(path)
    assert table.image_shape == (4, 5)
    assert table.X.dtype == np.float32
    assert np.array_equal(table.X, images.reshape(30, 20))
    parts = list(stream_table(path, batch_rows=7))
    assert np.array_equal(np.concatenate([part.X for part in parts]), table.X)
    assert read_table(path, label_column="x0").labels.tolist() == images[:, 0, 0].tolist()


@pytest.mark.parametrize("dtype", ["i1", ">i2", ">i4", ">f4", ">f8"])
def test_idx_of_all_types(tmp_path, dtype):
    values = np.array([[1, -2], [3, 4]], dtype=dtype)
    table = read_table(write(tmp_path / "t.idx", idx_bytes(values)))
    assert table.X.tolist() == [[1, -2], [3, 4]]
    assert table.X.dtype == (np.float32 if dtype == ">f4" else np.float64)
    assert table.image_shape is None


def test_idx_labels_find_their_images(tmp_path):
    rng = np.random.default_rng(0)
    paths, arrays = {}, {}
    for part, n in (("train", 20), ("test", 10)):
        arrays[part] = rng.integers(0, 256, (n, 2, 2), dtype="u1"), rng.integers(0, 9, n, "u1")
        for kind, array in zip(("images", "labels"), arrays[part], strict=True):
            path = tmp_path / f"{part}-{kind}-ubyte.gz"
            paths[part, kind] = write(path, zipped(idx_bytes(array)))
    for order in (["images", "labels"], ["labels", "images"]):
        table = read_tables([paths[part, kind] for kind in order for part in ("train", "test")])
        assert len(table) == 30
        assert np.array_equal(table.labels, np.concatenate([arrays[p][1] for p in arrays]))
        assert np.array_equal(table.X[:20], arrays["train"][0].reshape(20, 4))
    parts = list(stream_tables([paths["test", "labels"], paths["test", "images"]], batch_rows=3))
    assert np.array_equal(np.concatenate([part.labels for part in parts]), arrays["test"][1])
    with pytest.raises(ValueError, match=r"20 labels, .* holds 10 rows"):
        read_tables([paths["train", "labels"], paths["test", "images"]])
    with pytest.raises(ValueError, match="1 label files and 2 image files"):
        read_tables([*[paths[p, "images"] for p in arrays], paths["test", "labels"]])
    with pytest.raises(ValueError, match="1 label files and 0 image files"):
        read_table(paths["train", "labels"])


def test_several_files_are_one_table(tmp_path, frame):
    first = save(frame.head(600), tmp_path / "1.csv")
    second = save(frame.tail(400)[["c", "kind", "b", "a"]], tmp_path / "2.parquet")
    table = read_tables([first, second], label_column="kind")
    assert np.array_equal(table.X, frame[["a", "b", "c"]].to_numpy())
    assert np.array_equal(np.array(table.label_names)[table.labels], frame["kind"])
    other = save(frame.rename(columns={"b": "z"}), tmp_path / "3.csv")
    with pytest.raises(ValueError, match="different columns: only one has 'b'"):
        read_tables([first, other], label_column="kind")
    assert len(read_tables([first, other], columns=["a"])) == 1600
    with pytest.raises(ValueError, match=r"paths is .*, expected a list"):
        read_tables(str(first))


def test_parts_that_do_not_fit(tmp_path):
    np.savez(tmp_path / "y.npz", X=np.ones((2, 2)), y=[0, 1])
    np.savez(tmp_path / "n.npz", X=np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"only one of .* has labels"):
        read_tables([tmp_path / "y.npz", tmp_path / "n.npz"])
    np.save(tmp_path / "a.npy", np.ones((2, 2, 3)))
    np.save(tmp_path / "b.npy", np.ones((2, 3, 2)))
    with pytest.raises(ValueError, match=r"images of shape \(2, 3\), .* of \(3, 2\)"):
        read_tables([tmp_path / "a.npy", tmp_path / "b.npy"])


def test_mistakes_in_names_come_before_the_first_batch(tmp_path, frame):
    path = save(frame, tmp_path / "t.csv")
    with pytest.raises(ValueError, match="has no column 'knid'; did you mean 'kind'"):
        stream_table(path, label_column="knid")
    with pytest.raises(ValueError, match=r"has no column 'zzz'; its columns are 'a', 'b', 'kind'"):
        stream_table(path, columns=["a", "zzz"])
    with pytest.raises(ValueError, match="columns holds 'kind', which is the label column"):
        stream_table(path, columns=["a", "kind"], label_column="kind")
    with pytest.raises(ValueError, match="hold 'a' more than once"):
        stream_table(path, columns=["a", "a"])
    with pytest.raises(TypeError, match="columns is the text 'a', expected a list"):
        stream_table(path, columns="a")
    with pytest.raises(ValueError, match=r"no columns of .* are left"):
        stream_table(path, columns=[])
    with pytest.raises(ValueError, match="batch_rows is 0"):
        stream_table(path, batch_rows=0)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        stream_table(tmp_path / "none.csv")


def truncated(make):
    """Content whose last third is missing."""

    def cut(path):
        make(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 2 // 3])

    return cut


def make_csv_xz(path):
    path.write_bytes(lzma.compress(b"a,b\n" + b"1,2\n" * 5000))


def make_csv_gz(path):
    path.write_bytes(zipped(b"a,b\n" + b"1,2\n" * 5000))


def make_parquet(path):
    pq.write_table(pa.table({"a": np.arange(1000.0)}), path)


def make_npy(path):
    np.save(path, np.ones((100, 3)))


def make_npz(path):
    np.savez_compressed(path, X=np.random.default_rng(0).normal(size=(100, 3)))


def make_idx(path):
    content = idx_bytes(np.random.default_rng(0).integers(0, 256, (50, 4, 4), dtype="u1"))
    path.write_bytes(zipped(content) if path.suffix == ".gz" else content)


def make_longer_idx(path):
    content = idx_bytes(np.ones((5, 4), "u1")) + b"\1"
    path.write_bytes(zipped(content) if path.suffix == ".gz" else content)


def make_objects(path):
    array = np.array([[1, "a"], [2, None]], dtype=object)
    (np.savez if path.suffix == ".npz" else np.save)(path, array)


def content(data):
    return lambda path: write(path, data)


def no_rows(path):
    pq.write_table(pa.table({"a": pa.array([], pa.float64())}), path)


BAD = [
    *[(name, content(b""), "is empty") for name in ("e.csv", "e.parquet", "e.npy", "e.idx", "e")],
    ("t.parquet", truncated(make_parquet), "not a Parquet file, or it is damaged"),
    ("t.npy", truncated(make_npy), "truncated or damaged"),
    ("t.npz", truncated(make_npz), "damaged"),
    ("t.idx", truncated(make_idx), r"less data than the shape \(50, 4, 4\)"),
    ("t-ubyte.gz", truncated(make_idx), "truncated or damaged"),
    ("t.csv.gz", truncated(make_csv_gz), "truncated or damaged"),
    ("t.csv.xz", truncated(make_csv_xz), "truncated or damaged"),
    ("long.idx", make_longer_idx, r"more data than the shape \(5, 4\)"),
    ("long.idx.gz", make_longer_idx, r"more data than the shape \(5, 4\)"),
    ("short.idx.gz", content(zipped(b"\0\0\x08\x02\0\0\0\5\0\0\0\4" + b"1" * 19)), "less data"),
    ("head.idx", content(b"\0\0\x08\x03\0\0\0\5"), "truncated in its header"),
    ("huge.idx", content(b"\0\0\x08\x03" + b"\xff" * 12), "less data than the shape"),
    ("huge.idx.gz", content(zipped(b"\0\0\x08\x03" + b"\xff" * 12)), "less data than the shape"),
    ("none.idx", content(b"\0\0\x08\x02\0\0\0\0\0\0\0\4"), "holds no rows"),
    ("f.parquet", content(PNG), "not a Parquet file"),
    ("f.npy", content(PNG), "not a NumPy .npy file"),
    ("f.npz", content(PNG), "not a NumPy .npz file"),
    ("f.idx", content(PNG), "not an IDX file: it starts with the bytes 89 50"),
    ("f.idx.gz", content(PNG), "not a gzip file"),
    ("f.csv", content(PNG), "not a text file"),
    ("f.csv.gz", content(PNG), "truncated or damaged"),
    ("f.csv.xz", content(PNG), "truncated or damaged"),
    ("latin.csv", content("höhe,b\n1,2\n".encode("latin-1")), "not text in UTF-8"),
    ("f.png", content(PNG), "cannot tell the format of .*must end in .csv, .csv.gz"),
    ("text.csv", content("a,b\n1,2\n3,four\n5,6\n"), "column 'b' holds the text 'four' in row 2 "),
    ("cell.csv", content(b"a,b\n1,2\n3,\xff\n"), "column 'b' holds the text '\ufffd' in row 2 "),
    ("ragged.csv", content("a,b\n1,2\n3,4,5\n6,7\n"), "row 2 has 3 cells, not 2"),
    ("short.csv", content("a,b\n1,2\n6,7\n3\n"), "row 3 has 1 cells, not 2"),
    ("twice.csv", content("a,b,a\n1,2,3\n"), "hold 'a' more than once"),
    ("header.csv", content("a,b\n"), "holds no rows, only column names"),
    ("blank.csv", content("\n\n\n"), "is empty"),
    ("none.parquet", no_rows, "holds no rows"),
    ("none.npy", lambda path: np.save(path, np.ones((0, 3))), r"no rows: .* shape \(0, 3\)"),
    ("line.npy", lambda path: np.save(path, np.ones(3)), r"shape \(3,\), expected \(rows, col"),
    ("text.npy", lambda path: np.save(path, np.array([["a"]])), "array of <U1, expected real"),
    ("complex.npy", lambda path: np.save(path, np.ones((2, 2)) * 1j), "complex128, expected real"),
    ("object.npy", make_objects, "pickled Python objects, which are never loaded"),
    ("object.npz", make_objects, "pickled Python objects, which are never loaded"),
]


@pytest.mark.parametrize(("name", "make", "message"), BAD, ids=[bad[0] for bad in BAD])
def test_bad_files_are_refused_in_one_sentence(tmp_path, name, make, message):
    path = tmp_path / name
    make(path)
    for read in (read_table, lambda p: list(stream_table(p))):
        with pytest.raises(ValueError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_text_in_parquet_is_named(tmp_path):
    pq.write_table(pa.table({"a": [1.0, 2.0], "t": [None, "x"]}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="column 't' holds the text 'x' in row 2, expected num"):
        read_table(tmp_path / "t.parquet")
    day = pa.array([1, 2], pa.date32())
    pq.write_table(pa.table({"a": [1.0, 2.0], "day": day}), tmp_path / "d.parquet")
    with pytest.raises(ValueError, match=r"column 'day' holds date32\[day\], expected numbers"):
        read_table(tmp_path / "d.parquet")
    with pytest.raises(ValueError, match="label column 'day' holds date32"):
        read_table(tmp_path / "d.parquet", label_column="day")
    pq.write_table(pa.table({"id": [2**53 + 1]}), tmp_path / "i.parquet")
    with pytest.raises(ValueError, match="9007199254740993"):
        read_table(tmp_path / "i.parquet")


def test_damage_inside_a_parquet_file(tmp_path):
    path = tmp_path / "t.parquet"
    values = np.random.default_rng(0).normal(size=10_000)
    pq.write_table(pa.table({"a": values}), path, use_dictionary=False)
    broken = bytearray(path.read_bytes())
    broken[4:40] = b"\xff" * 36
    path.write_bytes(broken)
    with pytest.raises(ValueError, match="damaged"):
        read_table(path)


def test_folders_and_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match="is not a regular file"):
        read_table(tmp_path / "folder.csv")


def test_the_errors_of_a_consumer_pass_unchanged(tmp_path, frame):
    """A reader's translation of errors must not touch those of the loop around it."""
    for name in ("t.csv.gz", "t.parquet"):
        path = save(frame, tmp_path / name)
        stream = stream_table(path, columns=["a"], batch_rows=10)
        next(stream)
        with pytest.raises(EOFError, match="mine"):
            stream.throw(EOFError("mine"))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("iris", (150, 4)),
        ("wine", (178, 13)),
        ("breast_cancer", (569, 30)),
        ("diabetes", (442, 10)),
        ("digits", (1797, 64)),
    ],
)
def test_embedded_sets(name, shape):
    table = load_sklearn(name)
    assert table.X.shape == shape
    assert len(table.columns) == shape[1]
    assert table.image_shape == ((8, 8) if name == "digits" else None)
    assert (table.labels is None) == (name == "diabetes")
    with pytest.raises(ValueError, match="name is 'moon', expected one of iris"):
        load_sklearn("moon")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data sets are not there")
def test_mnist_and_covertype():
    mnist = SHARED / "mnist"
    files = [mnist / f"t10k-{kind}-ubyte.gz" for kind in ("labels-idx1", "images-idx3")]
    table = read_tables(files)
    assert table.X.shape == (10_000, 784)
    assert table.image_shape == (28, 28)
    assert np.bincount(table.labels)[:3].tolist() == [980, 1135, 1032]
    assert table.X.max() == 255
    stream = stream_table(SHARED / "uci" / "covtype.csv.xz", columns=["Elevation", "Slope"])
    assert next(stream).X[:2].tolist() == [[2596, 3], [2590, 2]]
