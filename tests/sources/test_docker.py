"""The agent in a container of a real engine keeps the whole contract; what becomes of it when container, engine or forged end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from forged.model.errors import AuthRefused, NotSupported, SourceBroken, SourceLost, SourceMissing, SourceUnreachable
from forged.model.observer import Nobody
from forged.model.transfer import Fetched, Piece, Staged
from forged.sources.agent import launch
from forged.sources.docker.channel import LEASE_S
from forged.sources.docker.container import Container, ContainerDoor, Mount, alike
from forged.sources.docker.engine import engine_url
from forged.sources.docker.session import AHEAD_BYTES
from forged.sources.docker.source import DockerSource
from forged.sources.retrying import Retrying, RetryPolicy
from tests.house.tree import ROOT
from tests.sources.asking import bytes_of, fetched, listed, requests_of
from tests.sources.boxes import FolderBox
from tests.sources.contract import FullContract
from tests.sources.contract_fetch import FetchContract
from tests.support.engine import SHARED, Engine
from tests.support.sinks import MIB, MemorySink


def source_in(engine: Engine, container: str, path: str, lease_s: int = LEASE_S, **environment: str) -> DockerSource:
    door = ContainerDoor(container, lambda: engine.environment | environment, Nobody(), "t")
    return DockerSource(door, path, 3, lease_s=lease_s)


class ContainerBox(FolderBox):
    """A folder of this machine that a container shares, looked at from within."""

    def __init__(self, engine: Engine, container: str, root: Path) -> None:
        inside = f"{SHARED}/{root.relative_to(engine.shared)}"
        super().__init__(root, lambda root: source_in(engine, container, inside), inside)
        self.engine, self.container, self.inside = engine, container, inside

    async def empty(self) -> None:
        await empty(self.engine, self.container)


async def empty(engine: Engine, container: str, within_s: float = 10) -> None:
    """Returns once nothing runs in the container but its first process; fails if that takes long.

    A `sleep` of a shell that has ended may last for some seconds more; it holds nothing.
    """
    async with asyncio.timeout(within_s):
        while [pid for pid in await asyncio.to_thread(engine.processes, container) if not sleeps(pid)]:
            await asyncio.sleep(0.02)


def sleeps(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    except OSError:
        return True


@pytest.fixture
def shared(engine: Engine) -> Iterator[Path]:
    """A folder of this test's own that every container sees."""
    folder = Path(tempfile.mkdtemp(dir=engine.shared))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


class TestDocker(FullContract):
    @pytest.fixture
    def box(self, engine: Engine, shared: Path) -> ContainerBox:
        return ContainerBox(engine, "py", shared / "root")


class TestDockerWithoutPython(FetchContract):
    """The shell keeps the whole contract behind sshd (`test_without_python`); the way of its bytes is another one here."""

    @pytest.fixture
    def box(self, engine: Engine, shared: Path) -> ContainerBox:
        return ContainerBox(engine, "plain", shared / "root")


async def test_it_says_what_it_is(engine: Engine, shared: Path) -> None:
    async with source_in(engine, "py", SHARED) as source:
        capabilities = source.capabilities
    assert capabilities.transport.startswith("docker agent (python 3.")
    assert capabilities.hashing
    assert capabilities.guarded_removal


async def test_a_missing_folder_goes_up_as_such_and_leaves_nothing_running(engine: Engine) -> None:
    with pytest.raises(SourceMissing):
        async with source_in(engine, "py", "/nowhere"):
            pass
    await empty(engine, "py")


async def test_a_container_without_python_says_so(engine: Engine, shared: Path) -> None:
    async with source_in(engine, "plain", SHARED) as source:
        capabilities = source.capabilities
    assert capabilities.transport == "docker shell (no python3 on the box)"
    assert (capabilities.hashing, capabilities.watching) == (True, False)


async def test_python_is_found_where_no_shell_is(engine: Engine, shared: Path) -> None:
    (shared / "a").write_bytes(b"x")
    engine.run("distroless", "--env=PATH=" + str(Path(sys.executable).resolve().parent), image="forged-bare")
    try:
        async with source_in(engine, "distroless", f"{SHARED}/{shared.name}") as source:
            assert source.capabilities.transport.startswith("docker agent (python 3.")
            assert source.capabilities.transport.endswith("(no shell on the box)")
            assert [entry.path for entry in (await listed(source))[0]] == [b"a"]
    finally:
        engine.remove("distroless")


async def test_without_python_and_shell_it_says_what_to_do(engine: Engine, shared: Path) -> None:
    with pytest.raises(NotSupported) as caught:
        async with source_in(engine, "empty", f"{SHARED}/{shared.name}"):
            pass
    assert str(shared) in caught.value.hint
    with pytest.raises(NotSupported) as caught:
        async with source_in(engine, "empty", "/elsewhere"):
            pass
    assert "python3" in caught.value.hint


# --- containers that come and go ----------------------------------------------------------------------------------------------


class RestartedMeanwhile(MemorySink):
    """Has it happen to the container once, after 20 MiB, while nothing more is written."""

    def __init__(self, happens: Callable[[str], object], name: str) -> None:
        super().__init__(bound=4 * MIB)
        self._happens, self._name, self._restarted = happens, name, False

    async def write(self, pieces: Sequence[Piece]) -> Sequence[Staged]:
        if self.received > 20 * MIB and not self._restarted:
            self._restarted = True
            await asyncio.to_thread(self._happens, self._name)
        return await super().write(pieces)


@pytest.mark.parametrize("recreated", [False, True], ids=["restarted", "made anew"])
async def test_a_large_file_survives_another_life_of_its_container(engine: Engine, shared: Path, recreated: bool) -> None:
    def made_anew(name: str) -> None:
        engine.remove(name)
        engine.run(name)

    box, happens = ContainerBox(engine, "restarted", shared / "root"), made_anew if recreated else engine.restart
    entry, sink = box.write(b"large", bytes_of(60 * MIB)), RestartedMeanwhile(happens, "restarted")

    async def resume_points(stagings):  # type: ignore[no-untyped-def]
        return [sink.keep_beginning(staging) for staging in stagings]

    engine.run("restarted")
    try:
        async with Retrying(box.source, RetryPolicy(attempts=8, delay_s=0.1), resume_points=resume_points) as source:
            answer = (await fetched(source, requests_of([entry]), sink))[b"large"]
        await empty(engine, "restarted")
    finally:
        engine.remove("restarted")
    assert isinstance(answer, Fetched)
    assert answer.request.offset_bytes > 0
    assert sink.content("0000") == bytes_of(60 * MIB)
    assert answer.source_sha256 == answer.staged.sha256


ENDED = r"the container changing (is not running|was removed|was ended by signal 9|ended)|no such container"
"""An engine ends what runs in a container some moments before it says that the container has stopped, or is gone."""


async def test_a_container_that_stops_goes_or_is_made_anew_is_followed(engine: Engine, shared: Path) -> None:
    source = source_in(engine, "changing", SHARED)
    engine.run("changing")
    try:
        async with source:
            await asyncio.to_thread(engine.podman, "stop", "-t", "0", "changing")
            with pytest.raises(SourceLost, match=ENDED):
                await source.clock_ns()
        with pytest.raises(SourceUnreachable, match=r"the container changing is not running \(exited\)") as stopped:
            async with source_in(engine, "changing", SHARED):
                pass
        assert "docker start changing" in stopped.value.hint
        engine.podman("start", "changing")
        async with (source := source_in(engine, "changing", SHARED)):
            await asyncio.to_thread(engine.remove, "changing")
            with pytest.raises(SourceLost, match=ENDED):
                await source.clock_ns()
        with pytest.raises(SourceUnreachable, match="there is no container called changing"):
            async with source_in(engine, "changing", SHARED):
                pass
        engine.run("changing")
        async with source_in(engine, "changing", SHARED) as source:
            await source.clock_ns()
    finally:
        with contextlib.suppress(Exception):
            engine.remove("changing")


async def test_all_lanes_of_a_source_are_in_one_container(engine: Engine) -> None:
    door = ContainerDoor("twice", lambda: engine.environment, Nobody())
    engine.run("twice")
    try:
        first = await door.open_channel(launch.argv())
        engine.remove("twice")
        engine.run("twice")
        with pytest.raises(SourceUnreachable):
            await door.open_channel(launch.argv())
        await first.close()
    finally:
        engine.remove("twice")


async def test_a_container_that_is_renamed_goes_on_until_the_next_opening(engine: Engine) -> None:
    """What is open stays, and so do further lanes; whoever opens it again is told that the name is gone."""
    door = ContainerDoor("before", lambda: engine.environment, Nobody())
    engine.run("before")
    try:
        first = await door.open_channel(launch.argv())
        engine.podman("rename", "before", "afterwards")
        second = await door.open_channel(launch.argv())
        await asyncio.gather(first.close(), second.close())
        with pytest.raises(SourceUnreachable, match="there is no container called before"):
            async with source_in(engine, "before", SHARED):
                pass
    finally:
        engine.podman("rm", "-f", "-t", "0", "before", "afterwards", check=False)


async def test_a_name_nearly_right_is_told(engine: Engine) -> None:
    with pytest.raises(SourceUnreachable, match="there is no container called plan") as caught:
        async with source_in(engine, "plan", SHARED):
            pass
    assert "did you mean plain?" in caught.value.hint


def test_names_that_are_alike() -> None:
    names = ["ai-comfyui-1", "db", "swarm-ui", "comfy"]
    assert alike("comfyui", names) == ["ai-comfyui-1", "comfy"]
    assert alike("swarmui", names) == ["swarm-ui"]
    assert alike("nothing-like-it", names) == []


@pytest.mark.parametrize(
    ("status", "told", "hint"),
    [
        ("paused", "is paused", "docker unpause box"),
        ("restarting", "is restarting", "docker logs box"),
        ("created", "is not running (created)", "docker start box"),
        ("dead\x1b[31m", "is not running (dead\\x1b[31m)", "docker start box"),
    ],
)
def test_what_a_container_that_does_not_run_is_told(status: str, told: str, hint: str) -> None:
    trouble = Container.parsed({"Id": "0", "State": {"Status": status}, "Mounts": None}, "box").trouble
    assert trouble is not None
    assert told in trouble.message
    assert hint in trouble.hint


@pytest.mark.parametrize(
    "answer", [{}, {"Id": "0"}, {"Id": "0", "State": None}, {"Id": "0", "State": {"Status": "x"}, "Mounts": [1]}]
)
def test_an_engine_that_says_something_else_is_none(answer: Mapping[str, object]) -> None:
    with pytest.raises(SourceUnreachable):
        Container.parsed(answer, "box")


def test_where_the_host_has_a_folder_of_the_container() -> None:
    container = Container(
        "0", "box", "running", (Mount("/data", "/srv/volume"), Mount("/data/out", "/srv/out/"), Mount("/", "/all"))
    )
    places = ("/data", "/data/x", "/data/out/y", "/database")
    assert [container.here(path) for path in places] == ["/srv/volume", "/srv/volume/x", "/srv/out/y", "/all/database"]
    assert Container("0", "box", "running").here("/data") is None


# --- the engine ---------------------------------------------------------------------------------------------------------------


async def test_no_engine_is_said_with_what_to_do(engine: Engine, tmp_path: Path) -> None:
    for environment, told in (
        ({"DOCKER_HOST": f"unix://{tmp_path}/nothing"}, "no engine answers"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:1"}, "no engine answers"),
        ({"DOCKER_HOST": "", "XDG_RUNTIME_DIR": str(tmp_path)}, "there is no container engine here"),
    ):
        if told.startswith("there") and Path("/run/docker.sock").exists():
            continue
        with pytest.raises(SourceUnreachable, match=told) as caught:
            async with source_in(engine, "py", SHARED, **environment):
                pass
        assert "systemctl start docker" in caught.value.hint


def test_addresses_of_engines(tmp_path: Path) -> None:
    assert engine_url({"DOCKER_HOST": "unix:///x/y"}) == "unix:///x/y"
    assert engine_url({"DOCKER_HOST": "tcp://10.0.0.1:2375"}) == "tcp://10.0.0.1:2375"
    for told, hint in (("ssh://me@box", "ssh://user@host/path"), ("fd://", "DOCKER_HOST"), ("nonsense", "DOCKER_HOST")):
        with pytest.raises(NotSupported) as caught:
            engine_url({"DOCKER_HOST": told})
        assert hint in caught.value.hint
    with pytest.raises(NotSupported, match="DOCKER_CONTEXT"):
        engine_url({"DOCKER_CONTEXT": "far"})


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody who may not")
async def test_somebody_who_may_not_use_the_socket_is_told_how_to(engine: Engine) -> None:
    engine.socket.chmod(0o660)
    os.setegid(65_534)
    os.seteuid(65_534)
    try:
        with pytest.raises(AuthRefused) as caught:
            async with source_in(engine, "py", SHARED):
                pass
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert "group docker" in caught.value.hint


@contextlib.asynccontextmanager
async def impostor(place: Path, says: bytes) -> AsyncIterator[str]:
    """Something else that listens where an engine should, says this to each question (if anything), and hears on until the end."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(says)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        done.set()

    async with await asyncio.start_unix_server(serve, place):
        yield f"unix://{place}"
        await done.wait()


async def test_what_is_no_engine_is_told(engine: Engine, tmp_path: Path) -> None:
    async with impostor(tmp_path / "s", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as place:
        with pytest.raises(SourceUnreachable, match="no container engine"):
            async with source_in(engine, "py", SHARED, DOCKER_HOST=place):
                pass


async def test_an_engine_that_never_answers_is_given_up(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forged.sources.docker.container.ANSWER_S", 0.2)
    async with impostor(tmp_path / "s", b"") as place:
        with pytest.raises(SourceUnreachable, match="did not answer"):
            async with source_in(engine, "py", SHARED, DOCKER_HOST=place):
                pass


# --- harm ---------------------------------------------------------------------------------------------------------------------


UNTIL_LEFT = ("sh", "-c", "cat /dev/zero & read x; kill $!")
"""Talks without end until its standard input does."""


KILLED = """
import asyncio, os, signal
from tests.sources.asking import listed, requests_of
from tests.sources.test_docker import source_in
from tests.support.sinks import Halting, MIB

class Here:
    environment = {environment!r}

async def main():
    async with source_in(Here(), {container!r}, {folder!r}, lease_s=5) as source:
        entries, _, _ = await listed(source)
        sink = Halting(limit=8 * MIB)
        task = asyncio.ensure_future(anext(source.fetch(requests_of(entries), sink)))
        await sink.halted.wait()
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
"""A forged that dies while bytes are on their way to it."""


async def test_a_killed_forged_leaves_nothing_behind(engine: Engine, shared: Path) -> None:
    (shared / "large").write_bytes(bytes_of(64 * MIB))

    async def killed(container: str) -> None:
        program = KILLED.format(environment=engine.environment, container=container, folder=f"{SHARED}/{shared.name}")
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT)
        assert await process.wait() == -9
        await empty(engine, container, within_s=30)

    await asyncio.gather(killed("py"), killed("plain"))


async def test_what_nobody_reads_does_not_pile_up(engine: Engine) -> None:
    """A hostile program in the agent's place that says gigabytes: we take no more than the bound and what the sockets hold."""
    door = ContainerDoor("py", lambda: engine.environment, Nobody())
    channel = await door.open_channel(UNTIL_LEFT)
    session = channel._session
    try:
        await asyncio.sleep(0.5)
        ahead = session._ahead_bytes
        await asyncio.sleep(0.2)
        assert ahead == session._ahead_bytes <= 2 * AHEAD_BYTES
        assert sum(map(len, [message.data for message, _ in session._stream._queue._buffer])) < MIB  # type: ignore[union-attr]
        assert len(await channel.read()) == ahead
    finally:
        await channel.close()
    await empty(engine, "py")


async def test_a_flood_of_complaints_ends_the_channel(engine: Engine) -> None:
    channel = await ContainerDoor("py", lambda: engine.environment, Nobody()).open_channel(
        [*UNTIL_LEFT[:2], UNTIL_LEFT[2].replace("zero", "zero >&2")]
    )
    with pytest.raises(SourceBroken, match="without end"):
        await channel.read()
    assert len(await channel.close()) <= 4 * 4096  # \x00 each
    await empty(engine, "py")


async def test_the_agent_is_niced_and_leaves_no_file(engine: Engine, shared: Path) -> None:
    before = set(engine.podman("diff", "py").splitlines())
    async with source_in(engine, "py", SHARED) as source:
        await source.clock_ns()
        niceness = [os.getpriority(os.PRIO_PROCESS, pid) for pid in engine.processes("py")]
    assert niceness
    assert min(niceness) >= 5
    assert set(engine.podman("diff", "py").splitlines()) == before
