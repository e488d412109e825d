"""Distributions of images: all states sum to one, draws follow, caching changes nothing."""

import itertools
import math

import pytest
import torch
from scipy import stats

from anabranch.distributions import Mixture
from anabranch.models import build
from anabranch.objectives import Likelihood
from tests.registry import perturb, seeded

RECIPES = {
    "pixelcnn": {"n_blocks": 2},
    "gated_pixelcnn": {"n_layers": 3},
    "row_lstm": {"n_layers": 2},
    "diagonal_bilstm": {"n_layers": 2},
}
each_recipe = pytest.mark.parametrize("name", RECIPES)


def made(name, image_shape, **keywords):
    model = build(name, image_shape=image_shape, channels=6, seed=0, **RECIPES[name], **keywords)
    return perturb(model, std=0.5).double().eval()


def states(image_shape, levels=2):
    size = torch.Size(image_shape).numel()
    listed = torch.tensor(list(itertools.product(range(levels), repeat=size)))
    return listed.double().reshape(-1, *image_shape)


@each_recipe
@pytest.mark.parametrize(
    ("image_shape", "levels", "head"),
    [((1, 3, 3), 2, None), ((2, 1, 3), 3, None), ((3, 2, 1), 3, "logistics")],
    ids=["bits", "softmax", "logistics"],
)
@pytest.mark.parametrize("context", [0, 2], ids=["alone", "context"])
def test_all_states_sum_to_one(name, image_shape, levels, head, context):
    model = made(name, image_shape, levels=levels, head=head, context_features=context)
    given = torch.tensor([1.0, -1.0]).double() if context else None
    log_prob = model.log_prob(states(image_shape, levels), given)
    assert len(log_prob) == (512 if levels == 2 else 729)
    assert log_prob.std() > 0.1
    assert log_prob.logsumexp(0).item() == pytest.approx(0, abs=1e-12)


@each_recipe
def test_draws_follow_the_probabilities(name):
    model = made(name, (1, 2, 2), levels=3)
    expected = model.log_prob(states((1, 2, 2), 3)).exp().detach() * 6000
    x = model.sample(6000, generator=seeded(0)).long().flatten(1)
    number = (x * torch.tensor([27, 9, 3, 1])).sum(1)
    common = expected > 5
    counts = torch.bincount(number, minlength=81).double()
    pairs = [torch.cat([t[common], t[~common].sum()[None]]) for t in (counts, expected)]
    assert stats.chisquare(*(t.numpy() for t in pairs)).pvalue > 1e-3


@each_recipe
@pytest.mark.parametrize("colours", [1, 2])
def test_caching_draws_what_full_passes_draw(name, colours):
    """In single precision, with the same source of randomness."""
    shape = (colours, 4, 5)
    model = made(name, shape, levels=4, context_features=3).float()
    context = torch.randn(6, 3, generator=seeded(3))
    x, source = torch.zeros(6, *shape), seeded(5)
    for r, c, g in itertools.product(range(4), range(5), range(colours)):
        with torch.no_grad():
            params = model.parameters_of(x, context)[:, :, g, r, c]
        x[:, g, r, c] = model.head.sample(params, source)
    assert torch.equal(model.sample(context=context, generator=seeded(5)), x)


@each_recipe
def test_completions_follow_the_conditional_probabilities(name):
    model = made(name, (1, 2, 2))
    top = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]).double()
    x = model.complete(top.expand(4000, 1, 2, 2), rows=1, generator=seeded(0))
    assert torch.equal(x[:, :, 0], top[:, 0].expand(4000, 1, 2))
    every = states((1, 2, 2))
    possible = every[(every[:, :, 0] == top[:, 0]).all(-1).all(-1)]
    expected = torch.softmax(model.log_prob(possible).detach(), 0) * 4000
    counts = torch.stack([(x == state).flatten(1).all(1).sum() for state in possible])
    assert stats.chisquare(counts.numpy(), expected.numpy()).pvalue > 1e-3


def test_completing_nothing_and_everything():
    model = made("gated_pixelcnn", (1, 3, 3))
    x = model.sample((2, 2), generator=seeded(0))
    assert torch.equal(model.complete(x, rows=3), x)
    drawn = model.complete(torch.full_like(x, 7.0), rows=0, generator=seeded(1))
    assert torch.equal(drawn, model.sample((2, 2), generator=seeded(1)))


def test_a_context_that_is_a_map():
    model = made("gated_pixelcnn", (1, 3, 4), context_features=(2, 3, 4))
    context = torch.randn(5, 2, 3, 4, generator=seeded(0)).double()
    x, log_prob = model.sample_and_log_prob(context=context, generator=seeded(1))
    torch.testing.assert_close(model.log_prob(x, context), log_prob)
    assert not torch.allclose(model.log_prob(x, context.flip(-1)), log_prob)


def test_a_temperature_makes_likely_images():
    model = made("pixelcnn", (1, 3, 3))
    cold = model.tempered(0.3)
    assert cold.network is model.network
    assert cold.tempered(1.0).head.head == model.head
    levels = [m.log_prob(m.sample(300, generator=seeded(0))).mean() for m in (model, cold)]
    assert model.log_prob(cold.sample(300, generator=seeded(0))).mean() > levels[0] + 0.3
    assert cold.log_prob(states((1, 3, 3))).logsumexp(0).item() == pytest.approx(0, abs=1e-12)


def test_many_images_at_once_are_the_same_as_few(monkeypatch):
    model = made("gated_pixelcnn", (1, 3, 3), context_features=2)
    x, context = states((1, 3, 3)), torch.randn(512, 2, generator=seeded(0)).double()
    whole = model.log_prob(x, context)
    monkeypatch.setattr("anabranch.distributions.pixels.AT_ONCE", 500)
    with torch.no_grad():
        torch.testing.assert_close(model.log_prob(x, context), whole.detach())
        assert model.log_prob(x[:0], context[:0]).shape == (0,)


def test_a_mixture_takes_several_as_they_are():
    parts = [made(name, (1, 2, 2)) for name in ("pixelcnn", "row_lstm")]
    mixture = Mixture(parts).double().eval()
    every = states((1, 2, 2))
    expected = torch.stack([part.log_prob(every) for part in parts]).logsumexp(0) - math.log(2)
    torch.testing.assert_close(mixture.log_prob(every), expected)
    assert mixture.sample(5, generator=seeded(0)).shape == (5, 1, 2, 2)


def test_half_precision_is_for_training_alone():
    model = made("gated_pixelcnn", (1, 3, 3)).float()
    x = states((1, 3, 3)).float()
    exact = model.log_prob(x)
    model.half_precision = True
    assert torch.equal(model.log_prob(x), exact)
    rounded = model.train().log_prob(x)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.2
    Likelihood(model)({"x": x}).total.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@each_recipe
def test_what_cannot_be_an_image(name):
    model = made(name, (1, 4, 4), levels=4, context_features=2)
    x, context = torch.zeros(3, 1, 4, 4).double(), torch.zeros(3, 2).double()
    with pytest.raises(
        ValueError, match=r"x must have shape \(\.\.\., 1, 4, 4\), got \(3, 1, 4, 5\)"
    ):
        model.log_prob(torch.zeros(3, 1, 4, 5).double(), context)
    with pytest.raises(ValueError, match=r"x must have shape .* got \(3, 4, 4, 1\)"):
        model.log_prob(x.movedim(1, -1), context)
    for wrong in (-1.0, 4.0, 0.5):
        with pytest.raises(ValueError, match=r"x must hold the integers 0\.\.3 only"):
            model.log_prob(x + wrong, context)
    with pytest.raises(ValueError, match=r"context must have shape \(\.\.\., 2\), got \(3, 5\)"):
        model.log_prob(x, torch.zeros(3, 5).double())
    with pytest.raises(TypeError, match=r"x is torch.int64 but the model is torch.float64"):
        model.log_prob(x.long(), context)
    with pytest.raises(ValueError, match=r"rows must be in 0\.\.4, got 5"):
        model.complete(x, 5, context)
    with pytest.raises(ValueError, match=r"the given rows of x must hold the integers 0\.\.3 only"):
        model.complete(x + 0.5, 2, context)
    assert model.log_prob(x[0], context[0]).shape == ()
    with pytest.raises(TypeError, match="carry no gradients: use sample"):
        model.rsample(context=context)
