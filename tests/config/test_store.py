"""The configuration in force: subscribers, one proposal at a time."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from forged.config.store import ConfigStore
from forged.model.settings import Config
from tests.config.loading import TARGET, loaded


@pytest.fixture
def old(tmp_path: Path) -> Config:
    return loaded(TARGET, tmp_path)


@pytest.fixture
def new(old: Config) -> Config:
    return dataclasses.replace(old, targets=())


class Applied:
    """A subscriber that remembers what it was given."""

    def __init__(self) -> None:
        self.configs: list[Config] = []

    async def __call__(self, config: Config) -> None:
        self.configs.append(config)


async def test_a_subscriber_starts_with_the_current_one_and_hears_of_each_change(old: Config, new: Config) -> None:
    store, applied = ConfigStore(old), Applied()
    await store.subscribe(applied)
    assert applied.configs == [old]
    await store.propose(new)
    assert applied.configs == [old, new]
    assert store.current is new


async def test_two_proposals_do_not_interleave(old: Config, new: Config) -> None:
    store, order = ConfigStore(old), []
    gate = asyncio.Event()
    gate.set()

    async def slow(config: Config) -> None:
        order.append(("begin", config))
        await gate.wait()
        order.append(("end", config))

    await store.subscribe(slow)
    gate.clear()
    proposals = [asyncio.create_task(store.propose(config)) for config in (new, old)]
    late = Applied()
    subscription = asyncio.create_task(store.subscribe(late))
    for _ in range(5):
        await asyncio.sleep(0)
    assert order[2:] == [("begin", new)]
    gate.set()
    await asyncio.gather(*proposals, subscription)
    assert [what for what, _ in order] == ["begin", "end"] * 3
    assert late.configs == [old]
