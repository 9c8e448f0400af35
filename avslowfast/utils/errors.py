"""The base of errors that a person can correct, as opposed to faults of the program."""


class UserError(Exception):
    """An error whose message says in one line what is wrong, where, and what to do.

    Command lines print it without a traceback.
    """
