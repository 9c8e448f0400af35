"""Training, evaluation and what starts them."""
