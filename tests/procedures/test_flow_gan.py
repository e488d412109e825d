"""Flow-GAN: its likelihood and its draws, and a run that is resumed."""

import math

import pytest
import torch
from torch import nn

from anabranch.distributions import DiagonalNormal
from anabranch.networks import MLP
from anabranch.procedures import TrainingRun, fit_flow_gan
from anabranch.training import FitOptions
from tests.registry import seeded

X = 1.5 + 0.5 * torch.randn(400, 2, generator=seeded(1))


class Blind(nn.Module):
    """A critic that sees nothing."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return 0 * x.sum(-1, keepdim=True) + self.level


def trained(critic=None, **changes):
    how = {"max_epochs": 3, "batch_size": 100, "learning_rate": 0.05, "progress": False}
    options = FitOptions(
        **how | {k: changes.pop(k) for k in list(changes) if k in vars(FitOptions())}
    )
    flow = DiagonalNormal(2)
    critic = MLP(2, 1, (8,), generator=seeded(0)) if critic is None else critic
    result = fit_flow_gan(flow, critic, X, TrainingRun(options, seeded(2)), **changes)
    return flow, result


def test_beside_a_blind_critic_it_is_maximum_likelihood():
    flow, result = trained(Blind(), max_epochs=80, validation=X)
    torch.testing.assert_close(flow.mean()[0].detach(), X.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(flow.log_scale[0].exp().detach(), X.std(0), atol=0.05, rtol=0)
    best = 1 + math.log(2 * math.pi) + float(X.std(0).log().sum())
    assert result.history[-1]["validation_nll"] == pytest.approx(best, abs=0.02)
    blind, _ = trained(Blind(), likelihood=0.0)
    assert bool((blind.mean() == 0).all())  # nothing tells it where the rows are


@pytest.mark.parametrize(("game", "level"), [("nonsaturating", math.log(2)), ("wgan-gp", 0.0)])
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_the_flow_minimises_the_game_and_the_weighted_likelihood(game, level, weight):
    how = {"max_epochs": 1, "learning_rate": 1e-9, "validation": X}
    _, result = trained(Blind(), game=game, likelihood=weight, **how)
    last = result.history[-1]  # each batch of the epoch is seen once, and all rows are
    assert last["generator_loss"] == pytest.approx(
        level + weight * last["validation_nll"], abs=1e-5
    )


def test_resumed_it_ends_with_the_same_bits(tmp_path):
    whole, first = trained(max_epochs=4, validation=X[:9])
    trained(max_epochs=2, validation=X[:9], checkpoint=tmp_path / "run")
    flow = DiagonalNormal(2)
    how = {"batch_size": 100, "learning_rate": 0.05, "progress": False}
    run = TrainingRun(FitOptions(max_epochs=4, checkpoint=tmp_path / "run", **how), seeded(2))
    critic = MLP(2, 1, (8,), generator=seeded(0))
    second = fit_flow_gan(flow, critic, X, run, validation=X[:9], resume=True)
    assert torch.equal(flow.loc, whole.loc)
    names = ("critic_loss", "generator_loss", "validation_nll")
    assert [[e[n] for n in names] for e in second.history] == [
        [e[n] for n in names] for e in first.history
    ]
    with pytest.raises(ValueError, match="likelihood"):
        fit_flow_gan(flow, critic, X, run, likelihood=2.0, resume=True)


def test_wrong_weights_are_refused():
    with pytest.raises(ValueError, match="likelihood must be a number not below zero, got -1"):
        trained(likelihood=-1)
