"""Sizes that recipes choose by themselves."""


def coupling_hidden(features: int) -> tuple[int]:
    """Hidden sizes of a coupling's network: one layer of 4 D units, 32 to 64.

    Example:
        >>> coupling_hidden(2), coupling_hidden(10), coupling_hidden(100)
        ((32,), (40,), (64,))
    """
    return (min(64, max(32, 4 * features)),)
