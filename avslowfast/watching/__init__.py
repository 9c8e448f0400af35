"""Loggers: where a training shows its numbers besides the log. All get the same scalars under the same names."""
