"""Seeds as plain arguments of recipes."""

import torch


def seeded(seed: int | torch.Generator | None) -> torch.Generator | None:
    """A generator with that seed, or None for torch's default source.

    A generator in place of the seed is drawn from as it is, so that draws can go on where those of
    the initial weights have ended.

    Example:
        >>> seeded(None) is None, seeded(3).initial_seed()
        (True, 3)
    """
    return torch.Generator().manual_seed(seed) if isinstance(seed, int) else seed
