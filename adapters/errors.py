"""Every failure that a caller can see, in one tree.

::

    GatewayError                     status  code
    ├── CallerError                                              the request is at fault
    │   ├── InvalidRequest           400     invalid_value, …    `param` names the field
    │   ├── LacksCapability          400     unsupported_value
    │   ├── ContextLengthExceeded    400     context_length_exceeded
    │   ├── ToolCallCut              400     tool_call_cut
    │   ├── Unauthorized             401     invalid_api_key
    │   ├── Forbidden                403     forbidden
    │   ├── UnknownURL               404     unknown_url
    │   ├── ModelNotFound            404     model_not_found
    │   ├── MethodNotAllowed         405     method_not_allowed
    │   ├── BodyTimeout              408     request_timeout
    │   ├── BodyTooLarge             413     request_too_large
    │   ├── UnsupportedEncoding      415     unsupported_encoding
    │   ├── HeadersTooLarge          431     headers_too_large
    │   └── CallerLeft               499     client_closed_request   seen in logs only
    ├── HostError                                                a host is at fault, another may do
    │   ├── HostUnreachable          502     upstream_unreachable
    │   ├── HostRefused              502     upstream_refused
    │   ├── HostBroken               502     upstream_error
    │   ├── RunnerCrashed            502     upstream_error
    │   ├── SchemaMismatch           502     schema_mismatch
    │   ├── HostTimeout              504     timeout
    │   ├── HostBusy                 503     overloaded
    │   ├── HostLacksModel           404     model_not_found
    │   ├── ModelLoadFailed          503     model_load_failed
    │   └── OutOfMemory              503     out_of_memory
    └── GatewayFault                                             we are at fault, or not able
        ├── InternalError            500     internal_error
        ├── OutOfDescriptors         503     overloaded
        ├── GatewayBusy              503     overloaded
        ├── NoHost                   503     no_host_available
        └── Stopping                 503     shutting_down

Statuses and codes follow wire.md 11.3. A message is written for the caller: it names no host, path or registry. What is
only for the operator stands in `detail`, which goes to the log.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

Elsewhere = Literal["never", "once", "always"]


class HostAnswer(Struct, frozen=True):
    """What a host answered, as a whole, for callers who speak its own dialect.

    Attributes:
        status: The HTTP status.
        media_type: The value of `content-type`.
        body: The whole body.
    """

    status: int
    media_type: bytes
    body: bytes


class GatewayError(Exception):
    """A failure that ends a request.

    Attributes:
        status: The HTTP status, when nothing has been sent yet.
        type: OpenAI's error type.
        code: OpenAI's error code.
        fault: Who is at fault.
        elsewhere: Whether another host may be tried: never, once more, or as long as there are hosts.
        retryable: Whether the same request, sent again by the caller, could succeed.
        retry_after: Seconds after which it could; None when that is not known.
        message: What happened and what to do, for the caller.
        param: The path of the field at fault, such as `messages[0].role`.
        detail: More about it, for the log only.
        refusal: The host's own answer, where it was one that told of the failure.
    """

    refusal: HostAnswer | None = None
    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "internal_error"
    fault: ClassVar[Literal["caller", "host", "gateway"]] = "gateway"
    elsewhere: ClassVar[Elsewhere] = "never"
    retryable: ClassVar[bool] = True
    default_retry_after: ClassVar[float | None] = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.detail = detail
        self.retry_after = self.default_retry_after if retry_after is None else retry_after


class CallerError(GatewayError):
    """The request is at fault: no host can mend it and sending it again does not help."""

    status = 400
    type = "invalid_request_error"
    default_code = "invalid_value"
    fault = "caller"
    retryable = False


class InvalidRequest(CallerError):
    """A field is missing, malformed, out of range or not supported."""


class LacksCapability(CallerError):
    """The model cannot do what is asked of it.

    Attributes:
        capability: What it lacks, by Ollama's name: `tools`, `vision`, `audio`, `insert`, `embedding`, `completion`.
    """

    default_code = "unsupported_value"

    def __init__(
        self, message: str, *, capability: str, param: str | None, code: str | None = None, detail: str = ""
    ) -> None:
        super().__init__(message, param=param, code=code, detail=detail)
        self.capability = capability


class ContextLengthExceeded(CallerError):
    """The prompt does not fit the model's context and may not be cut."""

    default_code = "context_length_exceeded"


class ToolCallCut(CallerError):
    """The answer ended inside a call of a tool, as a rule at its token limit: the same request is cut there again."""

    default_code = "tool_call_cut"


class Unauthorized(CallerError):
    """No key, or an unknown one."""

    status = 401
    default_code = "invalid_api_key"


class Forbidden(CallerError):
    """Known, and not allowed."""

    status = 403
    default_code = "forbidden"


class UnknownURL(CallerError):
    """Nothing is served at this address."""

    status = 404
    default_code = "unknown_url"


class ModelNotFound(CallerError):
    """No host has the model."""

    status = 404
    default_code = "model_not_found"


class MethodNotAllowed(CallerError):
    """Something is served here, by other methods.

    Attributes:
        allow: The methods that are served, upper-case.
    """

    status = 405
    default_code = "method_not_allowed"

    def __init__(self, message: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class BodyTimeout(CallerError):
    """The request did not arrive in time."""

    status = 408
    default_code = "request_timeout"
    retryable = True


class BodyTooLarge(CallerError):
    """The request's body is over the limit."""

    status = 413
    default_code = "request_too_large"


class UnsupportedEncoding(CallerError):
    """The request's body is compressed in a way that is not understood."""

    status = 415
    default_code = "unsupported_encoding"


class HeadersTooLarge(CallerError):
    """The request's line and headers are over the limit."""

    status = 431
    default_code = "headers_too_large"


class CallerLeft(CallerError):
    """The caller closed the connection before the answer was whole."""

    status = 499
    default_code = "client_closed_request"


class HostError(GatewayError):
    """A host is at fault; another one may be able to answer."""

    status = 502
    default_code = "upstream_error"
    fault = "host"
    elsewhere: ClassVar[Elsewhere] = "once"


class HostUnreachable(HostError):
    """No connection: refused, no route, no such name, no TLS. The host has seen nothing of the request."""

    default_code = "upstream_unreachable"
    elsewhere = "always"


class HostRefused(HostError):
    """The host does not talk to this gateway (401 or 403): a mistake in the gateway's configuration."""

    default_code = "upstream_refused"
    elsewhere = "always"
    retryable = False


class HostBroken(HostError):
    """The connection was cut, or what came over it makes no sense."""


class RunnerCrashed(HostError):
    """The host lives, the process that runs the model does not. The request itself may be the reason."""


class SchemaMismatch(HostError):
    """The answer does not follow the schema that it must follow: a streamed one, or a whole one at the second try."""

    default_code = "schema_mismatch"
    retryable = False


class HostTimeout(HostError):
    """The host took too long to connect, to begin, or to go on."""

    status = 504
    default_code = "timeout"


class HostBusy(HostError):
    """The host's queue is full. That is no fault of it."""

    status = 503
    default_code = "overloaded"
    default_retry_after = 2.0
    elsewhere = "always"


class HostLacksModel(HostError):
    """The host does not have the model after all."""

    status = 404
    type = "invalid_request_error"
    default_code = "model_not_found"
    elsewhere = "always"
    retryable = False


class ModelLoadFailed(HostError):
    """The host cannot load the model."""

    status = 503
    default_code = "model_load_failed"
    retryable = False


class OutOfMemory(HostError):
    """The host ran out of memory while it loaded or ran the model."""

    status = 503
    default_code = "out_of_memory"


class GatewayFault(GatewayError):
    """The gateway is at fault, or not able."""


class InternalError(GatewayFault):
    """A defect of the gateway."""

    retryable = False


class OutOfDescriptors(GatewayFault):
    """The gateway may not open another connection. No host is to blame."""

    status = 503
    default_code = "overloaded"
    default_retry_after = 2.0


class GatewayBusy(GatewayFault):
    """The gateway does as much at once as it may of what was asked. No host is to blame."""

    status = 503
    default_code = "overloaded"
    default_retry_after = 2.0


class NoHost(GatewayFault):
    """Hosts that could answer exist, and none of them is up."""

    status = 503
    default_code = "no_host_available"
    default_retry_after = 5.0


class Stopping(GatewayFault):
    """The gateway is shutting down."""

    status = 503
    default_code = "shutting_down"
    default_retry_after = 5.0
