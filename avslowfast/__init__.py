"""Audiovisual SlowFast Networks (arXiv 2001.08740): models, data, training and testing."""

__version__ = "0.1.0"
