"""Weights & Biases."""

import json
import os
from collections.abc import Mapping
from typing import Any

from ..utils.files import replacing
from ..utils.logging import get_logger
from .base import group_of, LoggedRun, RunLogger

logger = get_logger(__name__)

# Seconds that the server may take at the start, and for the rest at the end.
_START, _END = 60, 120
_LOGGED = "logged.json"


class WandbLogger(RunLogger):
    """Logs to Weights & Biases, under the id of the run, which a resumed run therefore continues.

    Its own variables (WANDB_MODE, WANDB_ENTITY, WANDB_API_KEY ...) mean what they always mean. Where the server does
    not answer, the run is written into OUTPUT_DIR/wandb, from where `wandb sync` uploads it. A process of W&B's writes
    every few seconds; what it has in memory when a job is killed is missing there.

    Args:
        options: The node WANDB: PROJECT.
        run: What is logged; what was logged before is not logged again.
    """

    def __init__(self, options: Mapping[str, Any], run: LoggedRun) -> None:
        super().__init__(options, run)
        self._marks = os.path.join(run.output_dir, "wandb", _LOGGED)
        self._logged = self._read_marks()
        # The package has no types.
        self._run: Any = self._start()
        # W&B's own steps can only grow; the axis of the charts is this one.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def _start(self) -> Any:
        import wandb

        os.makedirs(os.path.dirname(self._marks), exist_ok=True)
        settings = wandb.Settings(
            console="off", silent=True, init_timeout=_START, login_timeout=_START, finish_timeout=_END
        )
        known: dict[str, Any] = {
            "project": self.options["PROJECT"],
            "id": self.run.id,
            "name": os.path.basename(self.run.output_dir),
            "dir": self.run.output_dir,
            "config": dict(self.run.configuration),
            "resume": "allow",
            "settings": settings,
        }
        try:
            return wandb.init(**known)
        except (wandb.errors.CommError, wandb.errors.UsageError, OSError) as error:
            if os.environ.get("WANDB_MODE") == "offline":
                raise
            reason = " ".join(str(error).split())[:200]
            logger.warning("W&B: no connection (%s); written offline into %s/wandb", reason, self.run.output_dir)
            return wandb.init(**known, mode="offline")

    def _read_marks(self) -> dict[str, int]:
        """{group: last step that was logged}; {} for another run than this one."""
        try:
            with open(self._marks, encoding="utf-8") as f:
                marks = json.load(f)
            return (
                {str(group): int(step) for group, step in marks["steps"].items()} if marks["run"] == self.run.id else {}
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def write_scalars(self, scalars: Mapping[str, float], step: int, epoch: float) -> None:
        """See `RunLogger.write_scalars`."""
        group = group_of(scalars)
        if step <= self._logged.get(group, -1):
            return
        self._run.log({**scalars, "step": step, "epoch": epoch})
        self._logged[group] = step
        with replacing(self._marks) as part, open(part, "w", encoding="utf-8") as f:
            json.dump({"run": self.run.id, "steps": self._logged}, f)

    def close(self, finished: bool) -> None:
        """See `RunLogger.close`."""
        self._run.finish(exit_code=0 if finished else 75)
