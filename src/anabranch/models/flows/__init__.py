"""Flows of vectors."""
