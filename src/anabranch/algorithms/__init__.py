"""Fits that are not gradient loops.

- `anabranch.algorithms.gaussians`: Gaussian mixtures by EM, their starts, priors and numbers of
  components.
- `anabranch.algorithms.trees`: latent trees by EM, and the search of their structure.
- `anabranch.algorithms.graph_clusters`: clusters as regions without gaps.
- `anabranch.algorithms.greedy_ascent`: layers of a flow that are set one after another.
"""
