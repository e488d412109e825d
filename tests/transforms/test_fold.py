"""Folds: continuous densities, branches, and where they are laid."""

import pytest
import torch
from scipy import stats

from anabranch.distributions import Flow, Normal
from anabranch.transforms import AbsoluteFold, Affine, Compose, Coupling, TriFold, fold_codes
from tests.registry import perturb, seeded

FOLDS = [AbsoluteFold, TriFold]


def made(kind, features=2, dtype=torch.float64, **settings):
    fold = kind(features, hidden=(8,), generator=seeded(0), **settings)
    return perturb(fold.to(dtype), seed=3, std=0.5)


def fold_points(fold):
    """The values of t at which two branches meet."""
    if isinstance(fold, AbsoluteFold):
        return [0.0]
    b = fold._b().item()
    return [-b, b]


def on_the_line(fold, t):
    """Points with those values of t, and some other value across."""
    unit = fold._unit().detach()
    across = torch.tensor([[-unit[0, 1], unit[0, 0]]], dtype=unit.dtype)
    return (t + fold.loc.detach()).unsqueeze(-1) * unit + 0.4 * across


@pytest.mark.parametrize("kind", FOLDS)
def test_the_density_is_continuous_where_branches_meet(kind):
    fold = made(kind)
    flow = Flow(Normal(2).double(), fold)
    for point in fold_points(fold):
        for step in (1e-4, 1e-6, 1e-8):
            t = torch.tensor([point - step, point + step], dtype=torch.float64)
            x = on_the_line(fold, t)
            assert fold.branch(x)[0] != fold.branch(x)[1]
            low, high = flow.log_prob(x).exp()
            assert abs(low - high) < 10 * step**0.5
        assert low < 1e-3


def test_the_gate_of_the_image_ends_is_zero():
    """Where the image of a branch ends, the density of the others does not jump."""
    fold = made(TriFold)
    flow = Flow(Normal(2).double(), fold)
    b = fold._b().item()
    for end in (-3 * b, 3 * b):  # the outer branches, where z passes the other end of the middle
        x = on_the_line(fold, torch.tensor([end - 1e-7, end + 1e-7], dtype=torch.float64))
        low, high = flow.log_prob(x).exp()
        assert low > 1e-6
        torch.testing.assert_close(low, high, rtol=1e-4, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", FOLDS)
def test_on_a_fold_all_is_finite(kind, dtype):
    fold = kind(2).to(dtype)
    x = torch.tensor([[point, 0.3] for point in fold_points(fold)], dtype=dtype)
    x.requires_grad_()
    log_prob = Flow(Normal(2).to(dtype), fold).log_prob(x)
    log_prob.sum().backward()
    assert torch.isfinite(log_prob).all()
    assert (log_prob < -50).all()
    for tensor in (x, *fold.parameters()):
        assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize("kind", FOLDS)
def test_branches_are_drawn_at_the_rate_of_the_gate(kind):
    fold = made(kind)
    z = torch.randn(20_000, 2, generator=seeded(5), dtype=torch.float64)
    drawn = fold.branch(fold.decode(z)[0]).bincount(minlength=fold.n_branches)
    expected = fold._gated(z, fold._unit(), None).exp().sum(1).detach()
    assert stats.chisquare(drawn.numpy(), expected.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_doubles_that_hold_floats_draw_all_branches(dtype):
    z = torch.randn(4000, 1, generator=seeded(5)).to(dtype)
    fold = AbsoluteFold(1, generator=seeded(1)).to(dtype)
    share = fold.branch(fold.decode(z)[0]).double().mean()
    assert abs(share - 0.5) < 0.04


def test_two_folds_draw_independently():
    """Also where the second sees the very z that the first one saw."""
    first, second = AbsoluteFold(2), AbsoluteFold(2)
    z = torch.randn(4000, 2, generator=seeded(5))
    branches = [fold.branch(fold.decode(z)[0]).double() for fold in (first, second)]
    assert abs(torch.corrcoef(torch.stack(branches))[0, 1]) < 0.06


def test_samples_repeat_with_their_generator_and_their_file():
    fold = made(TriFold)
    flow, twin = Flow(Normal(2).double(), fold), Flow(Normal(2).double(), TriFold(2, hidden=(8,)))
    twin.double().load_state_dict(flow.state_dict())
    draws = [f.sample(50, generator=seeded(2)) for f in (flow, flow, twin)]
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], flow.sample(50, generator=seeded(3)))


def test_codes_are_the_branches_of_all_folds():
    chain = Compose(
        [
            made(TriFold, dtype=torch.float32),
            Compose([Coupling(Affine(), 2), made(AbsoluteFold, dtype=torch.float32)]),
        ]
    )
    x = torch.randn(60, 2, generator=seeded(4)) * 2
    codes = fold_codes(chain, x)
    first, inner = chain.transforms
    assert torch.equal(codes[:, 0], first.branch(x))
    moved = inner.transforms[0].encode(first.encode(x)[0])[0]
    assert torch.equal(codes[:, 1], inner.transforms[1].branch(moved))
    assert fold_codes(Coupling(Affine(), 2), x).shape == (60, 0)


def test_branches_keep_leading_shapes():
    assert AbsoluteFold(2).branch(torch.zeros(3, 4, 2)).shape == (3, 4)
    assert AbsoluteFold(2, batch_shape=(5,)).branch(torch.zeros(4, 2)).shape == (5, 4)


def test_initialize_lays_the_fold_between_two_clusters():
    centre = torch.tensor([[3.0, 4.0]]) * (2 * torch.randint(2, (800, 1), generator=seeded(0)) - 1)
    x = centre + 0.3 * torch.randn(800, 2, generator=seeded(1)) + 7
    for stack in ((), (2,)):
        fold = AbsoluteFold(2, coordinate=0, batch_shape=stack, generator=seeded(2))
        fold.initialize(x)
        for branch in fold.branch(x).reshape(-1, 800):
            assert max((branch == (centre[:, 0] > 0)).float().mean(),
                       (branch != (centre[:, 0] > 0)).float().mean()) > 0.99  # fmt: skip


def test_training_moves_the_boundaries():
    fold = TriFold(1, generator=seeded(0))
    flow = Flow(Normal(1), fold)
    x = torch.cat([c + 0.2 * torch.randn(200, 1, generator=seeded(1)) for c in (-1.6, 0.0, 1.6)])
    before = fold._b().item()
    optimizer = torch.optim.Adam(flow.parameters(), lr=0.02)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        losses.append(-flow.log_prob(x).mean())
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.1
    assert abs(fold._b().item() - before) > 0.02


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AbsoluteFold(2, coordinate=2), r"coordinate must be in 0\.\.1, got 2"),
        (lambda: TriFold(2, width=0.0), "width must be positive, got 0"),
        (lambda: AbsoluteFold(2, sharpness=-1.0), "sharpness must be positive, got -1"),
        (lambda: AbsoluteFold(2).branch(torch.zeros(3, 4)), r"\(3, 4\)"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
