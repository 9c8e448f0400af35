"""How the process keeps its memory."""

import ctypes

# Names of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_memory():
    """Keep what is freed for what is allocated next, where the C library is glibc; True if it is.

    A training step on a CPU frees and allocates gigabytes. glibc gives large blocks back to the system at once; when they are allocated
    again, the system hands them out page by page, each filled with zeros first, which takes a tenth of the step.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    # Never give memory back, take all of it from one heap.
    return all([mallopt(_M_TRIM_THRESHOLD, -1), mallopt(_M_MMAP_MAX, 0), mallopt(_M_ARENA_MAX, 1)])
