"""From configuration to task."""

from typing import Any

import torch

from ..config import derived
from ..config.derived import Cfg
from ..config.names import TASKS
from .base import Task


def build_task(cfg: Cfg, device: torch.device) -> Task[Any]:
    """The task that a configuration names.

    Args:
        cfg: The configuration.
        device: Where batches go.
    """
    kind = TASKS[derived.task_name(cfg)]
    task: Task[Any] = kind(**kind.options(cfg, device))
    return task
