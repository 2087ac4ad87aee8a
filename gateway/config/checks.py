"""What types cannot say about settings: ranges, addresses, names that clash, and who may listen where."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from adapters.errors import InvalidRequest
from adapters.ollama.names import canonical
from adapters.options import KNOWN, RETIRED, check_keep_alive, check_option
from gateway.config.settings import HostSettings, KeySettings, ModelSettings, Settings
from gateway.config.source import Path

Finding = tuple[Path, str, str]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PRINTABLE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def check(settings: Settings) -> Iterator[Finding]:
    """Yield (path, what is wrong, what to do) for everything that is wrong."""
    yield from _check_listen(settings)
    yield from _check_hosts(settings.hosts)
    yield from _check_models(settings.models)
    yield from _check_keys(settings.keys)
    if settings.auth == "none" and settings.keys:
        yield ("auth",), "is none, but there are keys", "Remove the keys, or remove `auth: none` so that they count."
    for name in ("probe_interval", "receive_timeout", "max_body"):
        if getattr(settings, name) <= 0:
            yield (name,), "must be more than 0", ""
    if settings.grace < 0:
        yield ("grace",), "must not be negative", ""
    for name in settings.timeouts.__struct_fields__:
        value = getattr(settings.timeouts, name)
        if value is not None and value <= 0:
            yield ("timeouts", name), "must be more than 0", "For no limit, write null."


def address(listen: str) -> tuple[str, int]:
    """Return the host and port of `127.0.0.1:11435`, `[::1]:11435` or `:11435` (every address).

    Raises:
        ValueError: It is none of these.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(listen)
    host = host.removeprefix("[").removesuffix("]")
    if ":" in host:
        ipaddress.IPv6Address(host)
    return host or "0.0.0.0", int(port)


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


def _check_hosts(hosts: tuple[HostSettings, ...]) -> Iterator[Finding]:
    labels: dict[str, int] = {"demo": -1}
    for index, host in enumerate(hosts):
        at = ("hosts", index)
        try:
            url = urlsplit(host.url)
            good = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
        except ValueError:
            good = False
        if not good or not _PRINTABLE.fullmatch(host.url) or " " in host.url:
            yield (*at, "url"), f"{host.url!r} is not an address of a host", "Write it as http://gpu-2.lan:11434."
            continue
        if url.query or url.fragment:
            yield (*at, "url"), "must end with the path", ""
        if host.parallel < 1:
            yield (*at, "parallel"), "must be at least 1", ""
        if not re.fullmatch(r"[\x21-\x7e]{1,64}", host.label):
            yield (*at, "name"), "must be 1 to 64 visible ASCII characters", ""
        elif host.label in labels:
            other = labels[host.label]
            whose = f"hosts[{other}]" if other >= 0 else "the demo host"
            yield (*at, "name"), f"{host.label!r} is already the name of {whose}", "Give each host a name of its own."
        labels.setdefault(host.label, index)
        for name, value in host.headers.items():
            if not _TOKEN.fullmatch(name) or not _PRINTABLE.fullmatch(value):
                yield (*at, "headers", name), "is not a header that can be sent", ""


def _check_models(models: dict[str, ModelSettings]) -> Iterator[Finding]:
    owners = {canonical(name): name for name in models}
    for name, model in models.items():
        at = ("models", name)
        for option, value in model.options.items():
            here = (*at, "options", option)
            if option == "stop":
                if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
                    yield here, "must be a list of texts", ""
            elif option in RETIRED:
                yield here, "is no longer an option of Ollama", "Remove it."
            elif option not in KNOWN:
                yield here, "is not an option of Ollama", f"Known: {', '.join(sorted(KNOWN))}, stop."
            else:
                yield from _try(here, lambda o=option, v=value: check_option(o, v, o))
        if model.keep_alive is not None:
            yield from _try((*at, "keep_alive"), lambda v=model.keep_alive: check_keep_alive(v, "keep_alive"))
        for index, alias in enumerate(model.aliases):
            owner = owners.setdefault(canonical(alias), name)
            if owner != name or canonical(alias) == canonical(name):
                yield (*at, "aliases", index), f"{alias!r} already names {owner}", "A name can mean one model only."


def _try(path: Path, check_value: object) -> Iterator[Finding]:
    assert callable(check_value)
    try:
        check_value()
    except InvalidRequest as error:
        yield path, error.message.rstrip("."), ""


def _check_keys(keys: tuple[KeySettings, ...]) -> Iterator[Finding]:
    names: set[str] = set()
    for index, key in enumerate(keys):
        at = ("keys", index)
        if not re.fullmatch(r"[\x21-\x7e]{1,64}", key.name):
            yield (*at, "name"), "must be 1 to 64 visible ASCII characters", ""
        if key.name in names:
            yield (*at, "name"), f"{key.name!r} is given twice", "Give each key a name of its own."
        names.add(key.name)
        if bool(key.secret) == bool(key.sha256):
            yield (
                at,
                "needs either `secret` or `sha256`",
                "A secret is best kept in the environment: `secret: ${ALICE_KEY}`.",
            )
        if key.secret and not re.fullmatch(r"[\x21-\x7e]{8,512}", key.secret):
            yield (*at, "secret"), "must be 8 to 512 visible ASCII characters", "Make one with `openssl rand -hex 24`."
        if key.sha256 and not _SHA256.fullmatch(key.sha256):
            yield (*at, "sha256"), "must be 64 hexadecimal digits", 'Make it with `printf %s "$KEY" | sha256sum`.'
