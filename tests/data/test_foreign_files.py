"""Files as strangers make them: other separators, forged headers, bombs, odd text."""

import gzip
import io
import struct
import zipfile
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anabranch.data import csv_files, csv_text, read_table, read_tables

LARGE = 2**53 + 1  # the first integer that double precision does not hold
EXACT = 2**60 + 256  # as epochs in nanoseconds: beyond it, and held


def npy(shape, version=(1, 0), header="{{'descr': '<f8', 'fortran_order': False, 'shape': {}}}"):
    """The header of an array, without its data."""
    text = header.format(shape).encode() + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text


def npz(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return file.getvalue()


def array(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def changed(content, local, central, value):
    """A zip file whose only member has another value in both of its headers."""
    content = bytearray(content)
    for signature, offset in ((b"PK\3\4", local), (b"PK\1\2", central)):
        struct.pack_into("<H", content, content.index(signature) + offset, value)
    return bytes(content)


def parquet(columns, metadata=None):
    file = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), file)
    return file.getvalue()


ONE = npz(X_npy=array(np.ones((3, 2))))
HUGE = (10**23, 2)
BAD = {
    "huge.npy": (npy(HUGE), "less data than the shape"),
    "negative.npy": (npy((-1, 2)), "less data than the shape"),
    "no-literal.npy": (npy("((("), "not a NumPy .npy file, or it is damaged"),
    "nested.npy": (npy("(" * 3000), "not a NumPy .npy file, or it is damaged"),
    "integers.npy": (array(np.array([[1, LARGE]])), f"column 'x1' holds {LARGE}, which double"),
    "huge.npz": (npz(X_npy=npy(HUGE)), "less data than the shape"),
    "huge-labels.npz": (npz(X_npy=array(np.ones((2, 2))), y_npy=npy((10**10,))), "less data than"),
    "no-array.npz": (npz(X="no array"), "holds the arrays none"),
    "junk.npz": (npz(X_npy="no array"), "not a NumPy .npz file, or it is damaged"),
    "encrypted.npz": (changed(ONE, 6, 8, 1), "is encrypted"),
    "compression.npz": (changed(ONE, 8, 10, 99), "compression method is not supported"),
    "bomb.npz": (npz(X_npy=npy((10**6, 20)) + bytes(16 * 10**7)), "over 250 times its own size"),
    "bomb.idx.gz": (
        gzip.compress(struct.pack(">4BII", 0, 0, 8, 2, 10**6, 200) + bytes(10**6)),
        "over 250 times its own size",
    ),
    "integers.parquet": (parquet({"id": [1, LARGE]}), f"column 'id' holds {LARGE}, which double"),
    "decimals.parquet": (parquet({"id": [Decimal(LARGE)]}), f"column 'id' holds {LARGE}, which"),
    "integers.csv": (f"id,b\n1,1\n-{LARGE},1\n", f"row 2 of column 'id' holds -{LARGE}, which"),
    "header.csv": ("a,b", "holds no rows, only column names"),
    "quote.csv": ('a,b\n1,"2\n3,4\n', "row 1: unexpected end of data .has a quote"),
    "quoted-header.csv": ('"a,b\n1,2\n', "has a quote that opens no end"),
    "long-quote.csv": ('a,b\n1,"' + "2\n" * 10**5, "row 1: field larger than .*has a quote"),
    "ragged-bytes.csv": (b"a,b\n1,2\n3,\xff,5\n", "row 2 has 3 cells, not 2"),
    "label-bytes.csv": (b"a,k\n1,x\n2,\xff\n", "is not text in UTF-8: row 2 holds"),
    "utf16.csv": ("a,b\n1,2\n".encode("utf-16"), "is text in UTF-16: save it in UTF-8"),
    "blanks.csv": ("a\n1\n  \n", "column 'a' holds the text '  ' in row 2"),
    "semicolons.csv": ("a;b\n1;2\n", "looks separated by ';', not by ',': say delimiter=';'$"),
    "commas.csv": ("a;b\n1,5;2,5\n", "by ';', .*: say delimiter=';', and decimal=','"),
    "tabs.csv": ("a\tb\n1\t2\n", "looks separated by '\\\\t'"),
    "spaces.txt": ("1.0 2.0\n3.0 4.0\n", "looks separated by ' '"),
    "decimals.csv": ('a,b\n"1,5",2\n', "the text '1,5' in row 1 .*then say decimal=','"),
    "booleans.csv": ("a,b\nTrue,2\n2,3\n", "holds the text '2' in row 2 .*, expected True or Fal"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path, name):
    content, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as caught:
        read_table(path, label_column="k" if name.startswith("label") else None)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


GOOD = {
    "line.csv": ("a\n1\n\n3\n", {}, [[1], [np.nan], [3]]),
    "lead.csv": ("\n\na\n1\n\n3\n", {}, [[1], [np.nan], [3]]),
    "bare.csv": ("1\n\n3\n", {"header": False}, [[1], [np.nan], [3]]),
    "mac.csv": ("a,b\r1,2\r3,4\r", {}, [[1, 2], [3, 4]]),
    "tab.tsv": ("a\tb\n1\t2\n", {}, [[1, 2]]),
    "comma.txt": ("a,b\n1,2\n", {}, [[1, 2]]),
    "european.csv": (
        "a;b\n1,5;-2,5e3\n;4\n",
        {"delimiter": ";", "decimal": ","},
        [[1.5, -2500], [np.nan, 4]],
    ),
    "space.txt": ("1.0 2.0\n3.0 4.0\n", {"delimiter": " ", "header": False}, [[1, 2], [3, 4]]),
    "name.csv": ("petal length\n1.5\n", {}, [[1.5]]),
    "inches.csv": ('a,"b"\n1,"2"\n3,4\n', {}, [[1, 2], [3, 4]]),
    "truth.csv": ("a,b\n,True\nTRUE,False\nfalse,NA\n", {}, [[np.nan, 1], [1, 0], [0, np.nan]]),
    "exact.csv": (f"a\n{EXACT}\n-{2**53}\n1e300\n", {}, [[EXACT], [-(2**53)], [1e300]]),
    "exact.parquet": (parquet({"a": [EXACT, None]}), {}, [[EXACT], [np.nan]]),
    "exact.npy": (array(np.array([[EXACT]])), {}, [[EXACT]]),
    "others.npz": (npz(X_npy=array(np.ones((1, 2))), o_npy="junk", read_me="?"), {}, [[1, 1]]),
    "meta.parquet": (parquet({"a": [1.0]}, {"pandas": "{no json"}), {}, [[1]]),
    "list.parquet": (parquet({"a": [1.0]}, {"pandas": "[1]"}), {}, [[1]]),
    "number.parquet": (parquet({"a": [1.0]}, {"pandas": '{"index_columns": 5}'}), {}, [[1]]),
    "bytes.parquet": (parquet({"a": [1.0]}, {"pandas": b"\xff"}), {}, [[1]]),
    "nested.parquet": (parquet({"a": [1.0]}, {"pandas": "[" * 10**5}), {}, [[1]]),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_read_is_read(tmp_path, name):
    content, csv, rows = GOOD[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    np.testing.assert_array_equal(read_table(path, **csv).X, rows)


def test_a_quote_within_a_cell_is_no_open_quote(tmp_path):
    path = tmp_path / "pipes.csv"
    path.write_text('size,name\n1,5" pipe\n2,plain\n')
    assert read_table(path, columns=["size"]).X.ravel().tolist() == [1, 2]


@pytest.mark.parametrize("name", ["a_rather_long_name_{}", "g{}"])
def test_rows_longer_than_a_block(tmp_path, monkeypatch, name):
    """Of the names, or of the cells, of which the first ones are short."""
    monkeypatch.setattr(csv_text, "_START_BYTES", 256)
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 256)
    path, n, cells = tmp_path / "wide.csv", 500, ("0", "0.1234567890123456")
    rows = "\n".join(",".join([cell] * n) for cell in cells for _ in range(4))
    path.write_text(",".join(name.format(i) for i in range(n)) + f"\n{rows}\n")
    X = read_table(path).X
    assert X.shape == (8, n)
    assert (np.repeat([float(cell) for cell in cells], 4) == X.T).all()


def test_names_are_told_apart_only_where_they_are_chosen(tmp_path):
    twice = pa.Table.from_arrays([pa.array([i]) for i in range(4)], names=["a", "a", "b", "c"])
    pq.write_table(twice, tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("a,a,b,c\n0,1,2,3\n")
    for path in (tmp_path / "t.parquet", tmp_path / "t.csv"):
        assert read_table(path, columns=["c", "b"]).X.tolist() == [[3, 2]]
        for columns in (None, ["a"]):
            with pytest.raises(ValueError, match="hold 'a' more than once"):
                read_table(path, columns=columns)


@pytest.mark.parametrize(
    ("csv", "error", "message"),
    [
        ({"delimiter": ";;"}, ValueError, "delimiter is ';;', expected one character"),
        ({"delimiter": ""}, ValueError, "delimiter is '', expected one character"),
        ({"delimiter": '"'}, ValueError, "expected one character"),
        ({"decimal": ","}, ValueError, "decimal is ',' and the delimiter ','"),
        ({"decimal": "x"}, ValueError, "expected '.' or ','"),
        ({"separator": ";"}, TypeError, "there is no keyword 'separator'"),
    ],
)
def test_formats_that_cannot_be(tmp_path, csv, error, message):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(error, match=message):
        read_tables([tmp_path / "t.csv"], **csv)


@pytest.mark.parametrize(
    ("cells", "labels", "names"),
    [
        (["NA", "null", "nan", "SE"], [0, 3, 2, 1], ["NA", "SE", "nan", "null"]),
        (["cat", "-1", "", "dog"], [0, -1, -1, 1], ["cat", "dog"]),
        (["01", "1", "02", "-1"], [0, 2, 1, -1], ["01", "02", "1"]),
        (["1_0", "1", "", "2"], [1, 0, -1, 2], ["1", "1_0", "2"]),
        (["1.0", "1", "2e1", ""], [1, 1, 20, -1], None),
        (["True", "False", "", "True"], [1, 0, -1, 1], ["False", "True"]),
    ],
)
def test_labels_are_what_is_written(tmp_path, cells, labels, names):
    frame = pd.DataFrame({"x": range(4), "k": cells})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for path in (tmp_path / "t.csv", tmp_path / "t.parquet"):
        table = read_table(path, label_column="k")
        assert (table.labels.tolist(), table.label_names) == (labels, names)


def test_na_beside_integers_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("x,k\n1,0\n2,NA\n")
    with pytest.raises(ValueError, match="labels hold 'NA' beside integers: leave the cell blank"):
        read_table(tmp_path / "t.csv", label_column="k")
