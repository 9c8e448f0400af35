"""How fast things are, measured; and straightforward implementations of the usual way, to measure against."""
