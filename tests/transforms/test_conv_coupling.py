"""Couplings whose conditioner is another than the MLP."""

from functools import partial

import pytest
import torch

from anabranch.models.alternation import checkerboard_mask
from anabranch.networks import MLP, ConvNet
from anabranch.transforms import Affine, Coupling
from tests.battery import jacobian, same
from tests.registry import perturb, seeded

X = torch.randn(5, 24, generator=seeded(0), dtype=torch.float64)
BOARD = torch.tensor(checkerboard_mask((1, 4, 6), 1))


def conv_coupling(**kwargs):
    conditioner = partial(ConvNet, (4, 6), channels=5, patch=2, **kwargs)
    return Coupling(Affine(), 24, mask=BOARD.tolist(), conditioner=conditioner)


def test_it_moves_the_board_as_told_by_the_kept_pixels_in_place():
    transform = perturb(conv_coupling().double())
    whole = ConvNet((4, 6), kept=range(24), moved=range(24), n_params=2, channels=5, patch=2)
    whole.double().load_state_dict(transform.conditioner.state_dict())
    shift, raw = whole(torch.where(BOARD, 0.0, X)).unflatten(-1, (2, 24)).unbind(-2)
    log_scale = 2 * torch.tanh(raw / 2)
    z, term = transform.encode(X)
    same(z, torch.where(BOARD, X * log_scale.exp() + shift, X), 1e-12)
    same(term, log_scale[:, BOARD].sum(-1), 1e-12)


def test_no_moved_pixel_tells_another():
    transform = perturb(conv_coupling().double())
    matrix = jacobian(lambda x: transform.encode(x)[0], X[:2])
    off = matrix * (1 - torch.eye(24, dtype=torch.float64))
    assert not off[:, :, BOARD].any()
    assert off[:, BOARD][:, :, ~BOARD].any(dim=-1).all()


def test_a_conditioner_is_told_what_it_needs():
    told = {}

    def conditioner(**keywords):
        told.update(keywords)
        kept, moved, n_params = (keywords.pop(key) for key in ("kept", "moved", "n_params"))
        return MLP(len(kept), n_params * len(moved), (6,), zero_last=True, **keywords)

    mask, generator = (False, True, True, False), seeded(1)
    settings = {"mask": mask, "context_features": 2, "batch_shape": (3,)}
    own = Coupling(Affine(), 4, conditioner=conditioner, generator=generator, **settings)
    assert told["kept"] == [0, 3]
    assert told["moved"] == [1, 2]
    plain = Coupling(Affine(), 4, hidden=(6,), generator=seeded(1), **settings)
    x, context = torch.randn(5, 4, generator=seeded(2)), torch.ones(5, 2)
    z, _ = perturb(own).encode(x, context)
    assert torch.equal(z, perturb(plain).encode(x, context)[0])


@pytest.mark.parametrize("parity", [0, 1])
def test_checkerboard(parity):
    board = torch.tensor(checkerboard_mask((2, 3, 4), parity)).reshape(2, 3, 4)
    assert torch.equal(board[0], board[1])
    assert bool(board[0, 0, 0]) == (parity == 0)
    assert (board[:, 1:] ^ board[:, :-1]).all()
    assert (board[:, :, 1:] ^ board[:, :, :-1]).all()
