"""Which process of a job is which, and where they meet; without torch, so that signals are caught before its import."""

import os
import re
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

    @classmethod
    def of_torchrun(cls) -> "Place":
        """That which torchrun gives each process in its environment.

        Raises:
            ConfigError: A variable is missing or makes no sense; names it.
        """
        world = from_torchrun("WORLD_SIZE", 1, 10**6)
        rank = from_torchrun("RANK", 0, world - 1)
        local_rank = from_torchrun("LOCAL_RANK", 0, world - 1)
        host = os.environ.get("MASTER_ADDR", "")
        if not host.strip():
            raise _no_torchrun("MASTER_ADDR", "the name of a machine")
        return cls(rank, local_rank, world, Address(host, from_torchrun("MASTER_PORT", 1, 65535)))


def processes_here(world: int) -> int:
    """How many processes torchrun has started on this machine, of all.

    Raises:
        ConfigError: The variable makes no sense.
    """
    return from_torchrun("LOCAL_WORLD_SIZE", 1, world) if "LOCAL_WORLD_SIZE" in os.environ else 1


def from_torchrun(name: str, least: int, most: int) -> int:
    """A number that torchrun gives each process in its environment.

    Args:
        name: Of the variable.
        least: Smallest number that makes sense.
        most: Largest one.

    Raises:
        ConfigError: It is missing or something else.
    """
    text = os.environ.get(name, "")
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not least <= int(text) <= most:
        raise _no_torchrun(name, f"a whole number from {least} to {most}")
    return int(text)


def _no_torchrun(name: str, wanted: str) -> ConfigError:
    return ConfigError(
        f"{name} is {os.environ.get(name, '')!r} in the environment, and has to be {wanted}; torchrun sets it: start "
        "with torchrun, or unset RANK and WORLD_SIZE"
    )
