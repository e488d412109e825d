"""Flows of images."""
