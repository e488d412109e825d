"""Densities of other kinds: autoregressive models, and a flow behind its Gaussian start."""
