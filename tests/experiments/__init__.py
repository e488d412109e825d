"""The experiment registry."""
