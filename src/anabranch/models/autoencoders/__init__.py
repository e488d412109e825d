"""Autoencoders, and systems that find clusters in their codes."""
