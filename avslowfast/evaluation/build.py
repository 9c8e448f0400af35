"""From configuration to protocol."""

from .protocols import AvaProtocol, CharadesProtocol, Epic100Protocol, EpicProtocol, Protocol, SyncProtocol

_PROTOCOLS = {"ava": AvaProtocol, "charades": CharadesProtocol, "epic55": EpicProtocol, "epic100": Epic100Protocol}


def build_protocol(cfg, dataset, name):
    """How results are scored: by the rules of the data set that is registered as `name`; without labels by synchronisation."""
    kind = SyncProtocol if cfg.TASK in ("sync", "pretrain") else _PROTOCOLS.get(name.lower(), Protocol)
    return kind(cfg, dataset)
