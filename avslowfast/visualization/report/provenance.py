"""Where a run comes from: command, commit, versions, device, seed, how long it took."""

import html
import os
import shlex
from typing import Any

from ...utils.text import counted
from .markup import table
from .run import Run


def provenance(run: Run) -> str:
    """A table of facts from run.json; "" without it.

    Args:
        run: The run.
    """
    return table(((name, html.escape(value)) for name, value in facts(run).items()), numbers=())


def facts(run: Run) -> dict[str, str]:
    """{what: value} of where a run comes from, of its last start; what is not known is left out.

    Args:
        run: The run.
    """
    starts = run.record.get("starts")
    start = starts[-1] if isinstance(starts, list) and starts and isinstance(starts[-1], dict) else {}
    progress = run.record.get("progress")
    found: dict[str, Any] = {
        "run": run.record.get("id"),
        "command": _command(start.get("command")),
        "commit": start.get("git_commit"),
        "seed": run.cfg.get("RNG_SEED"),
        "versions": _listed(start.get("versions")),
        "device": _device(start),
        "date": start.get("time"),
        "starts": len(starts) if isinstance(starts, list) and len(starts) > 1 else None,
        "epochs": f"{progress.get('epoch')} of {progress.get('max_epoch')}" if isinstance(progress, dict) else None,
        "time": None if run.seconds is None else _duration(run.seconds),
    }
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def _command(words: Any) -> str | None:
    if not isinstance(words, list) or not words:
        return None
    program, *others = map(str, words)
    return shlex.join(["avslowfast" if os.path.basename(program) == "__main__.py" else program, *others])


def _listed(versions: Any) -> str | None:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) if isinstance(versions, dict) else None


def _device(start: dict[str, Any]) -> str | None:
    device, ranks = start.get("device"), start.get("ranks")
    return f"{device}, {counted(ranks, 'rank')}" if device and isinstance(ranks, int) else device


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
