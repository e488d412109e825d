"""Flows made for variational inference."""

from anabranch.models.variational.planar import planar
from anabranch.models.variational.radial import radial

__all__ = ["planar", "radial"]
