"""Mixtures of flows."""
