"""What a model is trained to make small."""
