"""What people see: annotated videos, explanations, figures, reports, TensorBoard."""
