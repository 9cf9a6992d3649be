"""Every step of a process, counted at its doors: at each of them the power may fail, or somebody else may do something."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from forged.sync.doors import Doors


class PowerCut(BaseException):
    """The process is gone. No exception of forged's, so that nothing catches it."""


class Steps:
    """One life: `cut_at` is the step it does not survive, `deeds` are done by others at theirs."""

    def __init__(self, cut_at: int | None = None, deeds: Mapping[int, Callable[[], object]] | None = None) -> None:
        self.cut_at, self.deeds = cut_at, dict(deeds or {})
        self.taken = 0
        self.cut = False

    def step(self) -> None:
        """Raises PowerCut, from the fatal step on every time: nobody works on."""
        self.taken += 1
        if deed := self.deeds.pop(self.taken, None):
            deed()
        if self.cut_at is not None and self.taken >= self.cut_at:
            self.cut = True
            raise PowerCut


class Stepping:
    """A door as it is; each call is a step before and a step after, each item of a stream and of a batch one of its own."""

    def __init__(self, inner: Any, steps: Steps) -> None:
        self._inner, self._steps = inner, steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found
        if name in ("land", "remove"):
            return self._one_by_one(found)

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = found(*args, **kwargs)
            if name == "sink":
                return Stepping(answer, self._steps)
            if hasattr(answer, "__anext__"):
                return self._streamed(answer)
            return self._awaited(answer) if hasattr(answer, "__await__") else answer

        return call

    async def _awaited(self, answer: Awaitable[Any]) -> Any:
        try:
            self._steps.step()
        except BaseException:
            answer.close()  # type: ignore[attr-defined]
            raise
        result = await answer
        self._steps.step()
        return result

    async def _streamed(self, items: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(items) as stream:
            async for item in stream:
                self._steps.step()
                yield item

    def _one_by_one(self, call: Callable[..., Awaitable[Sequence[Any]]]) -> Callable[[Sequence[Any]], Awaitable[list[Any]]]:
        async def several(batch: Sequence[Any]) -> list[Any]:
            answers: list[Any] = []
            for one in batch:
                self._steps.step()
                answers += await call([one])
            self._steps.step()
            return answers

        return several

    async def __aenter__(self) -> Stepping:
        self._steps.step()
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._inner.__aexit__(*error)


class SteppingStore:
    """The groups of a store that rounds and cleanups work with."""

    def __init__(self, inner: Any, steps: Steps) -> None:
        self.manifest = Stepping(inner.manifest, steps)
        self.flags = Stepping(inner.flags, steps)
        self.destinations = Stepping(inner.destinations, steps)
        self.most_name_bytes = inner.most_name_bytes


def stepping(doors: Doors, steps: Steps) -> Doors:
    """The same world, lived through in steps."""
    source, destination, store = (
        Stepping(doors.source, steps),
        Stepping(doors.destination, steps),
        SteppingStore(doors.store, steps),
    )
    return replace(doors, source=source, destination=destination, store=store)  # type: ignore[arg-type]
