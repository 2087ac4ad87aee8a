"""What types cannot say about settings: ranges, addresses, names that clash, and who may listen where."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import re
import ssl
from collections.abc import Iterator, Sequence

from adapters.errors import InvalidRequest
from adapters.ollama.names import canonical
from adapters.options import KNOWN, RETIRED, check_keep_alive, check_option
from adapters.types import KeepAlive
from gateway.config.allow import Allowed
from gateway.config.placement import HOW, WORDS, Placement
from gateway.config.settings import HostSettings, ImageSettings, KeySettings, ModelSettings, Settings
from gateway.config.source import Path
from gateway.hop.origin import Origin, parse_origin
from gateway.hop.request import RequestEncoder

Finding = tuple[Path, str, str]

_LISTEN = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<name>[^\[\]:]*)):(?P<port>[0-9]{1,5})")
_PRINTABLE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_USUAL_PORT = re.compile(r"http://.*:80|https://.*:443")


def check(settings: Settings) -> Iterator[Finding]:
    """Yield (path, what is wrong, what to do) for everything that is wrong."""
    yield from _check_listen(settings)
    if not settings.hosts and not settings.demo:
        yield ("hosts",), "is empty, and `demo` is false: no host is left", "Add a host, or write `demo: true`."
    wrong_hosts = list(_check_hosts(settings.hosts))
    yield from wrong_hosts
    if not wrong_hosts:  # else it is not sure which names there are
        labels = [host.label for host in settings.hosts]
        yield from _check_placement(("placement",), settings.placement, labels)
        for name, model in settings.models.items():
            yield from _check_placement(("models", name, "placement"), model.placement, labels)
    yield from _check_models(settings.models)
    yield from _check_keys(settings.keys)
    yield from _check_origins(settings.cors.origins)
    yield from _check_images(settings.images)
    if settings.auth == "none" and settings.keys:
        yield ("auth",), "is none, but there are keys", "Remove the keys, or remove `auth: none` so that they count."
    yield from _check_numbers(settings)


def address(listen: str) -> tuple[str, int]:
    """Return the host and port of `127.0.0.1:11435`, `[::1]:11435` or `:11435` (every address).

    Raises:
        ValueError: It is none of these.
    """
    found = _LISTEN.fullmatch(listen)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(listen)
    if found["ipv6"]:
        return str(ipaddress.IPv6Address(found["ipv6"])), int(found["port"])
    found["name"].encode("idna")  # what cannot be looked up is a UnicodeError
    return found["name"] or "0.0.0.0", int(found["port"])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_listen(settings: Settings) -> Iterator[Finding]:
    try:
        host, _ = address(settings.listen)
    except ValueError:
        yield (
            ("listen",),
            f"{settings.listen!r} is not an address and a port",
            "Write 127.0.0.1:11435 or 0.0.0.0:11435.",
        )
        return
    if settings.auth == "keys" and not settings.keys and not is_loopback(host):
        yield (
            ("listen",),
            f"{settings.listen} can be reached from other machines, and no key protects it",
            "Add one under `keys`, listen on 127.0.0.1, or write `auth: none` if everyone may use it.",
        )


def _check_numbers(settings: Settings) -> Iterator[Finding]:
    if not math.isfinite(settings.grace) or settings.grace < 0:
        yield ("grace",), "must be a number of seconds, 0 or more", ""
    for name in ("probe_interval", "receive_timeout", "max_body", "max_choices"):
        if not 0 < getattr(settings, name) < math.inf:
            yield (name,), "must be a number above 0", ""
    for name in settings.timeouts.__struct_fields__:
        value = getattr(settings.timeouts, name)
        if value is not None and not 0 < value < math.inf:
            yield ("timeouts", name), "must be a number above 0", "For no limit, write null."


def _check_hosts(hosts: tuple[HostSettings, ...]) -> Iterator[Finding]:
    labels: dict[str, int] = {"demo": -1}
    places: dict[tuple[str, str, int, str], int] = {}
    for index, host in enumerate(hosts):
        at = ("hosts", index)
        try:
            origin = parse_origin(host.url)
        except ValueError as error:
            yield (*at, "url"), _as_part(error), "Write it as http://gpu-2.lan:11434."
            continue
        if host.parallel < 1:
            yield (*at, "parallel"), "must be at least 1", ""
        yield from _check_headers(at, host, origin)
        yield from _check_ca(at, host, origin)
        same = places.setdefault((origin.scheme, origin.name, origin.port, origin.prefix), index)
        if same != index:
            yield (
                (*at, "url"),
                f"is the same host as hosts[{same}]",
                "Keep one of them, with the `parallel` of the host.",
            )
            continue
        if not re.fullmatch(r"[\x21-\x7e]{1,64}", host.label):
            yield (*at, "name"), "must be 1 to 64 visible ASCII characters", ""
        elif "," in host.label:
            yield (*at, "name"), "must not have a comma, which stands between names of hosts", ""
        elif host.label in WORDS:
            yield (*at, "name"), f"{host.label!r} stands for other hosts where hosts are named", "Choose another name."
        elif host.label in labels:
            other = labels[host.label]
            whose = f"hosts[{other}]" if other >= 0 else "the demo host"
            yield (*at, "name"), f"{host.label!r} is already the name of {whose}", "Give each host a name of its own."
        labels.setdefault(host.label, index)


def _check_placement(at: Path, placement: Placement | None, labels: Sequence[str]) -> Iterator[Finding]:
    known = f"The hosts are {', '.join(labels)}." if labels else "There are none."
    named = placement if isinstance(placement, tuple) else ()
    if placement == ():
        yield at, "names no host", HOW
    for index, label in enumerate(named):
        here = (*at, index)
        if label in WORDS:
            yield here, f"{label!r} is no host", f"It must stand alone: `placement: {label}`."
        elif label == "demo":
            yield here, "'demo' is the simulated host, which gets no models", known
        elif label not in labels:
            yield here, f"there is no host {label!r}", known
        elif label in named[:index]:
            yield here, f"{label!r} is given twice", "Name each host once."


def _check_headers(at: Path, host: HostSettings, origin: Origin) -> Iterator[Finding]:
    for name, value in host.headers.items():
        here = (*at, "headers", name)
        if not _PRINTABLE.fullmatch(value):
            yield here, "has a character that headers do not have", ""
            continue
        try:
            RequestEncoder(origin, [(name.encode(), value.encode("latin-1"))])
        except ValueError as error:
            yield here, _as_part(error), ""


def _check_ca(at: Path, host: HostSettings, origin: Origin) -> Iterator[Finding]:
    here = (*at, "ca")
    if host.ca is None:
        return
    if origin.scheme != "https":
        yield here, "has no effect without TLS", "Begin the url with https://, or remove `ca`."
        return
    try:
        ssl.create_default_context(cafile=host.ca)
    except ssl.SSLError:
        yield here, f"{host.ca!r} has no certificate that can be read", "Give a file in the PEM format."
    except (OSError, ValueError) as error:
        yield here, f"{host.ca!r} cannot be read: {getattr(error, 'strerror', None) or error}", ""


def _as_part(error: ValueError) -> str:
    """Return the words of an error as they follow the path of a setting."""
    text = str(error).rstrip(".")
    return text[0].lower() + text[1:]


def _check_models(models: dict[str, ModelSettings]) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for name in models:
        owner = owners.setdefault(canonical(name), name)
        if owner != name:
            yield ("models", name), f"means the same model as {owner}", "Keep one of them."
    for name, model in models.items():
        at = ("models", name)
        if not name.strip():
            yield at, "must not be empty", "Write the name of a model, as in `ollama list`."
        for option, value in model.options.items():
            yield from _check_option((*at, "options", option), option, value)
        if model.keep_alive is not None:
            yield from _check_keep_alive((*at, "keep_alive"), model.keep_alive)
        for index, alias in enumerate(model.aliases):
            here = (*at, "aliases", index)
            owner = owners.setdefault(canonical(alias), name)
            if not alias.strip():
                yield here, "must not be empty", ""
            elif owner != name or canonical(alias) == canonical(name):
                yield here, f"{alias!r} already names {owner}", "A name can mean one model only."


def _check_option(here: Path, option: str, value: object) -> Iterator[Finding]:
    if option == "stop":
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            yield here, "must be a list of texts", ""
    elif option in RETIRED:
        yield here, "is no longer an option of Ollama", "Remove it."
    elif option not in KNOWN:
        yield here, "is not an option of Ollama", f"Known: {', '.join(sorted(KNOWN))}, stop."
    elif isinstance(value, float) and not math.isfinite(value):
        yield here, "must be a finite number", ""
    else:
        try:
            check_option(option, value, option)
        except InvalidRequest as error:
            yield here, error.message.rstrip("."), ""


def _check_keep_alive(here: Path, value: KeepAlive) -> Iterator[Finding]:
    if isinstance(value, float) and not math.isfinite(value):
        yield here, "must be a finite number", "For ever is -1."
        return
    try:
        check_keep_alive(value, "keep_alive")
    except InvalidRequest as error:
        yield here, error.message.rstrip("."), ""


def _check_keys(keys: tuple[KeySettings, ...]) -> Iterator[Finding]:
    names: set[str] = set()
    owners: dict[str, str] = {}
    for index, key in enumerate(keys):
        at = ("keys", index)
        if not re.fullmatch(r"[\x21-\x7e]{1,64}", key.name):
            yield (*at, "name"), "must be 1 to 64 visible ASCII characters", ""
        if key.name in names:
            yield (*at, "name"), f"{key.name!r} is given twice", "Give each key a name of its own."
        names.add(key.name)
        if len(set(key.scopes)) < len(key.scopes):
            yield (*at, "scopes"), "names a scope twice", "Name each once."
        if bool(key.secret) == bool(key.sha256):
            yield (
                at,
                "needs either `secret` or `sha256`",
                "A secret is best kept in the environment: `secret: ${ALICE_KEY}`.",
            )
        elif key.secret and not re.fullmatch(r"[\x21-\x7e]{8,512}", key.secret):
            yield (*at, "secret"), "must be 8 to 512 visible ASCII characters", "Make one with `openssl rand -hex 24`."
        elif key.sha256 and not _SHA256.fullmatch(key.sha256):
            yield (*at, "sha256"), "must be 64 hexadecimal digits", 'Make it with `printf %s "$KEY" | sha256sum`.'
        else:
            digest = key.sha256.lower() or hashlib.sha256(key.secret.encode()).hexdigest()
            owner = owners.setdefault(digest, key.name)
            if owner != key.name:
                yield at, f"is the same key as that of {owner}", "Give each name a key of its own."


def _check_origins(origins: tuple[str, ...]) -> Iterator[Finding]:
    for index, origin in enumerate(origins):
        if origin != "*" and (not _ORIGIN.fullmatch(origin) or _USUAL_PORT.fullmatch(origin)):
            yield (
                ("cors", "origins", index),
                f"{origin!r} is not an origin",
                "Write it as browsers send it: scheme, host, and port unless it is the usual one, in small letters and "
                'without a path, such as https://app.example or http://localhost:3000; or "*" for every page.',
            )


def _check_images(images: ImageSettings) -> Iterator[Finding]:
    for index, entry in enumerate(images.allow):
        try:
            Allowed((entry,))
        except ValueError as error:
            yield (
                ("images", "allow", index),
                str(error),
                "Write public for every public address, a host such as nas.lan or nas.lan:8080, or a network such as "
                "10.0.0.0/8.",
            )
    for name in ("max_bytes", "timeout"):
        if not 0 < getattr(images, name) < math.inf:
            yield ("images", name), "must be a number above 0", ""
