"""Trained networks applied to files: predictions, windows over time, features, offset, boxes, explanations, export."""
