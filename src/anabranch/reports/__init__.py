"""The HTML report of a fitted mixture, and its figures for papers."""

from anabranch.reports.animation import render_animation as render_animation
from anabranch.reports.animation import save_animation as save_animation
from anabranch.reports.paper import save_cluster_figure as save_cluster_figure
from anabranch.reports.plot import plot as plot
from anabranch.reports.report import build_report as build_report
