"""The decoder tells from a code what pixels do not tell of each other."""

import math

import pytest
import torch

from anabranch.models import pixel_autoencoder
from anabranch.objectives import Reconstruction
from anabranch.training import FitOptions, fit
from tests.registry import perturb, seeded

DECODER = {"name": "gated_pixelcnn", "channels": 8, "n_layers": 2, "first_kernel": 3}
SIZES = {"latent": 4, "decoder": DECODER, "maps": 4, "channels": [8], "hidden": [16]}


def dots(n, seed):
    """One bright pixel of four: log 4 nats."""
    return torch.eye(4)[torch.randint(4, (n,), generator=seeded(seed))].reshape(n, 1, 2, 2)


def test_the_code_tells_which():
    model, x = pixel_autoencoder([2, 2], **SIZES, seed=0), dots(200, 0)
    options = FitOptions(max_epochs=60, batch_size=50, learning_rate=1e-2, progress=False)
    fit(Reconstruction(model), {"x": x}, options=options, generator=seeded(0))
    test = dots(100, 1)
    with torch.no_grad():
        z = model.encode(test)
        nats = 4 * model.error(z, test).mean()
    assert nats < 0.2 * math.log(4)
    again = model.decode(z, seeded(2))
    assert again.shape == test.shape
    assert (again == test).flatten(1).all(1).float().mean() > 0.6


def test_the_error_is_the_mean_over_numbers():
    model = perturb(pixel_autoencoder([2, 4, 4], **SIZES, levels=3, seed=0))
    x, z = torch.ones(3, 2, 4, 4), torch.randn(3, 4, generator=seeded(0))
    expected = -model.decoder.log_prob(x, model.condition(z)) / 32
    torch.testing.assert_close(model.error(z, x), expected)
    assert not torch.allclose(model.error(-z, x), expected)


def test_decoders_that_cannot_be():
    with pytest.raises(ValueError, match="decoder must be the recipe of a PixelModel, got 'conv_r"):
        pixel_autoencoder([4, 4], decoder="conv_realnvp")
    with pytest.raises(ValueError, match="unknown recipe 'x'"):
        pixel_autoencoder([4, 4], decoder="x")
