"""A run as one HTML page that needs nothing else: no network, no other file."""

from .page import make_report
from .run import NoRunError

__all__ = ["NoRunError", "make_report"]
