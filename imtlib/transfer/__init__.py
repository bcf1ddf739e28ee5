"""Transfer of a trained model to another catalogue."""
