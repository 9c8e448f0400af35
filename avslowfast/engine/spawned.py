"""A rank that `launch` has spawned, from its first moment on: it answers signals before torch is imported."""

import atexit
import contextlib
import functools
import importlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from ..config.derived import Cfg
from ..utils.alive import counting_seconds
from ..utils.errors import MISTAKE, StopRequested, tell
from ..utils.signals import end_with_parent
from .places import Place
from .stop import StopRequest

# Exit code of a rank that was stopped where it had nothing to save; its parent says so.
STOPPED_EARLY = 76


def begin(cfg: Cfg, module: str, function: str, keywords: Mapping[str, Any], place: Place) -> None:
    """Do the work of a rank, and end the process.

    Args:
        cfg: The configuration.
        module: Where the function is.
        function: What every process runs (`launch.Workflow`).
        keywords: Its further arguments.
        place: Of this process.
    """
    code = STOPPED_EARLY

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    # Registered first, so called last, when everything is saved and closed. A thread of a library that is still there
    # may abort a process whose Python ends under it.
    atexit.register(leave)
    try:
        with StopRequest(speaks=False, code=STOPPED_EARLY) as stop:
            end_with_parent(signal.SIGTERM, place.spawner)
            with counting_seconds() if place.local_rank == 0 else contextlib.nullcontext():
                from ..config import import_plugins
                from .launch import join

                # A spawned process knows the package's registry entries alone.
                import_plugins(cfg)
                work = functools.partial(getattr(importlib.import_module(module), function), **keywords)
                code = join(cfg, work, place, stop)
    except StopRequested:
        # Asked to stop before the rank could join: `code` says so already.
        pass
    except Exception as error:
        code = MISTAKE
        if not tell(error):
            code = 1
            raise
    sys.exit(code)
