"""Images of whole numbers, by a flow of dequantized ones."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import Flow
from anabranch.models.images.dequantization import make_dequantization
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.registry import keywords, recipe
from anabranch.models.specs import Spec, split_spec
from anabranch.networks.conv import image_size
from anabranch.transforms import Compose, Logit


@recipe
def image_density(
    features: int,
    *,
    image_shape: Sequence[int],
    flow: Spec = "glow",
    levels: int = 256,
    dequantization: str = "uniform",
    n_noise: int = 4,
    channels: int = 16,
    alpha: float = 0.05,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""A lower bound of the log-probability of integers 0..levels-1, all preparation counted.

    .. math:: \log P(x) \ge \mathbb E_{q(u|x)} \Bigl[\log p\Bigl(\operatorname{logit}\bigl(\alpha +
        (1 - 2\alpha)\tfrac{x + u}{n}\bigr)\Bigr) + \mathrm{term} - \log q(u \mid x)\Bigr]

    -log P(x) / (D log 2) is in bits per dimension. The noise u is uniform, or by a flow that sees
    the image, which starts as uniform noise.

    Source: Ho et al. (2019), "Flow++", arXiv:1902.00275; Dinh, Sohl-Dickstein, Bengio (2016),
    arXiv:1605.08803, section 4.1, for the logit.

    Args:
        features: D = C H W.
        image_shape: (H, W) or (C, H, W).
        flow: recipe of the flow of real numbers, which is told image_shape if it asks for it.
        levels: n, 256 for bytes.
        dequantization: "uniform" or "variational".
        n_noise: couplings of the noise's flow.
        channels: width of its networks.
        alpha: margin of the logit.
        context_features: size of a context of the flow.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown flow or dequantization, or an image_shape of other than D pixels.

    Example:
        >>> spec = {"name": "glow", "n_steps": 1, "channels": 8}
        >>> model = image_density(16, image_shape=[4, 4], flow=spec, levels=8, seed=0)
        >>> bool((model.sample(3) % 1 == 0).all()), model.exact
        (True, False)
    """
    name, settings = split_spec("flow", flow)
    if "image_shape" in keywords(name):
        settings = {"image_shape": list(image_shape), **settings}
    inner = build_inner_density(
        {"name": name, **settings},
        features,
        tuple(batch_shape),
        seed,
        role="flow",
        context_features=context_features,
    )
    if not isinstance(inner, Flow):
        raise ValueError(f"recipe {name!r} builds no flow")
    noise: dict[str, Any] = {"n_couplings": n_noise, "channels": channels, "seed": seed}
    size = image_size(image_shape, features)
    spread = make_dequantization(dequantization, size, levels, batch_shape=batch_shape, **noise)
    return Flow(inner.base, Compose([spread, Logit(features, alpha=alpha), inner.transform]))
