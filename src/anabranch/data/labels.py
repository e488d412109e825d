"""Labels of any kind of column to integer codes, with -1 where the label is missing."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.generic] | NDArray[np.object_]
_SHOWN = 5
_UNKNOWN = {"-1", "-1.0"}
_MISSING_ELSEWHERE = {"na", "nan", "n/a", "#n/a", "null", "none", "?"}
# as float() reads them, but for zeros in front, underscores and digits of other scripts
_NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?inf", re.ASCII | re.I)


def label_names_of(chunks: Iterable[Values]) -> list[str] | None:
    """Return the sorted label texts of a column given in chunks, or None if all are integers.

    A zero in front makes a text: "01" is not 1.

    Raises:
        ValueError: If the labels are numbers but not integers, or integers beside what many tools
            write for a missing value, such as "NA".
    """
    texts: set[str] = set()
    for chunk in chunks:
        texts.update(_distinct(chunk)[0])
    texts.discard("")
    numbers = {text: number for text in texts if (number := _number(text)) is not None}
    others = texts - numbers.keys()
    if not others:
        for number in numbers.values():
            if not number.is_integer():
                raise ValueError(f"the labels hold {number}, expected integers or text")
        return None
    if numbers.keys() - _UNKNOWN and all(text.lower() in _MISSING_ELSEWHERE for text in others):
        raise ValueError(
            f"the labels hold {min(others)!r} beside integers: leave the cell blank, or write -1, "
            "where a label is missing"
        )
    return sorted(texts - _UNKNOWN)


def encode_labels(values: Values, names: Sequence[str] | None) -> NDArray[np.int64]:
    """Return the codes of labels: positions in `names`, or the integers themselves.

    Raises:
        ValueError: If a label is not among `names`, or is neither integer nor missing.
    """
    texts, positions = _distinct(values)
    codes = {name: code for code, name in enumerate(names)} if names is not None else None
    return np.array([_code(text, codes) for text in texts], dtype=np.int64)[positions]


def _code(text: str, codes: dict[str, int] | None) -> int:
    if text == "" or text in _UNKNOWN:
        return -1
    if codes is None:
        return _integer_code(text)
    if text not in codes:
        shown = ", ".join(map(repr, list(codes)[:_SHOWN])) + (", ..." * (len(codes) > _SHOWN))
        raise ValueError(f"the labels hold {text!r}, expected one of {shown}")
    return codes[text]


def _integer_code(text: str) -> int:
    number = _number(text)
    if number is None or not number.is_integer():
        raise ValueError(f"the labels hold {text!r}, expected integers")
    if not -1 <= number < 2**53:
        raise ValueError(f"the labels hold {text}, expected 0, 1, ... or -1 where missing")
    return int(number)


def _distinct(values: Values) -> tuple[list[str], NDArray[np.int64]]:
    """Return the texts of the distinct labels, and which of them each label is."""
    if values.dtype.kind in "fiub":
        distinct, positions = np.unique(values, return_inverse=True)
        return [_text(value) for value in distinct.tolist()], positions.reshape(-1)
    items = values.tolist()
    order = {value: i for i, value in enumerate(dict.fromkeys(items))}
    return [_text(value) for value in order], np.array([order[v] for v in items], dtype=np.int64)


def _text(value: object) -> str:
    """Return integers without a decimal point, and '' for a missing label."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    missing = value is None or value != value
    return "" if missing else str(value).strip()


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None
