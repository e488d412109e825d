"""What alternates from layer to layer: which features move, and in which order they come."""


def half_mask(features: int, turn: int) -> list[bool]:
    """Which features move: the second half in even turns, the first in odd ones; one always does.

    Example:
        >>> half_mask(3, 0), half_mask(3, 1), half_mask(1, 1)
        ([False, True, True], [True, False, False], [True])
    """
    return [(d >= features // 2) == (turn % 2 == 0 or features == 1) for d in range(features)]


def every_other_mask(features: int, turn: int) -> list[bool]:
    """Which features move: those of even numbers in even turns, the others in odd ones.

    Example:
        >>> every_other_mask(3, 0), every_other_mask(3, 1), every_other_mask(1, 1)
        ([True, False, True], [False, True, False], [True])
    """
    return [d % 2 == turn % 2 or features == 1 for d in range(features)]


def checkerboard_mask(size: tuple[int, int, int], turn: int) -> list[bool]:
    """Which pixels of (C, H, W) move: the fields of one colour, in all channels alike.

    Raises:
        ValueError: for an image of one field.

    Example:
        >>> checkerboard_mask((1, 2, 3), 0)
        [True, False, True, False, True, False]
    """
    channels, height, width = size
    if height * width == 1:
        raise ValueError("image_shape must have more than one place, got a height and width of 1")
    board = [(i + j) % 2 == turn % 2 for i in range(height) for j in range(width)]
    return board * channels


def alternating_order(features: int, turn: int) -> list[int]:
    """Places of the features: natural in even turns, reversed in odd ones.

    Example:
        >>> alternating_order(3, 0), alternating_order(3, 1)
        ([0, 1, 2], [2, 1, 0])
    """
    natural = list(range(features))
    return natural if turn % 2 == 0 else natural[::-1]
