"""Coupling flows."""

from anabranch.models.coupling.realnvp import realnvp

__all__ = ["realnvp"]
