"""Nats to bits per dimension."""

from typing import TypeVar

import numpy as np

# Whatever scales: a float, an array, a tensor.
T = TypeVar("T")


def bits_per_dim(log_prob_nats: T, n_dims: int) -> T:
    r"""Return $-\log p(x) / (D \log 2)$.

    The log-density must be that of the data in the units whose bits are meant: for 8-bit images
    integers from 0 to 255, dequantization and all preprocessing counted.

    Args:
        log_prob_nats: Log-density in nats: a float, or an array or tensor of any shape.
        n_dims: Dimensions of one point, D.

    Raises:
        ValueError: If `n_dims` is less than 1.

    Example:
        >>> round(bits_per_dim(-784 * 0.6931471805599453, 784), 6)
        1.0
    """
    if n_dims < 1:
        raise ValueError(f"n_dims is {n_dims}, expected at least 1")
    return -log_prob_nats / (n_dims * float(np.log(2)))  # pyright: ignore[reportOperatorIssue] - any scalable type
