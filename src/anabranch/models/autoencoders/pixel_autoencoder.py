"""An autoencoder whose decoder is an autoregressive model of images."""

from collections.abc import Sequence

from torch import Generator, Tensor, nn

from anabranch.distributions import PixelModel
from anabranch.models.generators import make_generator
from anabranch.models.registry import build, keywords, recipe
from anabranch.models.specs import Spec, split_spec
from anabranch.networks import ConvDecoder, ConvEncoder
from anabranch.networks.conv import image_size


class PixelAutoencoder(nn.Module):
    """Codes of images, and a distribution of the images that may have a code.

    What the pixels tell of each other the decoder knows by itself; the code is left with what they
    do not.

    Args:
        encoder: from columns of pixels to columns of codes.
        to_map: from codes (N, J) to rows (N, maps H W).
        decoder: conditional on maps (maps, H, W).

    Attributes:
        event_shape: (C, H, W).
        decoder: the distribution of images given the map of a code.
    """

    def __init__(self, encoder: ConvEncoder, to_map: ConvDecoder, decoder: PixelModel) -> None:
        super().__init__()
        self.encoder, self.to_map, self.decoder = encoder, to_map, decoder
        self.event_shape = decoder.event_shape

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of images (N, C, H, W)."""
        rows = self.decoder.network.centred(x).flatten(1)
        return self.encoder.columns(rows.mT).reshape(-1, len(x)).mT

    def decode(self, z: Tensor, generator: Generator | None = None) -> Tensor:
        """One image (C, H, W) drawn for each code (N, J), without gradients."""
        return self.decoder.sample(context=self.condition(z), generator=generator)

    def error(self, z: Tensor, x: Tensor) -> Tensor:
        """Nats of images (N, C, H, W) given codes (N, J), mean over their numbers, (N,)."""
        return -self.decoder.log_prob(x, self.condition(z)) / x[0].numel()

    def condition(self, z: Tensor) -> Tensor:
        """What the decoder is told of codes (N, J): maps (N, maps, H, W)."""
        return self.to_map(z).reshape(len(z), *self.decoder.context_shape)


@recipe
def pixel_autoencoder(
    image_shape: Sequence[int],
    *,
    latent: int = 10,
    levels: int = 2,
    decoder: Spec = "gated_pixelcnn",
    maps: int = 8,
    channels: Sequence[int] = (16, 32),
    hidden: Sequence[int] = (128,),
    seed: int | None = None,
) -> PixelAutoencoder:
    r"""Codes from which images can be drawn again, by a PixelCNN that is told the code.

    .. math:: z = f(x), \qquad \hat x \sim p(x \mid s(z))

    f and s are convolutional; s is a map of the size of the image. To be trained by
    `anabranch.objectives.Reconstruction`, whose error is :math:`-\log p(x \mid s(f(x)))` in nats,
    mean over the numbers of an image.

    Source: van den Oord et al. (2016), "Conditional image generation with PixelCNN decoders",
    arXiv:1606.05328, section 3.3.

    Args:
        image_shape: (H, W) or (C, H, W).
        latent: J, size of a code.
        levels: the numbers of an image are 0..levels-1.
        decoder: recipe of an image model, a name or {"name": "pixelcnn", keyword: value}.
        maps: channels of s.
        channels: of the convolutions of f, each of which halves the sides; in reverse of s.
        hidden: hidden sizes of f after these; in reverse of s.
        seed: of the initial weights.

    Raises:
        ValueError: for a recipe that is unknown, or builds no such model.

    Example:
        >>> import torch
        >>> decoder = {"name": "gated_pixelcnn", "channels": 4, "n_layers": 2}
        >>> sizes = {"latent": 2, "decoder": decoder, "maps": 2, "channels": [3], "hidden": [8]}
        >>> model = pixel_autoencoder([4, 4], **sizes, seed=0)
        >>> model.encode(torch.zeros(3, 1, 4, 4)).shape
        torch.Size([3, 2])
    """
    size, generator = image_size(image_shape), make_generator(seed)
    name, how = split_spec("decoder", decoder)
    if "levels" not in keywords(name):
        raise ValueError(f"decoder must be the recipe of a PixelModel, got {name!r}")
    given = {"levels": levels, "context_features": [maps, *size[1:]], "seed": generator}
    model = build(name, image_shape=list(size), **how, **given)
    assert isinstance(model, PixelModel)
    networks = {"hidden": tuple(hidden), "generator": generator}
    encoder = ConvEncoder(size, 0, latent, channels, **networks)
    to_map = ConvDecoder(latent, (1, *size[1:]), maps, channels, **networks)
    return PixelAutoencoder(encoder, to_map, model)
