"""Fits that are not gradient loops: EM, trees, graph clusters, greedy ascent."""
