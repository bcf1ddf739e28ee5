"""Data sets by name: fetched, verified and cached, or simulated."""
