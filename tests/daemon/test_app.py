"""The whole program without a daemon around it: `forged once`, and what may go wrong before a target even begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from forged.config.load import load
from forged.daemon.app import App
from forged.model.errors import StoreError
from forged.model.jobs import Job, JobStatus
from forged.model.observer import Everyone

TARGET = """
[[target]]
name = "{name}"
source = "{root}/box/{name}"
dest = "{root}/home/{name}"
settle = "0s"
"""


INGESTS = """
[[ingest]]
type = "sqlite"
name = "off"
required = true
enabled = false
[[ingest]]
type = "command"
name = "every"
required = true
command = ["true"]
[[ingest]]
type = "command"
name = "optional"
command = ["true"]
[[ingest]]
type = "command"
name = "cloud"
required = true
targets = ["rented"]
command = ["true"]
[[ingest]]
type = "webhook"
name = "alarms"
required = true
url = "https://example.org"
events = ["target_lost"]
[[discovery]]
type = "command"
name = "rented"
command = ["true"]
[discovery.target]
type = "comfyui"
dest = "/tmp"
"""


async def test_required_are_those_that_take_files_of_the_target_and_are_switched_on(tmp_path: Path) -> None:
    file = tmp_path / "forged.toml"
    file.write_text(f'[daemon]\nstate_dir = "{tmp_path}/state"\n{TARGET.format(name="one", root=tmp_path)}{INGESTS}')
    config = load(file, {}, is_root=False)
    async with App.open(config, observer=Everyone(), ssh_home=tmp_path) as app:
        async with app.doors(config.targets[0]) as doors:
            assert doors.takers.required() == ["every"]
        async with app.doors(config.targets[0], discovery="rented") as doors:
            assert doors.takers.required() == ["every", "cloud"]


async def test_a_target_whose_job_cannot_be_remembered_ends_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / "box" / name).mkdir(parents=True)
        (tmp_path / "box" / name / "a.png").write_bytes(name.encode())
    file = tmp_path / "forged.toml"
    tables = "".join(TARGET.format(name=name, root=tmp_path) for name in ("one", "two"))
    file.write_text(f'[daemon]\nstate_dir = "{tmp_path}/state"\n[transfer]\nmin_free = "1MB"\n{tables}')
    config = load(file, {}, is_root=False)
    async with App.open(config, observer=Everyone(), ssh_home=tmp_path) as app:
        save = app.store.jobs.save

        async def failing(job: Job) -> None:
            if job.target == "one":
                raise StoreError("the database is locked")
            await save(job)

        monkeypatch.setattr(app.store.jobs, "save", failing)
        one, two = await app.once(await app.wanted())
    assert (one.job.status, one.success, one.error and one.error.message) == (JobStatus.FAILED, False, "the database is locked")
    assert (two.job.status, two.success) == (JobStatus.COMPLETE, True)
    assert (tmp_path / "home" / "two" / "a.png").read_bytes() == b"two"
