"""Training: batches, the trainer, and what surrounds it."""
