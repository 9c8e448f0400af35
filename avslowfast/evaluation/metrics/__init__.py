"""Metrics over arrays of scores and labels."""
