"""Systems older than deep flows."""

from anabranch.models.classical.tabak_turner import tabak_turner

__all__ = ["tabak_turner"]
