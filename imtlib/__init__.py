"""Attention-based multi-scenario interest migration: the model of the book, and what surrounds it."""
