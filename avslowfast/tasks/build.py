"""From configuration to task."""

from .classification import ClassificationTask, DetectionTask
from .pretrain import PretrainTask, SyncTask

_TASKS = {"classification": ClassificationTask, "detection": DetectionTask, "sync": SyncTask, "pretrain": PretrainTask}


def build_task(cfg, device):
    """The task that cfg.TASK names; DETECTION.ENABLE alone chooses detection."""
    return _TASKS["detection" if cfg.DETECTION.ENABLE else cfg.TASK](cfg, device)
