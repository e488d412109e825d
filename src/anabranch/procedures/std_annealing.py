"""Bounds of standard deviations that are halved over a run, so that no column falls silent."""

import math

from anabranch.training import Halving

# Pixels of the images for which a first bound of 1 was found.
REFERENCE_FEATURES = 784


def first_std(features: int) -> float:
    r"""A first bound of standard deviations for D features: :math:`\min(1, \sqrt{D / 784})`.

    The log-likelihood of a row is a sum over features, and its prior one over the latent ones. A
    bound that holds hundreds of pixels back would silence a few columns for good.

    Example:
        >>> first_std(784), round(first_std(64), 3)
        (1.0, 0.286)
    """
    return min(1.0, math.sqrt(features / REFERENCE_FEATURES))


def std_annealing(
    steps: int, *, first: float = 1.0, last: float = 1e-4, share: float = 0.8
) -> Halving:
    r"""Anneal the bound of standard deviations over a run of known length.

    The bound falls from the first to the last value in equal stages, each half of the one before,
    and rests at the last one for what remains. The published schedule is ``Halving(1.0,
    every=100 * steps_per_epoch, floor=1e-4)``, about 1400 epochs.

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), "Unsupervised clustering through Gaussian
    mixture variational autoencoder with non-reparameterized variational inference and std
    annealing".

    Args:
        steps: of the whole run.
        first: the bound at the start, see `first_std`.
        last: the bound at the end.
        share: of the steps that pass before the last value.

    Raises:
        ValueError: for no steps, a share outside (0, 1], or not first >= last > 0.

    Example:
        >>> bound = std_annealing(1000, first=1.0, last=0.1)
        >>> [bound(t) for t in (0, 200, 400, 600, 800)]
        [1.0, 0.5, 0.25, 0.125, 0.1]
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share}")
    if not first >= last > 0:
        raise ValueError(f"need first >= last > 0, got {first=}, {last=}")
    stages = max(1, math.ceil(math.log2(first / last) - 1e-9))
    return Halving(first, every=max(1, int(share * steps / stages)), floor=last)
