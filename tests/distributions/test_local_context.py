"""Images whose pixels look at their neighbours: normalised, causal, drawn as they are scored."""

from itertools import product

import pytest
import torch

from anabranch.distributions import LocalContext
from anabranch.distributions.local_context import first_places
from anabranch.functional.neighbours import Neighbourhood
from anabranch.functional.pixel_logits import median_edge, pixel_logits
from anabranch.objectives import SomePlaces
from tests.coding.models import drawn_model


@pytest.mark.parametrize("shape", [(2, 2), (1, 4), (2, 1, 2), (4, 1)])
def test_probabilities_of_all_images_sum_to_one(shape):
    model = drawn_model(shape, levels=3, n_neighbours=4).double()
    x = torch.tensor(list(product(range(3), repeat=4))).double().view(-1, *shape)
    assert float(model.log_prob(x).exp().sum().detach()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("shape", "mirrored"), [((5, 6), 9), ((4, 3, 3), 0), ((4, 3, 3), 5)])
def test_a_pixel_looks_at_none_that_comes_later(shape, mirrored):
    model = drawn_model(shape, levels=7, n_neighbours=30, n_mirrored=mirrored)
    size = model.neighbourhood.size
    source = torch.Generator().manual_seed(0)
    x = torch.randint(0, 7, (1, size), generator=source).float()
    places = torch.arange(size)
    before = model._logits(x, places, None)[0].detach()
    for place in range(size):
        other = x.clone()
        other[0, place] = (other[0, place] + 3) % 7
        after = model._logits(other, places, None)[0].detach()
        changed = (after != before).any(-1).nonzero()[:, 0]
        assert (changed > place).all()
        # all within reach are looked at, the last place's next one at least
        assert place == size - 1 or place + 1 in changed.tolist()


def test_neighbours_are_the_nearest_before_a_place():
    near = Neighbourhood((9, 9), 12)
    canvas = near.padded(torch.arange(81).unsqueeze(0) + 1)[0]
    found = (canvas[near.index[40]] - 1).tolist()
    distances = {
        9 * r + c: (r - 4) ** 2 + (c - 4) ** 2 for r in range(9) for c in range(9) if 9 * r + c < 40
    }
    assert sorted(distances[place] for place in found) == sorted(distances.values())[:12]
    assert canvas[near.centres].tolist() == list(range(1, 82))
    assert [int(canvas[i]) - 1 for i in near.nearest[:, 40]] == [39, 31, 30]


def test_the_mirrored_place_is_looked_at_once_it_was_read():
    near = Neighbourhood((3, 5), 1, n_mirrored=1)
    canvas = near.padded(torch.arange(15).unsqueeze(0) + 1)[0]
    assert canvas[near.index[:, 1]].view(3, 5).tolist() == [
        [0, 0, 0, 2, 1],
        [0, 0, 0, 7, 6],
        [0, 0, 0, 12, 11],
    ]


def test_the_prediction_is_the_middle_one():
    values = torch.randint(0, 256, (3, 500), generator=torch.Generator().manual_seed(0))
    left, above, corner = values
    three = torch.stack([left, above, left + above - corner])
    assert torch.equal(median_edge(*values), three.median(0).values)


def test_what_is_relative_moves_with_the_prediction():
    outputs = torch.zeros(2, 10 + 3 + 1)
    outputs[:, 10:13] = torch.tensor([1.0, 2.0, 3.0])
    found = pixel_logits(outputs, torch.tensor([0, 5]), torch.zeros(2, 10))
    assert found[0].tolist() == [2, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    assert found[1].tolist() == [0, 0, 0, 0, 1, 2, 3, 0, 0, 0]


def test_draws_are_as_frequent_as_probable():
    model = drawn_model((2, 2), levels=2, n_neighbours=3)
    x = torch.tensor(list(product(range(2), repeat=4))).float().view(-1, 2, 2)
    p = model.log_prob(x).exp().detach()
    draws = model.sample(4000, generator=torch.Generator().manual_seed(0)).view(-1, 4)
    numbers = (draws @ torch.tensor([8.0, 4.0, 2.0, 1.0])).long()
    found = torch.bincount(numbers, minlength=16) / 4000
    assert ((found - p).abs() < 4 * (p * (1 - p) / 4000).sqrt() + 1e-3).all()


def test_some_places_estimate_all_of_them():
    model = drawn_model((4, 4), levels=5, n_neighbours=6)
    x = torch.randint(0, 5, (30, 4, 4), generator=torch.Generator().manual_seed(0))
    objective = SomePlaces(model, share=0.5)
    whole = float(objective.eval()({"x": x}).total.detach())
    assert whole == pytest.approx(-float(model.log_prob(x.float()).mean().detach()), rel=1e-5)
    source = torch.Generator().manual_seed(0)
    objective.train()
    parts = [float(objective({"x": x}, generator=source).total.detach()) for _ in range(200)]
    error = torch.tensor(parts).std() / 200**0.5
    assert error > 0
    assert abs(sum(parts) / 200 - whole) < 4 * error


def test_a_level_that_never_comes_has_no_place():
    assert first_places(torch.tensor([[1, 1], [0, 1]]), 3).tolist() == [[2, 0, 2], [0, 1, 2]]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"levels": 257}, "levels"),
        ({"hidden": []}, "hidden"),
        ({"n_neighbours": 0}, "n_neighbours"),
        ({"n_mirrored": -1}, "n_mirrored"),
        ({"reach": -1}, "reach"),
    ],
)
def test_bad_settings_are_refused(settings, reason):
    with pytest.raises(ValueError, match=reason):
        LocalContext((4, 4), **settings)
    with pytest.raises(ValueError, match="event_shape"):
        LocalContext((4,))
    with pytest.raises(ValueError, match="share"):
        SomePlaces(LocalContext((4, 4)), share=0)
