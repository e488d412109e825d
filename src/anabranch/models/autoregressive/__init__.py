"""Autoregressive flows."""

from anabranch.models.autoregressive.maf import maf

__all__ = ["maf"]
