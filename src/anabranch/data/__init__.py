"""Tables from files and back, whole or in batches.

Example:
    >>> load_sklearn("digits").image_shape
    (8, 8)
"""

from anabranch.data.atomic import atomic_write as atomic_write
from anabranch.data.atomic import check_output as check_output
from anabranch.data.embedded import load_sklearn as load_sklearn
from anabranch.data.finite import check_finite as check_finite
from anabranch.data.parquet_rows import ParquetRows as ParquetRows
from anabranch.data.reading import read_mixed as read_mixed
from anabranch.data.reading import read_table as read_table
from anabranch.data.reading import read_tables as read_tables
from anabranch.data.reading import stream_table as stream_table
from anabranch.data.reading import stream_tables as stream_tables
from anabranch.data.table import Table as Table
from anabranch.data.writing import TableWriter as TableWriter
from anabranch.data.writing import write_table as write_table
