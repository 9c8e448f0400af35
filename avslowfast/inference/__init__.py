"""Trained networks at work on files: loading, prediction, sliding window, features, offset, explanation, export."""
