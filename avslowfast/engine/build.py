"""From configuration to task and protocol."""

from .pretrain import PretrainTask, SyncTask
from .protocols import AvaProtocol, CharadesProtocol, Epic100Protocol, EpicProtocol, Protocol, SyncProtocol
from .task import ClassificationTask, DetectionTask

_TASKS = {"classification": ClassificationTask, "detection": DetectionTask, "sync": SyncTask, "pretrain": PretrainTask}
_PROTOCOLS = {"ava": AvaProtocol, "charades": CharadesProtocol, "epic55": EpicProtocol, "epic100": Epic100Protocol}


def build_task(cfg, device):
    """The task that cfg.TASK names; DETECTION.ENABLE alone chooses detection."""
    return _TASKS["detection" if cfg.DETECTION.ENABLE else cfg.TASK](cfg, device)


def build_protocol(cfg, dataset, name):
    """How results are scored: by the rules of the data set that is registered as `name`; without labels by synchronisation."""
    kind = SyncProtocol if cfg.TASK in ("sync", "pretrain") else _PROTOCOLS.get(name.lower(), Protocol)
    return kind(cfg, dataset)
