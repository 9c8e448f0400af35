"""A run, or several beside one another, as one HTML page that needs nothing else: no network, no other file."""

from .compare import make_comparison
from .page import make_report
from .run import NoRunError

__all__ = ["NoRunError", "make_comparison", "make_report"]
