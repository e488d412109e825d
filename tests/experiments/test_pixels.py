"""What the experiments with image models rest on."""

import lzma
import math

import numpy as np
import pytest
import torch

from anabranch.experiments.cifar import decoded
from anabranch.experiments.pixel_digits import histogram_nll
from anabranch.experiments.pixel_ising import Draws, cross_entropy, mutual_information
from anabranch.experiments.pixel_training import classified, in_parts, make_model, nearest, train
from anabranch.models import gated_pixelcnn
from anabranch.problems import Ising
from anabranch.training import FitOptions

TINY = {"name": "gated_pixelcnn", "channels": 4, "n_layers": 2}


def packed(images):
    """As the files of CIFAR-10: planes G, R - G, B - G, each less the predictor's guess."""
    red, green, blue = images.astype(np.int16).transpose(1, 0, 2, 3)
    planes = np.stack([green, (red - green + 128) & 255, (blue - green + 128) & 255])
    rest = np.zeros_like(planes)
    padded = np.pad(planes, ((0, 0), (0, 0), (1, 0), (1, 0)))
    for r in range(32):
        for c in range(32):
            a, b, d = padded[..., r, c + 1], padded[..., r + 1, c], padded[..., r, c]
            guess = np.sort(np.stack([a, b, a + b - d]), 0)[1]  # the median, of LOCO-I
            rest[..., r, c] = (planes[..., r, c] - guess) & 255
    return lzma.compress(rest.astype(np.uint8).tobytes())


def test_packed_photographs_come_back(tmp_path):
    images = np.random.RandomState(0).randint(0, 256, (3, 3, 32, 32)).astype(np.uint8)
    (tmp_path / "some.med.xz").write_bytes(packed(images))
    assert np.array_equal(decoded(tmp_path / "some.med.xz"), images)


def test_information_of_classes_is_the_entropy_of_the_mixture_less_those_of_its_parts():
    problems = [Ising(3, 0.5), Ising(3, -0.5)]
    mixed = np.mean([np.exp(p.state_log_probs) for p in problems], 0)
    expected = -(mixed * np.log(mixed)).sum() - np.mean([p.entropy().value for p in problems])
    assert mutual_information(problems) == pytest.approx(expected)
    assert 0 < expected < math.log(2)
    assert mutual_information([Ising(3), Ising(3)]) == pytest.approx(0)


def test_cross_entropy_is_over_all_states():
    model = gated_pixelcnn([4, 4], channels=4, n_layers=1, seed=0)
    assert cross_entropy(model, Ising(4)) == pytest.approx(16 * math.log(2))


def test_draws_are_new_in_each_epoch_and_keep_their_classes():
    data = Draws([Ising(4, 0.5), Ising(4, -0.5)], 3, told=True)
    first = data.train["x"].clone()
    data.renew(0)
    agree = (data.train["x"][..., 1:] == data.train["x"][..., :-1]).float().mean((1, 2, 3))
    assert agree[data.train["context"][:, 0] == 1].mean() > 0.7
    assert agree[data.train["context"][:, 1] == 1].mean() < 0.3
    assert not torch.equal(first, data.train["x"])


def test_parts_go_through_all_rows():
    part = in_parts(10, 3, seed=0)
    assert len(torch.cat([part(0), part(1), part(2)]).unique()) == 9
    assert torch.equal(part(0), part(3))


def test_histograms_are_those_of_each_pixel():
    x = torch.zeros(15, 1, 2, 2)
    x[:, 0, 1, 1] = torch.arange(15)
    expected = 3 * math.log(16 / 32) + math.log(2 / 32)
    assert histogram_nll(x, x) == pytest.approx(-expected)


def test_classes_and_neighbours():
    bright = (torch.rand(200, 1, 4, 4, generator=torch.Generator().manual_seed(0)) < 0.9).float()
    x, y = torch.cat([bright, 1 - bright]), torch.arange(2).repeat_interleave(200)
    data = {"x": x, "context": torch.eye(2)[y]}
    model = make_model({**TINY, "context_features": 2}, (1, 4, 4), seed=0)
    options = FitOptions(max_epochs=6, batch_size=40, learning_rate=1e-2, progress=False)
    found = train(model, data, data, options, seed=0, half=True)
    assert not found.model.half_precision
    assert (classified(found.model, x, 2) == y).float().mean() > 0.97
    assert torch.equal(nearest(x[:3], x), x[:3])
