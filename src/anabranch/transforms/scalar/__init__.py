"""Scalar maps: what happens to one number, given its parameters.

A scalar map is a pair of pure functions and a count of parameters. A structure (`Elementwise`,
`Coupling`, `Autoregressive`) decides where the parameters come from, and never which map it is.
"""

from anabranch.transforms.scalar.base import NumericScalarMap as NumericScalarMap
from anabranch.transforms.scalar.base import ScalarMap as ScalarMap
