"""How fast it is: ours beside PyTorch, and how work grows."""
