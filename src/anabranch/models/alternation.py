"""What alternates from layer to layer: in which order the features come."""

from collections.abc import Sequence

import torch

from anabranch.transforms.reshaping import image_shape as checked_shape


def alternating_order(features: int, turn: int) -> list[int]:
    """Places of the features: natural in even turns, reversed in odd ones.

    Example:
        >>> alternating_order(3, 0), alternating_order(3, 1)
        ([0, 1, 2], [2, 1, 0])
    """
    natural = list(range(features))
    return natural if turn % 2 == 0 else natural[::-1]


def patch_places(features: int, image_shape: Sequence[int], patch: int) -> tuple[list[int], int]:
    """Places of the numbers of flattened images, patch by patch, and how many a patch has.

    Args:
        features: how many numbers an image has.
        image_shape: (C, H, W).
        patch: side of a patch, a divisor of H and W.

    Raises:
        ValueError: where these do not fit each other.

    Example:
        >>> patch_places(8, (1, 2, 4), 2)
        ([0, 1, 4, 5, 2, 3, 6, 7], 4)
    """
    channels, height, width = checked_shape(tuple(image_shape))
    if channels * height * width != features or height % patch or width % patch:
        raise ValueError(
            f"image_shape must have {features} numbers and sides that patch divides, got "
            f"{tuple(image_shape)} and {patch}"
        )
    numbers = torch.arange(features).view(channels, height // patch, patch, width // patch, patch)
    order = numbers.permute(1, 3, 0, 2, 4).flatten()
    return order.argsort().tolist(), channels * patch**2
