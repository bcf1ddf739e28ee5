"""What a trained model has learnt, made visible as numbers."""
