"""Experiments: every run behind a figure of the book, and its file of results."""
