"""What alternates from layer to layer: in which order the features come."""


def alternating_order(features: int, turn: int) -> list[int]:
    """Places of the features: natural in even turns, reversed in odd ones.

    Example:
        >>> alternating_order(3, 0), alternating_order(3, 1)
        ([0, 1, 2], [2, 1, 0])
    """
    natural = list(range(features))
    return natural if turn % 2 == 0 else natural[::-1]
