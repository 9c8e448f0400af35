"""Colours of classes: a class has the same one in every picture."""

import colorsys

# Distinguishable without colour vision too (Okabe and Ito's palette), on light and on dark ground.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Further hues are this far apart, so that neighbours differ (the golden angle).
_TURN = 0.381966


def class_colour(class_id: int) -> str:
    """Colour of a class, "#RRGGBB".

    Args:
        class_id: Its number, from 0.
    """
    if class_id < len(COLOURS):
        return COLOURS[class_id]
    number = class_id - len(COLOURS)
    channels = colorsys.hls_to_rgb((0.08 + number * _TURN) % 1, (0.45, 0.58, 0.38)[number % 3], 0.6)
    return "#" + "".join(f"{round(255 * value):02X}" for value in channels)


def class_rgb(class_id: int) -> tuple[int, int, int]:
    """Colour of a class, R, G, B of 0..255; arguments as `class_colour`."""
    text = class_colour(class_id)
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:], 16)
