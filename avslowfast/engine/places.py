"""Which process of a job is which, and where they meet; without torch, so that signals are caught before its import."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..config import ConfigError


@dataclass(frozen=True)
class Address:
    """Where the master listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read --init_method.

        Args:
            url: tcp://HOST:PORT.

        Raises:
            ConfigError: It is something else.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or not port or parts.scheme != "tcp":
            raise ConfigError(f"--init_method is {url!r}: it has to be tcp://HOST:PORT, e.g. tcp://10.0.0.1:9999")
        return cls(host, port)


@dataclass(frozen=True)
class Place:
    """Which process of the job this is.

    Attributes:
        rank: Among all.
        local_rank: On its machine.
        world: Number of all.
        master: Where the store is.
        spawner: The process that started it, 0 for torchrun.
    """

    rank: int
    local_rank: int
    world: int
    master: Address
    spawner: int = 0
