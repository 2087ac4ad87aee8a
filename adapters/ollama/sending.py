"""What all calls for text have in common: their options, how they ask for thinking, how they become bytes."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from adapters.errors import InvalidRequest
from adapters.ollama.inventory import Version
from adapters.options import RETIRED
from adapters.types import Call, KeepAlive, Profile, Schema, TextRequest, Think, json_call

_THINKS_TO_THE_MAX = Version(0, 22)
"""The first release that knows the level `max` (wire.md 0)."""


class SentText(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What calls for text send alike, by Ollama's names."""

    model: str
    stream: bool
    format: str | Schema | None = None
    think: Think | None = None
    options: dict[str, Any] = {}
    keep_alive: KeepAlive | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    render_only: bool = field(default=False, name="_debug_render_only")


def encode_call(target: str, body: Struct, *, format_param: str) -> Call:
    """Return the call that sends a body.

    Args:
        target: Where to.
        body: What is sent.
        format_param: The field in which the caller asked for a format, for the error.

    Raises:
        InvalidRequest: `format` is nested more deeply than can be written.
    """
    try:
        encoded = msgspec.json.encode(body)
    except RecursionError as error:
        raise InvalidRequest("The response format is nested too deeply.", param=format_param) from error
    return json_call(target, encoded)


def encode_think(think: Think | None, version: Version | None) -> Think | None:
    """Return how hard a model is to think, in a level that a host of this version knows; None is a recent one."""
    if think == "max" and version is not None and version < _THINKS_TO_THE_MAX:
        return "high"
    return think


def encode_options(request: TextRequest, profile: Profile | None) -> dict[str, Any]:
    """Return the options, `stop` among them.

    The model's own stops are added to the caller's, which would replace them. Retired options are left out, and so is
    `num_predict` 0, which some hosts take for no limit and some for one token (wire.md 1.8).
    """
    options = {name: value for name, value in request.options.items() if name not in RETIRED}
    if options.get("num_predict") == 0:
        del options["num_predict"]
    if request.stop:
        own = profile.stops if profile else ()
        options["stop"] = tuple(dict.fromkeys((*request.stop, *own)))
    return options
