"""Sources of random numbers from the plain seeds that recipes take."""

import torch


def make_generator(seed: int | None) -> torch.Generator | None:
    """A generator with that seed, or None for torch's default source.

    Example:
        >>> make_generator(None) is None, make_generator(3).initial_seed()
        (True, 3)
    """
    return None if seed is None else torch.Generator().manual_seed(seed)
