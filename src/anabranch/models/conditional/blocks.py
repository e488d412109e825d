"""Blocks of invertible networks, which leave no number as it was."""

from typing import Any

import torch

from anabranch.transforms import Affine, Coupling, Permutation, Transform, two_sided_coupling


def two_sided_blocks(
    features: int,
    n_blocks: int,
    bound: float,
    *,
    generator: torch.Generator | None,
    **settings: Any,
) -> list[Transform]:
    """Couplings of both halves, with a random permutation before each block but the first.

    Args:
        features: D; a single number is moved by the context alone.
        n_blocks: at least one.
        bound: limit of a coupling's log-scale, by an arctangent.
        generator: source of permutations and weights.
        settings: of the couplings.

    Raises:
        ValueError: for no blocks.

    Example:
        >>> len(two_sided_blocks(3, 2, 2.0, generator=None))
        3
    """
    if n_blocks < 1:
        raise ValueError(f"n_blocks must be at least 1, got {n_blocks}")
    couple = Coupling if features == 1 else two_sided_coupling
    parts: list[Transform] = []
    for i in range(n_blocks):
        if i and features > 1:
            order = torch.randperm(features, generator=generator, device="cpu")
            parts.append(Permutation(order.tolist()))
        parts.append(couple(Affine(bound, "atan"), features, generator=generator, **settings))
    return parts
