"""The entropy coder: every stream comes back, at the length that the frequencies ask."""

import numpy as np
import pytest

from anabranch.coding.rans import TOTAL, Code, DamagedCodeError, Decoder, encode


def tables(turns, n, levels, source):
    """Random frequencies, sharp and flat ones, and symbols drawn from them."""
    weights = source.gamma(source.choice([0.02, 0.3, 5.0]), size=(turns, n, levels)) + 1e-9
    sizes = 1 + (weights / weights.sum(-1, keepdims=True) * (TOTAL - levels)).astype(np.int64)
    sizes[..., 0] += TOTAL - sizes.sum(-1)
    starts = sizes.cumsum(-1) - sizes
    u = source.integers(0, TOTAL, (turns, n, 1))
    return starts, sizes, (starts <= u).sum(-1) - 1


def coded(starts, sizes, symbols, lanes):
    chosen = [np.take_along_axis(t, symbols[..., None], -1)[..., 0] for t in (starts, sizes)]
    return encode(*chosen, lanes)


@pytest.mark.parametrize(
    ("turns", "n", "levels", "lanes"),
    [(1, 1, 2, 1), (50, 7, 256, 3), (40, 64, 10, 64), (3, 5, 2, 9), (200, 1, 3, 1), (30, 20, 1, 4)],
)
def test_what_was_coded_comes_back(turns, n, levels, lanes):
    starts, sizes, symbols = tables(turns, n, levels, np.random.default_rng(turns + n))
    decoder = Decoder(coded(starts, sizes, symbols, lanes))
    assert all((decoder.turn(table) == s).all() for table, s in zip(starts, symbols, strict=True))
    decoder.finish()


def test_the_length_is_that_of_the_information():
    starts, sizes, symbols = tables(400, 100, 256, np.random.default_rng(1))
    code = coded(starts, sizes, symbols, lanes=4)
    chosen = np.take_along_axis(sizes, symbols[..., None], -1)
    asked = (16 - np.log2(chosen)).sum()
    assert 0 < 16 * len(code.words) + 40 * len(code.states) - asked < 2e-4 * asked + 4 * 40


def test_a_stream_that_ends_early_or_late_is_refused():
    starts, sizes, symbols = tables(20, 6, 16, np.random.default_rng(2))
    states, words = coded(starts, sizes, symbols, lanes=2)

    def read(code):
        decoder = Decoder(code)
        for table in starts:
            decoder.turn(table)
        decoder.finish()

    with pytest.raises(DamagedCodeError, match="ends too early"):
        read(Code(states, words[:-1]))
    with pytest.raises(DamagedCodeError, match="does not end"):
        read(Code(states, np.append(words, np.uint16(0))))
    with pytest.raises(DamagedCodeError, match="a state"):
        read(Code(states * 0, words))


@pytest.mark.parametrize(
    ("starts", "sizes", "lanes", "reason"),
    [
        ([[0]], [[0]], 1, "positive"),
        ([[65530]], [[10]], 1, "within"),
        ([[0]], [[1, 2]], 1, "equal"),
        ([[0]], [[1]], 0, "lanes"),
    ],
)
def test_wrong_intervals_are_refused(starts, sizes, lanes, reason):
    with pytest.raises(ValueError, match=reason):
        encode(np.array(starts), np.array(sizes), lanes)
