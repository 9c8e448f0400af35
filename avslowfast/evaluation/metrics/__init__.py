"""Metrics over arrays of scores and labels; they know neither networks nor the configuration."""

from ...config.names import Metric

__all__ = ["Metric"]
