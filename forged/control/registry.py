"""Methods by name: what they take, who may call them, and the one that describes them all.

A method is an `async def` whose parameters and result are annotated. Parameters arrive by name or by position; they are validated
strictly by one pydantic model for each method: `"false"` is no boolean and 1 is no string, so that a `dry_run` never means its
opposite. A parameter annotated `Peer` or `Connection` is filled in by the server and is no parameter of the outside.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails, to_json

from forged.control.discover import OpenRpc, describe
from forged.control.errors import InvalidParams, MethodNotFound
from forged.control.peers import Level, Peer
from forged.control.protocol import Params
from forged.control.publisher import Connection

Handler = Callable[..., Awaitable[object]]

MISTAKES_SHOWN = 10
"""Of the mistakes in one call's parameters: who sends a thousand wrong items has made one mistake."""

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Method:
    """One method. `finishes`: it is carried out to its end even when its caller has gone away.

    `tells_without`: the parameter without which it changes nothing, so that everyone may ask it.
    """

    name: str
    handler: Handler
    level: Level
    finishes: bool
    params: type[BaseModel]
    peer_name: str | None
    connection_name: str | None
    result: object
    tells_without: str | None = None

    def asks_for(self, params: Params) -> Level:
        """The level that a call with these takes."""
        if self.tells_without is None:
            return self.level
        named = params if isinstance(params, dict) else dict(zip(self.params.model_fields, params, strict=False))
        return Level.LOOK if named.get(self.tells_without) is None else self.level

    def arguments(self, params: Params, connection: Connection) -> dict[str, object]:
        """What the handler is called with. Raises NotPermitted, InvalidParams."""
        what = f"`{self.name}`" + (f" with `{self.tells_without}`" if self.tells_without else "")
        connection.peer.require(self.asks_for(params), what)
        named = params if isinstance(params, dict) else self._named(params)
        try:
            # By way of JSON text, because only there a strict model takes an array for a tuple and a text for a date.
            valid = self.params.model_validate_json(to_json(named, inf_nan_mode="constants"))
        except ValidationError as e:
            raise InvalidParams(hint=_mistakes(e)) from e
        arguments = dict(valid)
        if self.peer_name:
            arguments[self.peer_name] = connection.peer
        if self.connection_name:
            arguments[self.connection_name] = connection
        return arguments

    def _named(self, params: list[object]) -> dict[str, object]:
        names = list(self.params.model_fields)
        if len(params) > len(names):
            raise InvalidParams(hint=f"at most {len(names)} parameters, not {len(params)}")
        return dict(zip(names, params, strict=False))


class Registry:
    """All methods of one server. `title` and `version` are those of the program, for `rpc.discover`."""

    def __init__(self, title: str, version: str) -> None:
        self._title, self._version = title, version
        self._methods: dict[str, Method] = {}
        self._description: OpenRpc | None = None
        self.add("rpc.discover", self._discover, level=Level.LOOK)

    def add(self, name: str, handler: Handler, *, level: Level, finishes: bool = False, tells_without: str | None = None) -> None:
        """Makes a method callable. Its docstring becomes its description, so it is written for callers.

        A call is cancelled when its caller goes away; with `finishes` it runs to its end, as what must not stop half-way should.
        `tells_without`: without this parameter it changes nothing, and `level` is not asked for.
        Raises TypeError or ValueError for a handler that is no coroutine function, is not annotated, or has a taken name.
        """
        if name in self._methods:
            raise ValueError(f"the method {name} exists already")
        self._methods[name] = _method(name, handler, level, finishes, tells_without)
        self._description = None

    def find(self, name: str) -> Method:
        """Raises MethodNotFound."""
        try:
            return self._methods[name]
        except KeyError:
            raise MethodNotFound from None

    @property
    def methods(self) -> Mapping[str, Method]:
        return self._methods

    async def _discover(self) -> OpenRpc:
        """Describes all methods, as an OpenRPC document (spec.open-rpc.org)."""
        if self._description is None:
            self._description = describe(self._title, self._version, list(self._methods.values()))
        return self._description


def _method(name: str, handler: Handler, level: Level, finishes: bool, tells_without: str | None) -> Method:
    if not inspect.iscoroutinefunction(handler):
        raise TypeError(f"{name}: a method is an async def")
    signature = inspect.signature(handler, eval_str=True)
    if signature.return_annotation is signature.empty:
        raise TypeError(f"{name}: the result needs a type")
    outside = [each for each in signature.parameters.values() if each.annotation not in (Peer, Connection)]
    return Method(
        name,
        handler,
        level,
        finishes,
        _params_model(name, outside),
        peer_name=_first(signature, Peer),
        connection_name=_first(signature, Connection),
        result=signature.return_annotation,
        tells_without=tells_without,
    )


def _params_model(name: str, parameters: list[inspect.Parameter]) -> type[BaseModel]:
    fields: dict[str, tuple[object, object]] = {}
    for each in parameters:
        if each.annotation is each.empty or each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
            raise TypeError(f"{name}: the parameter {each.name} needs a type and a name of its own")
        fields[each.name] = (each.annotation, ... if each.default is each.empty else each.default)
    model: type[BaseModel] = create_model(name, __config__=_STRICT, **fields)  # type: ignore[call-overload]  # any type may stand there
    return model


def _first(signature: inspect.Signature, wanted: type) -> str | None:
    return next((each.name for each in signature.parameters.values() if each.annotation is wanted), None)


def _mistakes(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [_mistake(each) for each in found[:MISTAKES_SHOWN]]
    return "; ".join(told) + (f"; and {len(found) - MISTAKES_SHOWN} more" if len(found) > MISTAKES_SHOWN else "")


def _mistake(error: ErrorDetails) -> str:
    """Never the value that was sent: it may be a secret."""
    where = ".".join(str(step)[:100] for step in error["loc"])
    own = {"missing": "is needed", "extra_forbidden": "is no parameter of this method"}
    return f"`{where}` {own[error['type']]}" if error["type"] in own else f"`{where}`: {error['msg']}"
