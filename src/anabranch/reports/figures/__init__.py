"""The figures of a report: pure functions that return plotly figures."""

from anabranch.reports.figures.clusters import line_figure, plane_figure, projection_figure
from anabranch.reports.figures.density import density_line, density_map, log_density_histogram
from anabranch.reports.figures.images import image_strip
from anabranch.reports.figures.labels import contingency_figure
from anabranch.reports.figures.png import gif_data_uri
from anabranch.reports.figures.posterior import PosteriorAgreement, agreement, confidence_figure
from anabranch.reports.figures.sizes import sizes_figure
from anabranch.reports.figures.training import training_figure

__all__ = [
    "PosteriorAgreement",
    "agreement",
    "confidence_figure",
    "contingency_figure",
    "density_line",
    "density_map",
    "gif_data_uri",
    "image_strip",
    "line_figure",
    "log_density_histogram",
    "plane_figure",
    "projection_figure",
    "sizes_figure",
    "training_figure",
]
