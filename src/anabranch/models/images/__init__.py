"""Flows of images."""

from anabranch.models.images.conv_realnvp import conv_realnvp

__all__ = [
    "conv_realnvp",
]
