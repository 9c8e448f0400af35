"""How the process keeps the memory that it has freed."""

import contextlib
import ctypes

# Names of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def return_freed_memory() -> None:
    """Return the memory that is free now to the system, where the C library is glibc: forked processes need no copy."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def keep_freed_memory() -> bool:
    """Keep freed memory for later allocations, where the C library is glibc.

    A training step on a CPU frees and allocates gigabytes. glibc returns large blocks to the system at once; when they
    are allocated again, the system fills every page with zeros first, which takes a tenth of the step.

    Returns:
        Whether the C library is glibc and took the settings.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    # Never return memory to the system, and take all of it from one heap.
    return all([mallopt(_M_TRIM_THRESHOLD, -1), mallopt(_M_MMAP_MAX, 0), mallopt(_M_ARENA_MAX, 1)])
