"""Readers of label files: one module per data set."""
