r"""Asymmetric numeral systems in lanes: many states, one stream of words.

A lane holds a state :math:`2^{24} \le x < 2^{40}`. A symbol of frequency f out of :math:`2^{16}`,
whose interval begins at b, takes it to

.. math:: x' = 2^{16} \lfloor x / f \rfloor + b + (x \bmod f)

and back, once words of 16 bits have left a state that would grow too large. Lanes are coded side by
side as vectors, and share the stream: who needs a word takes the next one, in the order of lanes.

Source: Duda (2013), "Asymmetric numeral systems", arXiv:1311.2540; Giesen (2014), "Interleaved
entropy coders", arXiv:1402.3392.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PRECISION = 16  # bits of a frequency, and of a word
TOTAL = 1 << PRECISION
STATE_BYTES = 5
_LOW = np.uint64(24)  # states begin at, and never fall below, two to this power
_WORD = np.uint64(PRECISION)
_MASK = np.uint64(TOTAL - 1)
_START = np.uint64(1) << _LOW

Words = NDArray[np.uint16]
Counts = NDArray[np.uint32]


class DamagedCodeError(ValueError):
    """A code that no encoder has written."""


class Code(NamedTuple):
    """What an encoder has written.

    Attributes:
        states: (lanes,) the last states.
        words: (n,) the stream, in the order in which a decoder reads it.
    """

    states: NDArray[np.uint64]
    words: Words


def encode(starts: Counts, sizes: Counts, lanes: int) -> Code:
    """Code symbols by the intervals that a model gave them.

    Args:
        starts: (turns, n) where the interval of each symbol begins; the symbols of a turn go to the
            lanes one after the other, and round again where there are more than lanes.
        sizes: (turns, n) their frequencies, positive, out of 65536.
        lanes: how many.

    Raises:
        ValueError: for no lanes, unlike shapes, or intervals that do not lie within 65536.

    Example:
        >>> code = encode(np.array([[0, 32768]]), np.array([[32768, 32768]]), lanes=1)
        >>> decoder = Decoder(code)
        >>> decoder.turn(np.array([[0, 32768], [0, 32768]]))
        array([0, 1])
        >>> decoder.finish()
    """
    starts, sizes = np.asarray(starts, np.uint32), np.asarray(sizes, np.uint32)
    if lanes < 1:
        raise ValueError(f"lanes must be at least 1, got {lanes}")
    if starts.shape != sizes.shape or starts.ndim != 2:
        raise ValueError(f"starts {starts.shape} and sizes {sizes.shape} must be two equal tables")
    if sizes.size and (sizes.min() < 1 or (starts.astype(np.uint64) + sizes).max() > TOTAL):
        raise ValueError(f"intervals must be positive and lie within {TOTAL}")
    states = np.full(lanes, _START)
    chunks: list[Words] = []
    for start, size in zip(starts[::-1], sizes[::-1], strict=True):
        for first in reversed(range(0, len(start), lanes)):
            _push(states, start[first : first + lanes], size[first : first + lanes], chunks)
    words = np.concatenate(chunks[::-1]) if chunks else np.zeros(0, np.uint16)
    return Code(states, words)


def _push(states: NDArray[np.uint64], start: Counts, size: Counts, chunks: list[Words]) -> None:
    """Code one symbol in each of the first lanes."""
    x, f = states[: len(size)], size.astype(np.uint64)
    full = x >= f << _LOW
    chunks.append((x[full] & _MASK).astype(np.uint16))
    x[full] >>= _WORD
    quotient = x // f
    x[:] = (quotient << _WORD) + (x - quotient * f) + start


class Decoder:
    """Reads symbols in the order in which they were given to `encode`.

    Args:
        code: what it has written.

    Raises:
        DamagedCodeError: for states that there cannot be.
    """

    def __init__(self, code: Code) -> None:
        self._states, self._words, self._place = code.states.copy(), code.words, 0
        if (self._states < _START).any() or (self._states >= _START << _WORD).any():
            raise DamagedCodeError("a lane has a state that there cannot be")

    def turn(self, starts: NDArray[np.integer]) -> NDArray[np.int64]:
        """The symbols of a turn.

        Args:
            starts: (n, levels) where the intervals of all symbols begin, from 0 on and increasing;
                the last one ends at 65536.

        Returns:
            (n,) symbols.

        Raises:
            DamagedCodeError: where the stream ends too early.
        """
        lanes = len(self._states)
        parts = [self._pop(starts[i : i + lanes]) for i in range(0, len(starts), lanes)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def finish(self) -> None:
        """Make sure that all that was coded has been read, and that nothing is left.

        Raises:
            DamagedCodeError: where it is not so.
        """
        if self._place != len(self._words) or (self._states != _START).any():
            raise DamagedCodeError("the code does not end where its symbols end")

    def _pop(self, starts: NDArray[np.integer]) -> NDArray[np.int64]:
        x = self._states[: len(starts)]
        slot = (x & _MASK).astype(np.int64)
        symbols = _find(starts, slot)
        rows = np.arange(len(starts))
        begin = starts[rows, symbols].astype(np.int64)
        last = symbols + 1 == starts.shape[1]
        following = starts[rows, np.where(last, symbols, symbols + 1)]
        size = np.where(last, TOTAL, following).astype(np.int64) - begin
        x[:] = size.astype(np.uint64) * (x >> _WORD) + (slot - begin).astype(np.uint64)
        short = np.flatnonzero(x < _START)
        words = self._words[self._place : self._place + len(short)]
        if len(words) < len(short):
            raise DamagedCodeError("the stream of words ends too early")
        self._place += len(short)
        x[short] = (x[short] << _WORD) | words
        return symbols


def _find(starts: NDArray[np.integer], slot: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last interval of each row that begins at or before a slot, by bisection."""
    rows, levels = np.arange(len(starts)), starts.shape[1]
    found = np.zeros(len(starts), np.int64)
    step = 1 << (max(levels - 1, 1).bit_length() - 1)
    while step:
        ahead = found + step
        inside = ahead < levels
        reached = starts[rows, np.where(inside, ahead, 0)] <= slot
        found = np.where(inside & reached, ahead, found)
        step >>= 1
    return found
