"""Pure numerics on tensors: the ground floor, imported by everything above it."""

from anabranch.functional.layout import circle_columns, split_parameters
from anabranch.functional.logspace import (
    log1mexp,
    standard_logistic_log_prob,
    standard_normal_log_prob,
)
from anabranch.functional.normal import (
    affine_normal_log_prob,
    normal_log_prob,
    softplus_normal_log_prob,
)
from anabranch.functional.scales import bounded
from anabranch.functional.shapes import (
    as_rows,
    as_shape,
    broadcast_leading,
    canonical,
    check_dtype,
    expand_batch,
)

__all__ = [
    "affine_normal_log_prob",
    "as_rows",
    "as_shape",
    "bounded",
    "broadcast_leading",
    "canonical",
    "check_dtype",
    "circle_columns",
    "expand_batch",
    "log1mexp",
    "normal_log_prob",
    "softplus_normal_log_prob",
    "split_parameters",
    "standard_logistic_log_prob",
    "standard_normal_log_prob",
]
