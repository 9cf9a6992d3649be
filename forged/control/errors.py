"""What a caller can be told besides a result: the codes of JSON-RPC 2.0, and our own from -32000 down.

Every error carries `data: {type, hint}`: the stable word for programs, and what a person can do. The message of a standard code is
the specification's own wording; the details are in the hint.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from forged.model.errors import ForgedError


class Code(enum.IntEnum):
    """The first five are from section 5.1 of the JSON-RPC 2.0 specification, which leaves -32000 to -32099 to servers."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    FAILED = -32000
    """What was asked for failed with a ForgedError; `type` tells which."""
    NOT_PERMITTED = -32001
    ANSWER_TOO_LARGE = -32002
    TOO_BUSY = -32003
    STOPPING = -32004


class RpcError(ForgedError):
    """The request failed."""

    code: ClassVar[Code] = Code.FAILED


class ParseError(RpcError):
    """Parse error"""

    code = Code.PARSE_ERROR


class InvalidRequest(RpcError):
    """Invalid Request"""

    code = Code.INVALID_REQUEST


class MethodNotFound(RpcError):
    """Method not found"""

    code = Code.METHOD_NOT_FOUND
    default_hint = "`rpc.discover` lists the methods"


class InvalidParams(RpcError):
    """Invalid params"""

    code = Code.INVALID_PARAMS


class InternalError(RpcError):
    """Internal error"""

    code = Code.INTERNAL_ERROR
    default_hint = "this is a fault in forged: its log tells more"


class NotPermitted(RpcError):
    """Not permitted"""

    code = Code.NOT_PERMITTED


class AnswerTooLarge(RpcError):
    """The answer is larger than 1 MiB"""

    code = Code.ANSWER_TOO_LARGE
    default_hint = "ask for less at once: `limit`, then `cursor` with the `next_cursor` of the answer before"


class TooBusy(RpcError):
    """Too busy"""

    code = Code.TOO_BUSY


class Stopping(RpcError):
    """forged is stopping"""

    code = Code.STOPPING
    default_hint = "ask again when it runs again"


def code_of(error: ForgedError) -> Code:
    """Errors from other rooms know nothing of JSON-RPC: to a caller they all are `FAILED`."""
    return error.code if isinstance(error, RpcError) else Code.FAILED
