"""Tables from files and back, whole or in batches.

Example:
    >>> load_sklearn("digits").image_shape
    (8, 8)
"""

from anabranch.data.atomic import atomic_write, check_output
from anabranch.data.embedded import load_sklearn
from anabranch.data.finite import check_finite
from anabranch.data.reading import read_table, read_tables, stream_table, stream_tables
from anabranch.data.table import Table
from anabranch.data.writing import TableWriter, write_table

__all__ = [
    "Table",
    "TableWriter",
    "atomic_write",
    "check_finite",
    "check_output",
    "load_sklearn",
    "read_table",
    "read_tables",
    "stream_table",
    "stream_tables",
    "write_table",
]
