"""The HTML report of a fitted mixture, and its figures for papers."""

from anabranch.reports.paper import save_cluster_figure
from anabranch.reports.report import build_report

__all__ = ["build_report", "save_cluster_figure"]
