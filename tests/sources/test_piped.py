"""The agent behind the pipes of a local process keeps the whole contract."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from forged.model.files import ProblemKind
from forged.model.removal import KeptBecause
from forged.model.transfer import Fetched
from forged.sources.agent.client import AgentSource
from forged.sources.base import Source
from forged.sources.piped import piped_channel
from tests.sources.asking import fetched, kind_of, removable, requests_of
from tests.sources.boxes import FolderBox
from tests.sources.contract import ClosedContract, FullContract, SourceContract
from tests.support.sinks import MemorySink
from tests.support.sshd import descendants


class PipedBox(FolderBox):
    """A folder behind agents that are children of this process."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, self._piped)

    def _piped(self, root: Path) -> Source:
        return AgentSource(piped_channel, os.fsencode(root), transport="pipe", max_lanes=3)

    async def empty(self) -> None:
        async with asyncio.timeout(5):
            while any(map(is_agent, descendants(os.getpid()))):
                await asyncio.sleep(0.01)


def is_agent(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"forged-agent" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


class TestPiped(FullContract):
    @pytest.fixture
    def box(self, quick_path: Path) -> PipedBox:
        return PipedBox(quick_path / "root")


class NobodysBox(PipedBox):
    """The same, but its agents run as `nobody`, for whom locks hold."""

    def _piped(self, root: Path) -> Source:
        script = root.parent / "python"
        script.write_text('#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/python3 "$@"\n')
        script.chmod(0o755)
        return AgentSource(lambda: piped_channel(str(script)), os.fsencode(root), transport="pipe")

    def lock(self, path: bytes) -> bool:
        super().lock(path)
        return True


@pytest.mark.root
class TestPipedAsNobody:
    """What root cannot try."""

    @pytest.fixture
    def box(self, quick_path: Path) -> NobodysBox:
        if os.getuid() != 0:
            pytest.skip("needs root, to become somebody else")
        return NobodysBox(quick_path / "root")

    source = SourceContract.source
    test_what_cannot_be_read = ClosedContract.test_what_cannot_be_read_is_a_problem_and_the_rest_is_listed

    async def test_a_file_that_may_not_be_read_or_removed_is_said_to_be_so(self, box: NobodysBox, source: Source) -> None:
        locked, kept = box.write(b"locked", b"x"), box.write(b"kept", b"y")
        box.lock(b"locked")
        locked = box.entry(b"locked")
        sink = MemorySink()
        answers = await fetched(source, requests_of([locked, kept]), sink)
        assert kind_of(answers[b"locked"]) is ProblemKind.UNREADABLE
        assert isinstance(answers[b"kept"], Fetched)
        [hashed] = [answer async for answer in source.hash([locked])]
        assert kind_of(hashed) is ProblemKind.UNREADABLE
        [removed] = await source.remove([removable(kept, b"y")])
        assert removed.kept is KeptBecause.FAILED
        assert box.names() == {b"locked", b"kept"}
