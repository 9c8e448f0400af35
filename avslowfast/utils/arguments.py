"""Arguments of public calls, checked before any work is done."""

import math
import operator
from typing import Any

from .errors import UserError


class ArgumentError(UserError, ValueError):
    """An argument of a call that makes no sense; the message names it and says what to give."""


class ArgumentTypeError(UserError, TypeError):
    """An argument of another type than the call takes; the message says what to give."""


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """A whole number that a person gave.

    Args:
        name: Of the argument.
        value: The number.
        least: The smallest that makes sense.
        most: The largest; None: any.

    Raises:
        ArgumentError: It is out of range, or no whole number.
    """
    wanted = f"{least} or more" if most is None else f"{least} to {most}"
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least or (most is not None and number > most):
        raise ArgumentError(f"{name} is {shown(value)}; give a whole number, {wanted}")
    return number


def positive(name: str, value: Any) -> float:
    """A finite number above zero that a person gave.

    Args:
        name: Of the argument.
        value: The number.

    Raises:
        ArgumentError: It is none.
    """
    try:
        number = math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ArgumentError(f"{name} is {shown(value)}; give a finite number above 0")
    return number


def shown(value: Any) -> str:
    """A value in a few words: numbers and short texts as they are, of anything else the type.

    Args:
        value: Any object.
    """
    plain = value is None or isinstance(value, bool | int | float | str)
    return f"{value!r}" if plain and len(str(value)) <= 60 else f"a {type(value).__name__}"
