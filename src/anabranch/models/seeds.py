"""Seeds as plain arguments of recipes."""

import torch


def seeded(seed: int | None) -> torch.Generator | None:
    """A generator with that seed, or None for torch's default source.

    Example:
        >>> seeded(None) is None, seeded(3).initial_seed()
        (True, 3)
    """
    return None if seed is None else torch.Generator().manual_seed(seed)
