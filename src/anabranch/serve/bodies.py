"""What is sent to the service and what it answers: JSON and Arrow streams, read with suspicion."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, cast

import pandas as pd

from anabranch.data.extras import pyarrow_module

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"


class BodyError(ValueError):
    """A body that is not what it says it is."""


class TooLargeError(ValueError):
    """A body with more rows, or more bytes once it is unpacked, than the service takes."""


def read_object(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        BodyError: for anything else; numbers that are not finite are no JSON.

    Example:
        >>> read_object(b'{"n": 3}')
        {'n': 3}
    """

    def refuse(constant: str) -> NoReturn:
        raise BodyError(f"{constant} is no JSON: send null for a missing number")

    try:
        found = json.loads(body, parse_constant=refuse)
    except BodyError:
        raise
    except (ValueError, RecursionError) as error:  # bytes that are no text are ValueErrors, too
        raise BodyError(f"the body is no JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise BodyError(f"the body must be a JSON object, got a {type(found).__name__}")
    return found


def read_rows(
    body: bytes, kind: str, names: Sequence[str], *, most_rows: int, most_bytes: int
) -> pd.DataFrame:
    """The rows of a body, as a frame.

    Args:
        body: {"columns": {name: [...], ...}} or {"rows": [[...], ...]} as JSON, or an Arrow stream.
        kind: the type of its content, `JSON` or `ARROW`.
        names: of the columns of "rows", which have none.
        most_rows: rows that are taken.
        most_bytes: of memory that the columns of an Arrow stream may take.

    Raises:
        BodyError: for what is neither.
        TooLargeError: for too many rows.

    Example:
        >>> body = b'{"rows": [[1, 2], [3, null]]}'
        >>> read_rows(body, JSON, ["a", "b"], most_rows=9, most_bytes=99)["b"].tolist()
        [2.0, nan]
    """
    if kind == ARROW:
        return _read_arrow(body, most_rows, most_bytes)
    told = read_object(body)
    if set(told) == {"columns"}:
        columns = told["columns"]
    elif set(told) == {"rows"}:
        columns = _columns_of(told["rows"], names)
    else:
        raise BodyError(
            f'the body must be {{"columns": {{...}}}} or {{"rows": [...]}}, got {_listed(told)}'
        )
    if not isinstance(columns, Mapping) or not columns:
        raise BodyError('"columns" must be an object of lists, one for each column')
    for name, values in columns.items():
        if not isinstance(values, list):
            raise BodyError(f"column {name!r} must be a list, got a {type(values).__name__}")
        if bad := next((v for v in values if isinstance(v, list | dict)), None):
            raise BodyError(f"column {name!r} must hold plain values, got a {type(bad).__name__}")
    sizes = {name: len(values) for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        raise BodyError(f"columns must be equally long, got {_listed(sizes)} of {sizes.values()}")
    _check_rows(next(iter(sizes.values())), most_rows)
    try:
        return pd.DataFrame(dict(columns))
    except (ValueError, OverflowError) as error:
        raise BodyError(f"the columns are no table: {error}") from error


def write_answer(found: pd.DataFrame, kind: str) -> bytes:
    """Answers as {"columns": {...}} in JSON, or as an Arrow stream; null where there is none.

    Example:
        >>> write_answer(pd.DataFrame({"log_prob": [-1.5, None]}), JSON)
        b'{"columns": {"log_prob": [-1.5, null]}}'
    """
    if kind == ARROW:
        pa, ipc = pyarrow_module("pyarrow"), pyarrow_module("pyarrow.ipc")
        table = pa.Table.from_pandas(found, preserve_index=False)
        buffer = io.BytesIO()
        with ipc.new_stream(buffer, table.schema) as writer:
            writer.write_table(table)
        return buffer.getvalue()
    columns = {str(name): _plain(found[name]) for name in found}
    return json.dumps({"columns": columns}, allow_nan=False).encode()


def _plain(column: Any) -> list[Any]:
    values = column.astype(object).where(column.notna(), None).tolist()
    return [
        None if isinstance(v, float) and not math.isfinite(v) else v if _is_json(v) else str(v)
        for v in values
    ]


def _is_json(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _columns_of(rows: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    """Columns of a list of lists, by the names of the model's."""
    if not isinstance(rows, list) or not rows:
        raise BodyError('"rows" must be a list of rows, with at least one')
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            got = f"{len(row)} values" if isinstance(row, list) else f"a {type(row).__name__}"
            raise BodyError(f"row {i} must be a list of {len(names)} values, got {got}")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _read_arrow(body: bytes, most_rows: int, most_bytes: int) -> pd.DataFrame:
    pa, ipc = pyarrow_module("pyarrow"), pyarrow_module("pyarrow.ipc")
    batches, n_rows, n_bytes = [], 0, 0
    try:
        with ipc.open_stream(body) as reader:
            for batch in reader:
                batch.validate(full=True)
                n_rows, n_bytes = n_rows + batch.num_rows, n_bytes + batch.nbytes
                _check_rows(n_rows, most_rows)
                if n_bytes > most_bytes:
                    raise TooLargeError(f"the columns take more than {most_bytes} bytes")
                batches.append(batch)
            frame = pa.Table.from_batches(batches, reader.schema).to_pandas()
    except TooLargeError:
        raise
    except (pa.ArrowException, ValueError, OSError, EOFError, UnicodeDecodeError) as error:
        raise BodyError(f"the body is no Arrow stream: {str(error)[:200]}") from error
    return cast("pd.DataFrame", frame)


def _check_rows(n_rows: int, most_rows: int) -> None:
    if n_rows > most_rows:
        raise TooLargeError(f"a request has at most {most_rows} rows, got {n_rows} or more")


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(map(str, list(names)[:10])) or "nothing"
