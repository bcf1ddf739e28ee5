"""Data: logs, catalogues, histories, splits, and how they are read."""
