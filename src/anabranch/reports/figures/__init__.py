"""The figures of a report: pure functions that return plotly figures."""

from anabranch.reports.figures.clusters import line_figure as line_figure
from anabranch.reports.figures.clusters import plane_figure as plane_figure
from anabranch.reports.figures.clusters import projection_figure as projection_figure
from anabranch.reports.figures.codes import codes_figure as codes_figure
from anabranch.reports.figures.codes import usage_figure as usage_figure
from anabranch.reports.figures.columns import columns_figure as columns_figure
from anabranch.reports.figures.density import density_line as density_line
from anabranch.reports.figures.density import density_map as density_map
from anabranch.reports.figures.density import log_density_histogram as log_density_histogram
from anabranch.reports.figures.images import image_strip as image_strip
from anabranch.reports.figures.labels import contingency_figure as contingency_figure
from anabranch.reports.figures.png import gif_data_uri as gif_data_uri
from anabranch.reports.figures.posterior import PosteriorAgreement as PosteriorAgreement
from anabranch.reports.figures.posterior import agreement as agreement
from anabranch.reports.figures.posterior import confidence_figure as confidence_figure
from anabranch.reports.figures.sizes import sizes_figure as sizes_figure
from anabranch.reports.figures.training import training_figure as training_figure
