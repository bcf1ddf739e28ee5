"""Measuring: rankings, comparisons, intervals and protocols."""
