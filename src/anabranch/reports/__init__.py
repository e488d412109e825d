"""The HTML report of a fitted mixture, and its figures for papers."""

from anabranch.reports.animation import render_animation, save_animation
from anabranch.reports.paper import save_cluster_figure
from anabranch.reports.report import build_report

__all__ = ["build_report", "render_animation", "save_animation", "save_cluster_figure"]
