"""Mixtures of Gaussians times categories, with missing cells, by expectation maximisation."""

from anabranch.algorithms.mixed_gaussians.completion import Completion as Completion
from anabranch.algorithms.mixed_gaussians.em import MixedFit as MixedFit
from anabranch.algorithms.mixed_gaussians.em import MixedRows as MixedRows
from anabranch.algorithms.mixed_gaussians.em import mixed_em as mixed_em
from anabranch.algorithms.mixed_gaussians.em import mixed_m_step as mixed_m_step
from anabranch.algorithms.mixed_gaussians.parameters import MixedParameters as MixedParameters
