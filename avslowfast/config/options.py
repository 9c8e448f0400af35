"""The hook by which a part says what it takes from the configuration."""

from typing import Any

from .derived import Cfg


class TakesOptions:
    """A part that builders make from a configuration: a pathway, a lateral, a head, a pretext.

    It reads no configuration itself; `options` says which further arguments its constructor gets. A part of a plugin
    has a config node for them, see `plugins.add_config`.
    """

    @classmethod
    def options(cls, cfg: Cfg) -> dict[str, Any]:
        """Further arguments of the constructor that a configuration gives; none by default.

        Args:
            cfg: The configuration.
        """
        return {}
