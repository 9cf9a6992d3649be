"""Promises 3, 4, 6, 9, 12 and 13, broken where boxes come and go: discoveries, alarms, and what brings them to people."""

from __future__ import annotations

from tests.promises.breach import Breach

_FOUND = "tests/daemon/test_discovered.py"

BREACHES = (
    Breach(
        3,
        "after a lost memory, boxes that show only after another start are not held",
        "forged/daemon/discovered.py",
        "        self._hold_new = await self._store.flags.hold(boxes.newcomers(self.name))\n",
        "",
        (f"{_FOUND}::test_after_a_lost_memory_boxes_are_held_when_they_show_and_later_ones_are_not",),
    ),
    Breach(
        4,
        "a list of boxes that lacks a page is believed",
        "forged/discovery/vastai.py",
        "    if page.total_instances is not None and page.total_instances != len(answer):",
        "    if page.total_instances is not None and page.total_instances < 0:",
        ("tests/discovery/test_vastai.py",),
    ),
    Breach(
        4,
        "a box is gone after one answer without it",
        "forged/rules/boxes.py",
        "    gone = missed >= MISSES and at_ns - since_ns >= GONE_AFTER_S * 1e9\n",
        "    gone = missed >= 1\n",
        ("tests/rules/test_boxes.py", "tests/daemon/test_scripted_fleet.py"),
    ),
    Breach(
        4,
        "an error of a provider means that there are no boxes",
        "forged/daemon/discovered.py",
        "            await to_the_end(self._settle())\n        else:",
        "            await to_the_end(self._settle(Sighting(self._clock.now_ns(), ())))\n        else:",
        (f"{_FOUND}::test_an_error_takes_no_box_away_however_long_it_lasts",),
    ),
    Breach(
        6,
        "at another address another key is accepted",
        "forged/daemon/app.py",
        "lambda address: bodies.bare(replace(target, source=",
        "lambda address: bodies.bare(replace(target, manifest=str(address), source=",
        ("tests/daemon/test_moving_boxes.py",),
    ),
    Breach(
        9,
        "events are dropped while their handler is begun anew",
        "forged/daemon/couriers.py",
        "await self._outbox.prune(sorted(self._takers))",
        "await self._outbox.prune(sorted(self._running))",
        (
            "tests/daemon/test_couriers.py::"
            "test_a_handler_whose_settings_change_misses_nothing_however_long_the_old_one_takes_to_end",
        ),
    ),
    Breach(
        12,
        "an alarm is told again after each restart",
        "forged/daemon/main.py",
        "        await house.bell.restore()\n",
        "",
        ("tests/daemon/test_alarms_told.py",),
    ),
    Breach(
        12,
        "an alarm rings again because its judge was cancelled in the middle",
        "forged/daemon/bell.py",
        "            await to_the_end(self._broke(",
        "            await (self._broke(",
        ("tests/daemon/test_bell.py::test_a_judge_who_is_cancelled_leaves_no_half_of_it",),
    ),
    Breach(
        12,
        "a stopped box is knocked at, and said to be out of reach",
        "forged/daemon/runner.py",
        "        while why := self._nobody_there:",
        '        while why := "":',
        (f"{_FOUND}::test_a_stopped_box_waits_without_a_word_and_goes_on_where_it_was",),
    ),
    Breach(
        12,
        "one target that cannot begin keeps those behind it from it",
        "forged/daemon/fleet.py",
        "        ends = await asyncio.gather(*coming, return_exceptions=True)\n",
        "        ends = [await one for one in coming]\n",
        ("tests/daemon/test_fleet.py::test_one_target_that_cannot_begin_keeps_no_other_from_it_and_is_tried_again",),
    ),
    Breach(
        13,
        "a provider that echoes the API key has it in a message",
        "forged/discovery/asking.py",
        "spoken(complaint.words, without=self._key.text)",
        "spoken(complaint.words)",
        ("tests/discovery/test_vastai.py",),
    ),
)
