"""The command line: `main` has the table of commands, one module per command has its arguments and what it does.

A command's module has a docstring (its help, with examples), `add_arguments(parser)` and `run(args) -> exit code`.
Modules that take long to import (torch, matplotlib) are imported inside functions, so that every `--help` answers at
once.
"""
