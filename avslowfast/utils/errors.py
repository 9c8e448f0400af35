"""What tells a mistake that a person can mend from a fault of the program."""


class UserError(Exception):
    """Base of errors whose message says in one line what is wrong, where, and what to do; tools print it without a traceback."""
