"""The memory of the Python API: a folder of its own, opened while something is done and shared by all that does it at once.

`manifest_path` (`/app/logs/manifests/forge.json`) names the folder beside it with the suffix `.forged`: the database is in there. A
JSON manifest of the old tool is neither read nor written: what it brought home is adopted, and not moved again.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from forged.api.telling import MediaEventManager
from forged.config.adhoc import ad_hoc_target
from forged.config.surroundings import Surroundings
from forged.daemon.app import App
from forged.kit.durable import FOLDER, write_durably
from forged.kit.tasks import to_the_end
from forged.model.errors import ConfigError
from forged.model.observer import Nobody
from forged.model.settings import Config, DaemonSettings, IngestSettings, SqliteIngest, StateSettings
from forged.model.target import MediaPolicy, Target

SYNCS = "syncs.json"
"""Which syncs this memory knows: their tables, by manifest. Who cleans up or compares has to know what was synced from where."""


class State:
    """One folder. Another process that uses it at the same time is refused (StateDirectoryBusy)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._app: App | None = None
        self._users = 0
        self.events: MediaEventManager | None = None
        """Whose handlers hear of what happens here; None: nobody's."""

    @classmethod
    def beside(cls, manifest_path: str | os.PathLike[str] | None) -> State:
        """That of this manifest_path; None: the user's own. Raises ConfigError where no place is known."""
        if manifest_path is not None:
            return cls(Path(manifest_path).absolute().with_suffix(".forged"))
        place = _around().state_dir()
        if place is None:
            raise ConfigError(("no place for the state is known: name a manifest_path, or set $HOME",))
        return cls(place.path / "api")

    @property
    def is_there(self) -> bool:
        return (self.folder / "forged.db").exists()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[App]:
        """The program, ready. Raises StateDirectoryBusy, StoreError."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._turn, self._stack, self._app, self._users = loop, asyncio.Lock(), AsyncExitStack(), None, 0
        async with self._turn:
            if self._app is None:
                opening = App.open(self._config(), observer=Nobody(), ssh_home=Path.home(), rebuild=False)
                self._app = await self._stack.enter_async_context(opening)
                self._app.anybody_takes = lambda: self.events is not None and self.events.anybody()
            self._users += 1
        try:
            yield self._app
        finally:
            await to_the_end(self._left())

    async def _left(self) -> None:
        async with self._turn:
            self._users -= 1
            if not self._users:
                self._app = None
                await self._stack.aclose()

    def _config(self) -> Config:
        daemon = DaemonSettings(self.folder, self.folder / "forged.sock")
        no_catalog = IngestSettings("catalog", SqliteIngest(self.folder / "catalog.db", enabled=False))
        return Config(self.folder / "forged.toml", daemon, StateSettings(self.folder / "forged.db"), ingests=(no_catalog,))

    def remember(self, target: Target, table: Mapping[str, object]) -> None:
        """This is synced from now on."""
        syncs = self.syncs()
        if syncs.get(target.manifest) != (plain := json.loads(json.dumps(dict(table), default=str))):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(self.folder, FOLDER)
            try:
                write_durably(folder, SYNCS.encode(), json.dumps(syncs | {target.manifest: plain}).encode())
            finally:
                os.close(folder)

    def syncs(self) -> dict[str, dict[str, object]]:
        """The tables of what was synced, by manifest."""
        try:
            known: dict[str, dict[str, object]] = json.loads((self.folder / SYNCS).read_bytes())
        except FileNotFoundError:
            return {}
        return known


def target_of(table: Mapping[str, object]) -> Target:
    """Raises ConfigError with every mistake."""
    return ad_hoc_target(table, _around(), MediaPolicy())


def _around() -> Surroundings:
    return Surroundings(os.environ, Path.cwd(), os.geteuid() == 0)
