"""Layers that the five steps are built from."""
