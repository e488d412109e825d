"""Damage to files: flipped and lost bytes, and trees that make no sense under a right checksum."""

import copy
import random
from collections.abc import Iterator

import torch
from torch import Tensor

from anabranch.estimators.estimator import Json

Branch = dict[str, object] | list[object]
NAN = float("nan")
JUNK: tuple[object, ...] = (
    *(None, True, 0, 1, -1, 7, 10**9, 2**70, -2.5, NAN, float("inf"), "", "x", "\x1b[31m"),
    *("a" * 9999, [], [1], [[]], {}, {"a": 1}, [None] * 5, torch.ones(2), torch.zeros(0)),
)


def damaged(content: bytes, source: random.Random) -> bytes:
    """Content with bytes flipped, cut off, put in, doubled, or set to zero; never the same.

    Example:
        >>> damaged(b"whole", random.Random(0)) == b"whole"
        False
    """
    first, last = sorted(source.sample(range(len(content) + 1), 2))
    part = content[first:last]
    changed = source.choice(
        [
            bytes(byte ^ source.randrange(1, 256) for byte in part[:8]) + part[8:],
            b"",
            part + part,
            part + source.randbytes(source.randrange(1, 99)),
            bytes(len(part)),
        ]
    )
    new = content[:first] + changed + content[last:]
    return new if new != content else content + b"\0"


def forged(tree: dict[str, Json], source: random.Random) -> dict[str, object]:
    """A tree with one value that is missing, another, or twice as long.

    Example:
        >>> forged({"steps": 3}, random.Random(1)) == {"steps": 3}
        False
    """
    new = copy.deepcopy(tree)
    # numbers of a history are many, and alike
    parent, key = source.choice([place for place in _places(new, ()) if place[1] != "history"])
    value = parent[key]  # pyright: ignore[reportArgumentType, reportCallIssue]
    if source.random() < 0.15:
        del parent[key]  # pyright: ignore[reportArgumentType, reportCallIssue]
    else:
        parent[key] = _other(value, source)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return new  # pyright: ignore[reportReturnType]


def _places(node: object, under: tuple[object, ...]) -> Iterator[tuple[Branch, str | int]]:
    if "history" in under or not isinstance(node, dict | list):
        return
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        yield from _places(value, (*under, key))


def _other(value: object, source: random.Random) -> object:
    if source.random() < 0.4:
        return source.choice(JUNK)
    if isinstance(value, Tensor):
        return source.choice(_tensors(value))
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return source.choice([value + 1, value - 1, -value - 1, value * 1000 + 1, float(value) / 3])
    if isinstance(value, list):
        return value + value or [0]
    return source.choice(JUNK)


def _tensors(value: Tensor) -> list[Tensor]:
    rows = value if value.ndim else value[None]
    spoilt = value.double().clone()
    spoilt.reshape(-1)[:1] = NAN
    return [value[None], torch.cat([rows, rows]), rows[:-1], value.bool(), spoilt, -value.double()]
