"""Splits, and couplings over images whose conditioner is another than the MLP."""

from functools import partial

import pytest
import torch

from anabranch.networks import MLP, ConvNet
from anabranch.transforms import (
    Affine,
    Channels,
    Checkerboard,
    Coupling,
    EveryOther,
    Half,
    Mask,
    two_sided_coupling,
)
from tests.battery import jacobian, same
from tests.registry import perturb, seeded

SHAPE = (2, 4, 6)
X = torch.randn(5, *SHAPE, generator=seeded(0), dtype=torch.float64)
BOARDS = [Checkerboard(SHAPE, turn) for turn in (0, 1)]
IMAGE_SPLITS = [*BOARDS, Channels(SHAPE), Channels(SHAPE, 1), Channels((3, 2, 2), 1)]
ODD = [
    Checkerboard((2, h, w), turn) for h, w in ((3, 5), (4, 5), (5, 4), (1, 3)) for turn in (0, 1)
]
COLUMN_SPLITS = [Half(5), Half(5, 1), EveryOther(5), EveryOther(4, 1), Mask([True, False, True])]


def conv_coupling(split, event_shape=SHAPE, **kwargs):
    conditioner = partial(ConvNet, channels=5, patch=2)
    return Coupling(Affine(), event_shape, split=split, conditioner=conditioner, **kwargs)


def moves(split):
    """Where an image changes when all that moves does."""
    kept, moved = split.split(torch.zeros(1, *split.shape))
    return split.merge(kept, moved + 1)[0].bool()


@pytest.mark.parametrize("split", [*IMAGE_SPLITS, *ODD], ids=repr)
def test_image_splits_merge_to_what_they_split(split):
    x = torch.randn(2, 3, *split.shape, generator=seeded(1))
    kept, moved = split.split(x)
    assert kept.shape[2:] == split.kept_shape
    assert torch.equal(split.merge(kept, moved), x)
    assert torch.equal(moves(split), ~moves(split.flipped()))
    assert torch.equal(moved.flatten(2).sort(-1)[0], x[..., moves(split)].sort(-1)[0])
    answers = torch.randn(2, 3, *split.told_shape, generator=seeded(2))
    assert split.told(answers).shape == moved.shape


@pytest.mark.parametrize("split", COLUMN_SPLITS, ids=repr)
def test_column_splits_merge_to_what_they_split(split):
    x = torch.randn(2, *split.shape, 3, generator=seeded(1))
    kept, moved = split.split(x)
    assert (kept.shape[1:-1], moved.shape[1:-1]) == (split.kept_shape, split.told_shape)
    assert torch.equal(split.merge(kept, moved), x)
    assert torch.equal(moved, x[:, torch.tensor(split.moves)])
    assert split.flipped().moves == [not move for move in split.moves]


@pytest.mark.parametrize("turn", [0, 1])
def test_checkerboard(turn):
    board = moves(Checkerboard((2, 3, 4), turn))
    assert torch.equal(board[0], board[1])
    assert bool(board[0, 0, 0]) == (turn == 0)
    assert (board[:, 1:] ^ board[:, :-1]).all()
    assert (board[:, :, 1:] ^ board[:, :, :-1]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Checkerboard((3, 1, 1)), r"more than one field to split, got \(3, 1, 1\)"),
        (lambda: Checkerboard((4, 4)), r"event_shape must be \(C, H, W\), got \(4, 4\)"),
        (lambda: Channels((1, 4, 4)), r"at least two channels to split, got \(1, 4, 4\)"),
        (lambda: conv_coupling(BOARDS[0], (1, 4, 6)), r"of \(2, 4, 6\), the event \(1, 4, 6\)"),
        (lambda: Coupling(Affine(), SHAPE, split=BOARDS[0]), "needs a conditioner"),
        (lambda: Coupling(Affine(), 3, context_features=SHAPE), "a vector context is needed"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("board", BOARDS)
def test_it_moves_the_board_as_told_by_the_kept_pixels_in_place(board):
    transform = perturb(conv_coupling(board).double())
    where = moves(board)
    shift, raw = transform.conditioner(torch.where(where, 0.0, X)).unflatten(1, (2, 2)).unbind(1)
    log_scale = 2 * torch.tanh(raw / 2)
    z, term = transform.encode(X)
    same(z, torch.where(where, X * log_scale.exp() + shift, X), 1e-12)
    same(term, log_scale[:, where].sum(-1), 1e-12)


def test_it_moves_channels_as_told_by_the_others():
    transform = perturb(conv_coupling(Channels(SHAPE)).double())
    shift, raw = transform.conditioner(X[:, :1]).unbind(1)
    log_scale = 2 * torch.tanh(raw / 2)
    z, term = transform.encode(X)
    same(z[:, 0], X[:, 0], 0.0)
    same(z[:, 1], X[:, 1] * log_scale.exp() + shift, 1e-12)
    same(term, log_scale.sum((1, 2)), 1e-12)


@pytest.mark.parametrize("split", [BOARDS[1], Channels(SHAPE)], ids=repr)
def test_no_moved_pixel_tells_another(split):
    transform = perturb(conv_coupling(split, 48).double())
    matrix = jacobian(lambda x: transform.encode(x)[0], X.flatten(1)[:2])
    off = matrix * (1 - torch.eye(48, dtype=torch.float64))
    where = moves(split).flatten()
    assert not off[:, :, where].any()
    assert off[:, where][:, :, ~where].any(dim=-1).all()


def test_rows_of_pixels_are_split_as_the_images_that_they_are():
    rows, images = (
        perturb(conv_coupling(BOARDS[0], event, generator=seeded(3)).double())
        for event in (48, SHAPE)
    )
    (z, term), (image, image_term) = rows.encode(X.flatten(1)), images.encode(X)
    assert torch.equal(z, image.flatten(1))
    assert torch.equal(term, image_term)


def test_an_event_of_two_axes_is_split_as_a_row():
    flat, whole = (perturb(Coupling(Affine(), e, generator=seeded(4))) for e in (6, (3, 2)))
    x = torch.randn(5, 3, 2, generator=seeded(0))
    assert torch.equal(whole.encode(x)[0], flat.encode(x.flatten(1))[0].view(5, 3, 2))


@pytest.mark.parametrize("context_shape", [3, SHAPE])
def test_an_image_coupling_takes_vectors_and_images_as_context(context_shape):
    transform = perturb(conv_coupling(BOARDS[0], context_features=context_shape).double())
    context = torch.randn(5, *transform.context_shape, generator=seeded(5), dtype=torch.float64)
    z, _ = transform.encode(X, context)
    same(transform.decode(z, context)[0], X, 1e-9)
    assert (transform.encode(X, -context)[0] != z).any()


def test_a_conditioner_is_told_what_it_needs():
    told = {}

    def conditioner(in_shape, out_shape, *, context_shape, **keywords):
        told.update(keywords, shapes=(in_shape, out_shape))
        (size,) = context_shape
        return MLP(*in_shape, *out_shape, (6,), context_features=size, zero_last=True, **keywords)

    split, generator = Mask([False, True, True, False]), seeded(1)
    settings = {"split": split, "context_features": 2, "batch_shape": (3,)}
    own = Coupling(Affine(), 4, conditioner=conditioner, generator=generator, **settings)
    assert told == {"shapes": ((2,), (4,)), "batch_shape": (3,), "generator": generator}
    plain = Coupling(Affine(), 4, hidden=(6,), generator=seeded(1), **settings)
    x, context = torch.randn(5, 4, generator=seeded(2)), torch.ones(5, 2)
    z, _ = perturb(own).encode(x, context)
    assert torch.equal(z, perturb(plain).encode(x, context)[0])


def test_two_sided_couplings_of_images():
    transform = two_sided_coupling(
        Affine(), SHAPE, split=BOARDS[0], conditioner=partial(ConvNet, channels=3)
    )
    x = X.float()
    z, _ = perturb(transform).encode(x)
    assert (z != x).all()
    same(transform.decode(z)[0], x, 1e-4)
