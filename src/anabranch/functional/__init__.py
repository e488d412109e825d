"""Pure numerics on tensors: the ground floor, imported by everything above it."""

from anabranch.functional.discrepancy import (
    inverse_multiquadratic_mmd as inverse_multiquadratic_mmd,
)
from anabranch.functional.layout import circle_columns as circle_columns
from anabranch.functional.layout import split_parameters as split_parameters
from anabranch.functional.leapfrog import Phase as Phase
from anabranch.functional.leapfrog import leapfrog as leapfrog
from anabranch.functional.leapfrog import score as score
from anabranch.functional.logspace import log1mexp as log1mexp
from anabranch.functional.logspace import standard_logistic_log_prob as standard_logistic_log_prob
from anabranch.functional.logspace import standard_normal_log_prob as standard_normal_log_prob
from anabranch.functional.normal import affine_normal_log_prob as affine_normal_log_prob
from anabranch.functional.normal import normal_log_prob as normal_log_prob
from anabranch.functional.normal import softplus_normal_log_prob as softplus_normal_log_prob
from anabranch.functional.runge_kutta import runge_kutta as runge_kutta
from anabranch.functional.scales import bounded as bounded
from anabranch.functional.shapes import as_rows as as_rows
from anabranch.functional.shapes import as_shape as as_shape
from anabranch.functional.shapes import broadcast_leading as broadcast_leading
from anabranch.functional.shapes import canonical as canonical
from anabranch.functional.shapes import check_dtype as check_dtype
from anabranch.functional.shapes import expand_batch as expand_batch
