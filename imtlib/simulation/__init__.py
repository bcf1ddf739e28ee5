"""A simulated world whose truth is known."""
