"""Sources of random numbers from the plain seeds that recipes take."""

import torch


def make_generator(seed: int | torch.Generator | None) -> torch.Generator | None:
    """A generator with that seed, or None for torch's default source.

    A generator in place of the seed is drawn from as it is, so that draws can go on where those of
    the initial weights have ended.

    Example:
        >>> make_generator(None) is None, make_generator(3).initial_seed()
        (True, 3)
    """
    return torch.Generator().manual_seed(seed) if isinstance(seed, int) else seed
