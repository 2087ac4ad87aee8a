"""File and environment → `Settings`, or a list of everything that is wrong with them.

A setting comes from the environment (`OLLAMA_GATEWAY_LISTEN`), else from the file, else from its default. Without
configured hosts, `OLLAMA_HOST` says where Ollama is, as it does for Ollama's own clients.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from gateway.config.checks import check
from gateway.config.placement import HOW, parse_placement
from gateway.config.problems import ConfigError, Problem
from gateway.config.settings import (
    CorsSettings,
    HostSettings,
    ImageSettings,
    KeySettings,
    ModelSettings,
    Settings,
    Timeouts,
)
from gateway.config.source import Path, Source, write

PREFIX = "OLLAMA_GATEWAY_"

LISTS: dict[str, type[Any]] = {"hosts": HostSettings, "keys": KeySettings}
TABLES: dict[str, type[Any]] = {"models": ModelSettings}
GROUPS: dict[str, type[Any]] = {"cors": CorsSettings, "images": ImageSettings, "timeouts": Timeouts}

_TEXTS: frozenset[Path] = frozenset(
    (name,) for name, kind in get_type_hints(Settings).items() if kind is str or get_origin(kind) is Literal
)
"""Settings whose variables are taken as they are: as YAML, `[::1]:11435` would be a list."""

_KUBERNETES = re.compile(r"(_SERVICE_HOST|_SERVICE_PORT(_.+)?|_PORT_[0-9]+_(TCP|UDP|SCTP)(_ADDR|_PORT|_PROTO)?)$")
"""How the variables end that Kubernetes gives to every container for a Service called `ollama-gateway`."""

_PATH = re.compile(r" - at `\$(?P<path>.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
"""What needs no quotes in a list of YAML."""
_NO_WORD = re.compile(r"Invalid enum value '(?P<word>.*)'", re.DOTALL)


def variables() -> dict[str, Path]:
    """Return every environment variable that sets something, with the path of what it sets."""
    found: dict[str, Path] = {}
    for name in Settings.__struct_fields__:
        found[PREFIX + name.upper()] = (name,)
        for part in GROUPS[name].__struct_fields__ if name in GROUPS else ():
            found[f"{PREFIX}{name}_{part}".upper()] = (name, part)
    return found


def load(file: FilePath | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings that a file (if any) and the environment make.

    Raises:
        ConfigError: The file cannot be read, or something in it or in the environment is wrong.
    """
    loading = _Loading()
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([Problem(source=str(file), message=f"cannot be read: {error}")]) from error
        loading.read_file(Source(str(file), text, environ))
    loading.read_environment(environ)
    if "hosts" not in loading.values and environ.get("OLLAMA_HOST"):
        loading.read_ollama_host(environ["OLLAMA_HOST"])
    if loading.problems:
        raise ConfigError(loading.problems)
    settings = Settings(**loading.values)
    loading.problems.extend(
        Problem(source=source.name, line=source.line(path), key=write(path), message=message, hint=hint)
        for path, message, hint in check(settings)
        for source in (loading.source_of(path),)
    )
    if loading.problems:
        raise ConfigError(loading.problems)
    return settings


class _Loading:
    """The values and problems gathered so far, and where each value came from."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self._sources: dict[Path, Source] = {}
        self._defaults = Source("the defaults", "", {})

    def source_of(self, path: Path) -> Source:
        """Return where a setting, or the nearest one around it, comes from."""
        while path and path not in self._sources:
            path = path[:-1]
        return self._sources.get(path, self._defaults)

    def read_file(self, source: Source) -> None:
        self.problems += source.problems
        if source.value is None:
            return
        if not isinstance(source.value, dict):
            self._problem(
                source, (), "must be a mapping of settings", "Begin with a line such as `listen: 127.0.0.1:11435`."
            )
            return
        for name, value in source.value.items():
            if name in Settings.__struct_fields__:
                self._read(source, name, value)
            else:
                hint = _did_you_mean(str(name), Settings.__struct_fields__)
                self._problem(source, (str(name),), "unknown setting", hint)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        known = variables()
        for name in sorted(environ):
            if not name.startswith(PREFIX) or name == PREFIX + "CONFIG":
                continue
            if name not in known:
                if _is_kubernetes(name, environ[name]):
                    continue
                close = difflib.get_close_matches(name.removeprefix(PREFIX), [k.removeprefix(PREFIX) for k in known], 1)
                hint = f"Did you mean {PREFIX}{close[0]}?" if close else ""
                self.problems.append(Problem(source=name, message="no setting has this variable", hint=hint))
                continue
            source = Source(name, environ[name], environ, literal=known[name] in _TEXTS)
            self.problems += source.problems
            match known[name]:
                case (str(group), str(part)):
                    self._read_part(source, group, part)
                case (str(setting),):
                    self._read(source, setting, source.value)

    def read_ollama_host(self, value: str) -> None:
        self._sources["hosts",] = Source("OLLAMA_HOST", value, {}, literal=True)
        self.values["hosts"] = (HostSettings(url=_ollama_host(value)),)

    def _read_part(self, source: Source, group: str, part: str) -> None:
        """Convert one value of a group; the others stay what they are."""
        kind = GROUPS[group]
        self._sources[group, part] = source
        value = self._convert(source, (group, part), source.value, get_type_hints(kind)[part])
        # A group that could not be read is None, and its problem is told already.
        self.values[group] = msgspec.structs.replace(self.values.get(group) or kind(), **{part: value})

    def _read(self, source: Source, name: str, value: Any) -> None:
        """Convert the value of one setting, each entry of a list or table on its own, so that every path is exact."""
        self._sources[name,] = source
        if name in LISTS and isinstance(value, list):
            kind = LISTS[name]
            parts = [self._convert(source, (name, index), item, kind) for index, item in enumerate(value)]
            self.values[name] = tuple(part for part in parts if part is not None)
        elif name in TABLES and isinstance(value, dict):
            kind = TABLES[name]
            items = {
                key: self._convert(source, (name, key), {} if item is None else _with_placement(item), kind)
                for key, item in value.items()
            }
            self.values[name] = {key: item for key, item in items.items() if item is not None}
        else:
            value = _with_placement({name: value})[name]
            self.values[name] = self._convert(source, (name,), value, get_type_hints(Settings)[name])

    def _convert(self, source: Source, path: Path, value: Any, kind: Any) -> Any:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            message, inner = _split(str(error))
            if unknown := _UNKNOWN.match(message):
                hint = _did_you_mean(unknown["name"], _fields(kind))
                self._problem(source, (*path, *inner, unknown["name"]), "unknown setting", hint)
            elif unknown := _NO_WORD.match(message):
                hint = _did_you_mean(unknown["word"], _words(kind, inner))
                self._problem(source, (*path, *inner), f"{unknown['word']!r} means nothing here", hint)
            else:
                hint = _how_to_write(message, value, path, inner)
                self._problem(source, (*path, *inner), message[0].lower() + message[1:], hint)
            return None

    def _problem(self, source: Source, path: Path, message: str, hint: str = "") -> None:
        self.problems.append(
            Problem(source=source.name, line=source.line(path), key=write(path), message=message, hint=hint)
        )


def _split(error: str) -> tuple[str, Path]:
    """Split msgspec's text into what is wrong and where."""
    found = _PATH.search(error)
    if found is None:
        return error, ()
    return error[: found.start()], tuple(_steps(found["path"]))


def _steps(path: str) -> Iterator[str | int]:
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        yield name or int(index)


def _is_kubernetes(name: str, value: str) -> bool:
    """Tell whether Kubernetes set a variable. `_PORT` alone could be someone's mistake; its own is a URL."""
    end = name.removeprefix(PREFIX.removesuffix("_"))
    return bool(_KUBERNETES.search(end)) or (end.endswith("_PORT") and "://" in value)


def _with_placement(value: Any) -> Any:
    """Return a mapping in which a placement that is written as a text, such as `gpu-1, gpu-2`, is what it means."""
    match value:
        case {"placement": str(text)}:
            return {**value, "placement": parse_placement(text)}
        case _:
            return value


def _fields(kind: Any) -> Sequence[str]:
    """Return the keys that a type allows."""
    return next((k.__struct_fields__ for k in (kind, *get_args(kind)) if hasattr(k, "__struct_fields__")), ())


def _words(kind: Any, path: Path) -> Sequence[str]:
    """Return the words that a type allows at a path within it."""
    for step in path:
        kind = get_type_hints(kind)[step] if isinstance(step, str) else get_args(kind)[0]
    return [word for part in (kind, *get_args(kind)) if get_origin(part) is Literal for word in get_args(part)]


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(known)}."


def _how_to_write(message: str, value: Any, path: Path, inner: Path) -> str:
    """Return what to do about a value of the wrong type within one at a path, where that can be told."""
    whole = (*path, *inner)
    if whole[-1] == "placement":
        return HOW
    if message != "Expected `array`, got `str`" or whole in {(name,) for name in LISTS}:
        return ""
    for step in inner:
        value = value[step]
    return f"Write `[{value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)}]`."


def _ollama_host(value: str) -> str:
    """Return the URL that `OLLAMA_HOST` means: scheme and port may be missing, and 0.0.0.0 is this machine."""
    scheme, _, rest = value.strip().rpartition("://")
    address, slash, path = rest.partition("/")
    if address.count(":") > 1 and not {"[", "@"} & set(address):
        address = f"[{address}]"  # IPv6 without a port, which Ollama takes as it is
    host, colon, port = address.rpartition(":") if not address.endswith("]") else (address, "", "")
    if not colon:
        host, port = address, ""
    port = port or {"http": "80", "https": "443"}.get(scheme, "11434")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    return f"{scheme or 'http'}://{host}:{port}{slash}{path}"
