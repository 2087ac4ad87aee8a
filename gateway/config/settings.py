"""Every setting with its type and default. `config.yaml` as shipped says the same, by test."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from adapters.types import KeepAlive, Think
from gateway.config.placement import Placement


class HostSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine that runs models.

    Attributes:
        url: Where it listens, such as `http://gpu-2.lan:11434`.
        name: What it is called in headers, logs and metrics; the address when not given.
        parallel: How many requests a loaded model answers at once there (`OLLAMA_NUM_PARALLEL`; the API does not tell).
        headers: Sent with every request to it, such as a proxy's `Authorization`.
        ca: A file with the certificates that may sign its own, instead of the system's.
    """

    url: str
    name: str = ""
    parallel: int = 1
    headers: dict[str, str] = {}
    ca: str | None = None

    @property
    def label(self) -> str:
        """The name, or the address without scheme, path and credentials."""
        return self.name or urlsplit(self.url).netloc.rpartition("@")[2]

    def __repr__(self) -> str:
        return f"HostSettings({self.label}, parallel={self.parallel})"


class ModelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for a model unless a request says otherwise.

    Attributes:
        aliases: Further names that callers may use for it.
        options: Ollama options.
        keep_alive: How long it stays loaded after a request.
        think: Whether, or how hard, it thinks.
        truncate: Whether a prompt that does not fit is cut instead of refused.
        check_schema: Whether answers and calls that must follow a `strict` schema are checked, and asked for once more.
        templated: Whether a completion's prompt is put into the model's template, as a message of a user.
        placement: Which hosts get it when it is pulled or made.
    """

    aliases: tuple[str, ...] = ()
    options: dict[str, Any] = {}
    keep_alive: KeepAlive | None = None
    think: Think | None = None
    truncate: bool | None = None
    check_schema: bool = True
    templated: bool = False
    placement: Placement | None = None


class KeySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that callers may use.

    Attributes:
        name: Who uses it, for logs and metrics.
        secret: The key itself, best as a reference to the environment: `${ALICE_KEY}`.
        sha256: Its SHA-256 in hexadecimal, instead of the key.
        scopes: What it may do besides asking models: `admin` may manage them.
    """

    name: str
    secret: str = ""
    sha256: str = ""
    scopes: tuple[Literal["admin"], ...] = ()

    def __repr__(self) -> str:
        return f"KeySettings({self.name})"


class Timeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a host may take, in seconds; null is without end.

    Attributes:
        connect: To accept a connection.
        first_byte: To begin its answer; loading a model and reading the prompt come before that.
        between: From one piece of a streamed answer to the next.
        total: For the whole of a call.
    """

    connect: float | None = 5.0
    first_byte: float | None = 600.0
    between: float | None = 120.0
    total: float | None = None


class CorsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pages of the web may call from within a browser.

    Attributes:
        origins: Their origins as browsers send them, `https://app.example`; `*` for every page.
    """

    origins: tuple[str, ...] = ()


class ImageSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Images that a request names by URL.

    Attributes:
        fetch: Whether the gateway fetches them.
        allow: From where: `public` for the ports 80 and 443 of every public address, a host by its name, an address or
            a network, public or not; see `gateway.config.allow`.
        max_bytes: Largest image, in bytes.
        timeout: Seconds for an image to arrive, redirects included.
    """

    fetch: bool = False
    allow: tuple[str, ...] = ("public",)
    max_bytes: int = 20 * 1024 * 1024
    timeout: float = 10.0


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings.

    Attributes:
        listen: Address and port to serve on.
        hosts: The machines that run models.
        placement: Which of them get a model that is pulled or made, unless the model's own settings say otherwise.
        models: Settings by model name.
        keys: Keys that callers may use.
        auth: `keys`: with keys, each request needs one; without keys only loopback is served. `none`: everyone may use
            everything, wherever it listens.
        cors: Which pages of the web may call from within a browser.
        demo: Whether a simulated host with the model `demo` stands beside the real ones.
        probe_interval: Seconds between two looks at a host.
        timeouts: How long a host may take.
        receive_timeout: Seconds a caller may take to send a request, or to take what is sent to it; of a blob, to send
            the next piece.
        max_body: Largest request body, in bytes; blobs may have any size.
        max_choices: How many answers one request may ask for, such as with `n`.
        images: Images that a request names by URL.
        grace: Seconds that running answers may still take when the gateway stops.
        log: `json`, `text`, or `auto`: text on a terminal, JSON elsewhere.
    """

    listen: str = "127.0.0.1:11435"
    hosts: tuple[HostSettings, ...] = (HostSettings(url="http://127.0.0.1:11434"),)
    placement: Placement = "all"
    models: dict[str, ModelSettings] = {}
    keys: tuple[KeySettings, ...] = ()
    auth: Literal["keys", "none"] = "keys"
    cors: CorsSettings = CorsSettings()
    demo: bool = True
    probe_interval: float = 10.0
    timeouts: Timeouts = Timeouts()
    receive_timeout: float = 60.0
    max_body: int = 64 * 1024 * 1024
    max_choices: int = 32
    images: ImageSettings = ImageSettings()
    grace: float = 30.0
    log: Literal["auto", "json", "text"] = "auto"
