"""How long a host may take, and how much of its words are kept in memory."""

from __future__ import annotations

from msgspec import Struct


class Timeouts(Struct, frozen=True):
    """Seconds that a call may take; None is no limit.

    Attributes:
        connect: To look up the host's name, connect and agree on TLS.
        first_byte: From the moment the request was handed to the socket to the end of the answer's header block. A
            model that has to be loaded first takes minutes.
        between: Between two pieces of the answer's body, while somebody reads them. It bounds too how long the host may
            leave a streamed request body untaken.
        total: The whole call, from `send` to the last byte of the answer.
    """

    connect: float | None = 5.0
    first_byte: float | None = 600.0
    between: float | None = 120.0
    total: float | None = None


class Limits(Struct, frozen=True):
    """What a connection may hold.

    There is no limit to the number of connections: how many calls a host gets at once is decided by routing, and a pool
    with an opinion of its own would be a second queue that nobody sees.

    Attributes:
        max_header_bytes: The largest header block, interim answers included; also the most that may come between two
            pieces of a body (chunk extensions, trailers).
        high_water: Bytes of an answer that may lie unread before the host is made to wait.
        keep_alive: Seconds after which an idle connection is closed. Ollama itself never closes one; load balancers and
            proxies before it do so after 60 seconds and more, and it is better to be first.
        max_idle: How many idle connections are kept.
    """

    max_header_bytes: int = 65_536
    high_water: int = 262_144
    keep_alive: float = 55.0
    max_idle: int = 64
