"""Registries: where hosts pull models from and push them to, and how that fails (wire.md 1.11)."""

from __future__ import annotations

from msgspec import Struct

from gateway.simulator.model import SimulatedModel
from gateway.simulator.names import Name


class Unreachable(Struct, frozen=True):
    """Nothing listens where the name says that the registry is."""


class PlainHTTP(Struct, frozen=True):
    """The registry speaks HTTP without TLS: it works for those who allow `insecure`."""


class Broken(Struct, frozen=True):
    """The registry answers with an error: its status and its body."""

    status: int = 500
    body: str = '{"errors":[{"code":"UNKNOWN","message":"registry is down"}]}'


class Corrupt(Struct, frozen=True):
    """What is downloaded is not what its digest promises."""


Failure = Unreachable | PlainHTTP | Broken | Corrupt


class Registry:
    """Models that can be pulled. Several simulators may share one: what one pushes the others can pull.

    Args:
        models: What it has. The names say which registry of the world it plays for each.

    Attributes:
        models: What it has, by `Name.key`.
    """

    def __init__(self, *models: SimulatedModel) -> None:
        self.models: dict[str, SimulatedModel] = {}
        self.add(*models)
        self._failures: dict[str, Failure] = {}

    def add(self, *models: SimulatedModel) -> None:
        """Offer models; one of the same name is replaced.

        Raises:
            ValueError: A name is malformed.
        """
        self.models |= {model.full_name.key: model for model in models}

    def fail(self, name: str, failure: Failure | None) -> None:
        """Say what goes wrong with every pull and push of a name from now on; None for nothing.

        Raises:
            ValueError: The name is malformed.
        """
        key = SimulatedModel(name=name).full_name.key
        self._failures.pop(key, None)
        if failure is not None:
            self._failures[key] = failure

    def find(self, name: Name) -> SimulatedModel | None:
        """Return a model."""
        return self.models.get(name.key)

    def is_corrupt(self, name: Name) -> bool:
        """Tell whether what is downloaded under a name is spoiled."""
        return isinstance(self._failures.get(name.key), Corrupt)

    def complaint(self, name: Name, request: str, path: str, *, insecure: bool) -> str | None:
        """Return why a request to the registry fails, in Go's words; None when it does not.

        Args:
            name: The model.
            request: The request's method as Go's client words it, `Get` or `Head`.
            path: What follows the model in the request's path.
            insecure: Whether the caller allows HTTP without TLS.
        """
        scheme = "http" if insecure else "https"
        where = f'{request} "{scheme}://{name.host}/v2/{name.namespace}/{name.model}/{path}"'
        match self._failures.get(name.key):
            case Unreachable():
                return f"{where}: dial tcp {name.host}: connect: connection refused"
            case PlainHTTP() if not insecure:
                return f"{where}: tls: first record does not look like a TLS handshake"
            case Broken(status, body):
                return f"{status}: {body if request == 'Get' else ''}"
            case _:
                return None
