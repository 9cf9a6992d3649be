"""JSON-RPC 2.0 as text, pure: one line of bytes into calls, and answers and notifications into lines of bytes.

Sections 4 to 6 of the specification (jsonrpc.org/specification), with these choices where it leaves one: `id: null` is a request
and is answered; an id that can be read is echoed even where the rest is invalid; unknown members are ignored; of equal names in one
object the last counts. Parsing is pydantic_core's (2.50: at most 200 levels deep and 4,300 digits a number, strict UTF-8, no NaN).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic_core import from_json, to_json

from forged.control.errors import AnswerTooLarge, InvalidRequest, ParseError, RpcError, code_of
from forged.model.errors import ForgedError

LINE_MOST_BYTES = 1024 * 1024
"""The longest line in either direction, without its newline. Fixed: part of the interface."""

BATCH_MOST_PARTS = 100
"""A batch saves round trips, which cost 0.1 ms here: a hundred are plenty, and bound the work that one line can order."""

ID_MOST_CHARS = 256
"""Ids are counters and UUIDs. The bound keeps the answer to each part of a batch small enough for all of them to fit one line."""

TEXT_MOST_CHARS = 16_000
"""Where a message or a hint is cut. The longest that means something is a configuration's list of mistakes."""

Id = str | int | float | None
Params = dict[str, object] | list[object]


@dataclass(frozen=True, slots=True)
class Call:
    """A request, or without `wants_answer` a notification, whose id means nothing."""

    method: str
    params: Params
    id: Id
    wants_answer: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part that is no call, and the error it is answered with."""

    error: RpcError
    id: Id


@dataclass(frozen=True, slots=True)
class Message:
    """One line: its parts in order, and whether the answers belong into one array."""

    parts: tuple[Call | Refusal, ...]
    is_batch: bool


def parse(line: bytes) -> Message:
    """Never raises: what cannot be read becomes a Refusal."""
    try:
        value: object = from_json(line, allow_inf_nan=False, cache_strings="keys")
    except ValueError as e:
        return _refused(ParseError(hint=str(e)))
    if not isinstance(value, list):
        return Message((_part(value),), is_batch=False)
    if not value:
        return _refused(InvalidRequest(hint="a batch needs at least one request"))
    if len(value) > BATCH_MOST_PARTS:
        return _refused(InvalidRequest(hint=f"a batch holds at most {BATCH_MOST_PARTS} requests, this one {len(value)}"))
    return Message(tuple(_part(each) for each in value), is_batch=True)


def _refused(error: RpcError) -> Message:
    return Message((Refusal(error, None),), is_batch=False)


def _part(value: object) -> Call | Refusal:
    if not isinstance(value, dict):
        return Refusal(InvalidRequest(hint="a request is an object"), None)
    given = value.get("id")
    id_ = given if _is_id(given) else None
    if id_ != given:
        return _invalid(f"`id` is a string of at most {ID_MOST_CHARS} characters or a number", None)
    if value.get("jsonrpc") != "2.0":
        return _invalid('`jsonrpc` must be "2.0"', id_)
    method, params = value.get("method"), value.get("params", {})
    if not isinstance(method, str):
        return _invalid("`method` must be a string", id_)
    if not isinstance(params, dict | list):
        return _invalid("`params` must be an object or an array", id_)
    return Call(method, params, id_, "id" in value)


def _invalid(hint: str, id_: Id) -> Refusal:
    return Refusal(InvalidRequest(hint=hint), id_)


def _is_id(given: object) -> bool:
    if isinstance(given, float):
        return math.isfinite(given)  # 1e400 is read as infinity, which JSON cannot say
    return isinstance(given, str | int) and not isinstance(given, bool) and len(str(given)) <= ID_MOST_CHARS


def result_line(id_: Id, result: object) -> bytes:
    """The answer to a call that succeeded. NaN and infinities become null: JSON has no word for them.

    Raises AnswerTooLarge; ValueError for a result that is no JSON, which is a fault of the method.
    """
    line = to_json({"jsonrpc": "2.0", "id": id_, "result": result}, inf_nan_mode="null")
    if len(line) > LINE_MOST_BYTES:
        raise AnswerTooLarge
    return line


def error_line(id_: Id, error: ForgedError) -> bytes:
    """The answer to a call that failed: the code, and `data: {type, hint}`. Unreadable characters are replaced: never raises."""
    data = {"type": error.kind, "hint": _readable(error.hint)}
    told = {"code": int(code_of(error)), "message": _readable(error.message), "data": data}
    return to_json({"jsonrpc": "2.0", "id": id_, "error": told})


def notification_line(method: str, params: object) -> bytes:
    """A notification to a client. Raises ValueError for params that are no JSON."""
    return to_json({"jsonrpc": "2.0", "method": method, "params": params}, inf_nan_mode="null")


def _readable(text: str) -> str:
    """Messages may quote a path whose bytes are not UTF-8 (surrogates in Python); JSON cannot."""
    shown = text if len(text) <= TEXT_MOST_CHARS else text[:TEXT_MOST_CHARS] + " …"
    return shown.encode("utf-8", "replace").decode()
