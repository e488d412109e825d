import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anabranch.data import write_table

# The growth of the resident memory while a file is streamed, in MB, on Linux.
STREAM = """
import sys
from anabranch.data import stream_table

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

# Imports come first: they cost more than the data.
list(stream_table(sys.argv[3]))
start, peak, rows, total = resident(), 0.0, 0, 0.0
for table in stream_table(sys.argv[1], columns=sys.argv[2].split(",")):
    rows, total, peak = rows + len(table), total + table.X.sum(), max(peak, resident())
print(rows, total, peak - start)
"""


def stream(path, columns):
    small = path.with_stem("small")
    write_table(small, {"a": np.ones(10)})
    command = [sys.executable, "-c", STREAM, str(path), ",".join(columns), str(small)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows, total, growth = output.split()
    return int(rows), float(total), float(growth)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
@pytest.mark.parametrize("group", ["one row group", "many row groups"])
def test_parquet_is_streamed_in_little_memory(tmp_path, group):
    """Even from a single row group, which a plain reader holds whole: 200 MB here."""
    path = tmp_path / "big.parquet"
    n = 2_500_000
    values = np.random.default_rng(0).random(n)
    table = pa.table({f"c{i}": values for i in range(10)})
    size = n if group == "one row group" else 100_000
    pq.write_table(table, path, row_group_size=size, compression="none", use_dictionary=False)
    assert path.stat().st_size > 195e6
    rows, total, growth = stream(path, table.column_names)
    assert rows == n
    assert total == pytest.approx(10 * values.sum())
    assert growth < 100


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_csv_is_streamed_in_little_memory(tmp_path):
    path = tmp_path / "big.csv"
    line = b",".join([b"0.123456789012345"] * 8) + b"\n"
    path.write_bytes(b"a,b,c,d,e,f,g,h\n" + line * 800_000)
    assert path.stat().st_size > 110e6
    rows, _, growth = stream(path, ["a", "h"])
    assert rows == 800_000
    assert growth < 100
