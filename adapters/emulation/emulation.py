"""One chat out of one or several native calls: a fold over their events that says when another call is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from adapters.accounting import add
from adapters.emulation.correction import ask_for_call_again, ask_for_calls, ask_for_form
from adapters.emulation.forced_call import ask_for_call, read_call
from adapters.errors import CallerError, GatewayError, HostBroken, InvalidRequest, SchemaMismatch
from adapters.types import ChatRequest, Delta, Event, Failure, Finish, Schema, ToolCall, Usage

Check: TypeAlias = Callable[[Schema, object], str | None]
"""Says what about a value does not follow a schema: nothing when it does, None when that cannot be checked."""

LONGEST = 8_000_000
"""Characters of text that are kept of one answer, for it may have to be checked, or taken back."""

_decode = msgspec.json.Decoder().decode


def is_needed(request: ChatRequest) -> bool:
    """Whether a chat demands more than one native call can be trusted to give."""
    if request.render_only:  # there is no answer then
        return False
    if request.tool_choice != "auto" or request.strict_format:
        return True
    return bool(request.tools) and (not request.parallel_tool_calls or any(tool.strict for tool in request.tools))


class Emulation:
    """Makes the answer that a chat demands. Made for one chat.

    Thoughts go to the caller as they come, and so does text, except where it may have to be taken back: as long as a
    call must come and has not, and where a whole answer is checked against its schema. A streamed answer is checked
    when its text is out, so one that fails ends in a failure. Calls are held until they have been checked; those that
    are wrong at the second try too are handed over with a remark, since whoever runs them checks them as well.

    Args:
        request: What is asked.
        check: Checks what `strict` promises; None when it is not to be checked.
        call_id: Makes the id of a tool call, from its place within the answer.

    Attributes:
        request: The native call that is to be made: the first one, and after each time that `again` is true the next.
        again: Whether another native call is needed. Whoever makes it sets it to false.
        spent: What the native calls took that have come to their end.
    """

    def __init__(self, request: ChatRequest, *, check: Check | None, call_id: Callable[[int], str]) -> None:
        self.request = request
        self.again = False
        self._asked = request
        self._call_id = call_id
        self._must_call = bool(request.tools) and request.tool_choice in ("required", "named")
        self._schema = request.format if request.strict_format and isinstance(request.format, dict) else None
        self._check_format = check if self._schema else None
        self._check_calls = check if any(tool.strict for tool in request.tools) else None
        self._turn: Literal["first", "forced"] = "first"
        self._corrected = False
        self._problem_found = ""
        self.spent = Usage()
        self._timings: dict[str, Any] = {}
        self._text: list[str] = []
        self._length = 0
        self._held: list[Delta] = []
        self._calls: list[ToolCall] = []
        self._wrong_calls: list[ToolCall] = []

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """Return what the caller gets of the next events of the native call."""
        out: list[Event] = []
        for event in events:
            if isinstance(event, Delta):
                self._take(event, out)
                if self._length > LONGEST:
                    text = f"The model has written {LONGEST} characters without an end. Set `max_tokens`."
                    return [*out, Failure(HostBroken(text))]
            if isinstance(event, Finish):
                self._end(event, out)
            if isinstance(event, Failure):
                out += self.fail(event.error)
        return out

    def fail(self, error: GatewayError) -> list[Event]:
        """Return what the caller gets when the native call fails.

        Calls that were to be mended are handed over as they are. Of a form that was to be mended the caller hears what
        was wrong, unless the host is at fault.
        """
        if self._wrong_calls:
            self._calls = self._wrong_calls
            out: list[Event] = []
            self._end_calls(out, cut=False)
            return out
        if self._corrected and isinstance(error, CallerError):
            return [_mismatch(self._problem_found)]
        if self._turn == "forced" and isinstance(error, InvalidRequest) and error.param == "response_format":
            param = "functions" if self._asked.legacy_functions else "tools"
            return [Failure(InvalidRequest(error.message, param=param, code=error.code, detail=error.detail))]
        return [Failure(error)]

    def _take(self, delta: Delta, out: list[Event]) -> None:
        if delta.thinking:
            out.append(Delta(thinking=delta.thinking))
        if delta.text or (delta.logprobs and not delta.thinking):
            self._text.append(delta.text)
            self._length += len(delta.text)
            if self._turn == "first":  # what a model says that is forced to call is the call
                self._held.append(Delta(text=delta.text, logprobs=delta.logprobs))
        calls = self._admit(delta.tool_calls)
        self._calls += calls
        if not self._holds_text():
            out += self._release()
        if calls and self._check_calls is None:
            out.append(Delta(tool_calls=tuple(calls)))

    def _holds_text(self) -> bool:
        waits_for_call = self._must_call and not self._calls
        waits_for_check = self._check_format is not None and not self._asked.stream
        return waits_for_call or waits_for_check or self._corrected

    def _release(self) -> list[Delta]:
        held, self._held = self._held, []
        return held

    def _admit(self, calls: Sequence[ToolCall]) -> list[ToolCall]:
        """Return those of the calls that the caller's choice allows. A forced call is made in text."""
        if self._asked.tool_choice == "none" or self._turn == "forced":
            return []
        if self._must_call:
            names = {tool.name for tool in self._asked.tools}
            calls = [call for call in calls if call.name in names]
        if not self._asked.parallel_tool_calls:
            calls = calls[: 1 - len(self._calls)]
        return [replace(call, index=len(self._calls) + place) for place, call in enumerate(calls)]

    # --- the end of a native call -------------------------------------------------------------------------------------

    def _end(self, finish: Finish, out: list[Event]) -> None:
        self.spent = add(self.spent, finish.usage)
        for name, value in finish.timings.items():
            before = self._timings.get(name)
            self._timings[name] = before + value if isinstance(before, int) and isinstance(value, int) else value
        cut = finish.reason == "length"
        if self._wrong_calls and not self._calls and self._turn == "first":
            self._calls = self._wrong_calls  # asked to mend them, the model only talked
        if self._turn == "forced":
            self._end_forced(out, cut=cut)
        elif self._must_call and not self._calls:
            self._turn = "forced"
            self._timings["tool_call_emulated"] = True
            self._ask(ask_for_call(self._asked))
        elif self._calls:
            self._end_calls(out, cut=cut)
        else:
            self._end_text(out, cut=cut)

    def _end_forced(self, out: list[Event], *, cut: bool) -> None:
        text = "".join(self._text)
        call = read_call(text, self._asked.tools, self._call_id(0))
        if call is not None:
            self._calls = [call]
            self._end_calls(out, cut=False)
        elif self._wrong_calls:
            self._calls = self._wrong_calls
            self._end_calls(out, cut=cut)
        elif cut:
            out.append(self._finish(cut=True))
        else:
            out.append(Failure(HostBroken("The model did not call a tool, which it must. Try again.")))

    def _end_calls(self, out: list[Event], *, cut: bool) -> None:
        problems = self._problems()
        problem = next(filter(None, problems), "")
        if problem and not self._corrected:
            out += self._release()
            self._correct_calls(problems)
            return
        if problem:
            self._timings["schema_mismatch"] = problem
        if not self._wrong_calls:  # beside which the model has had its say
            out += self._release()
        if self._check_calls is not None or self._turn == "forced":
            out.append(Delta(tool_calls=tuple(self._calls)))
        out.append(self._finish(cut=cut))

    def _correct_calls(self, problems: Sequence[str]) -> None:
        """Ask for calls that follow their schemas: a single one in a form that leaves no choice."""
        calls = self._wrong_calls = self._calls
        if len(calls) > 1:
            self._correct(ask_for_calls(self._asked, calls, problems))
            return
        self._turn = "forced"
        self._correct(ask_for_call_again(self._asked, calls[0], problems[0]))

    def _end_text(self, out: list[Event], *, cut: bool) -> None:
        problem = "" if cut else self._problem(self._check_format, self._schema, "".join(self._text))
        if not problem:
            out += self._release()
            out.append(self._finish(cut=cut))
        elif self._corrected or self._asked.stream:
            out.append(_mismatch(problem))
        else:
            self._problem_found = problem
            self._correct(ask_for_form(self._asked, "".join(self._text), problem))

    def _problems(self) -> list[str]:
        """Return what is wrong with the arguments of each call."""
        schemas = {tool.name: tool.parameters for tool in self._asked.tools if tool.strict}
        return [self._problem(self._check_calls, schemas.get(call.name), call.arguments) for call in self._calls]

    def _problem(self, check: Check | None, schema: Schema | None, text: str | Raw) -> str:
        if check is None or schema is None:
            return ""
        try:
            value = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "it is not JSON"
        problem = check(schema, value)
        if problem is None:
            self._timings["schema_unchecked"] = True
        return problem or ""

    def _correct(self, request: ChatRequest) -> None:
        self._corrected = True
        self._timings["schema_retried"] = True
        self._ask(request)

    def _ask(self, request: ChatRequest) -> None:
        self.request = request
        self.again = True
        self._text, self._held, self._calls = [], [], []

    def _finish(self, *, cut: bool) -> Finish:
        reason: Literal["stop", "length", "tool_calls"] = "stop"
        if cut:
            reason = "length"
        elif self._calls and self._asked.tool_choice != "named":  # as OpenAI ends one
            reason = "tool_calls"
        return Finish(reason=reason, usage=self.spent, timings=self._timings)


def _mismatch(problem: str) -> Failure:
    return Failure(
        SchemaMismatch(
            f"The model's answer does not follow the schema: {problem}. Simplify the schema, or ask without `strict`."
        )
    )
