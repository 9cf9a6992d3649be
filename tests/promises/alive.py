"""Promise 12, broken: a task of forged's own that stands still, and nobody who notices."""

from __future__ import annotations

from tests.promises.breach import Breach

_WATCHDOG = "tests/daemon/test_watchdog.py"
_STILL = f"{_WATCHDOG}::test_one_task_that_stands_still_starves_it_and_is_named_with_the_place_where_it_stands"
_AGAIN = f"{_WATCHDOG}::test_one_that_moves_again_is_told_once_and_the_watchdog_lives"
_SIGNS = f"{_WATCHDOG}::test_each_of_forgeds_own_tasks_gives_signs_for_as_long_as_it_is_well"

NOTICED = (
    Breach(
        12,
        "one path that the state database cannot hold stops its whole target",
        "forged/store/postgres.py",
        "MOST_NAME_BYTES = 2_640",
        "MOST_NAME_BYTES = 9_000",
        ("tests/store/test_postgres.py::test_every_table_takes_the_longest_names_that_are_let_through",),
    ),
    Breach(
        2,
        "a forged that was stopped changes home before it has looked whether its memory is another's by now",
        "forged/store/owner.py",
        "self._proven_at_s + 2 * BEAT_S if self.lost_at_s is None else self.lost_at_s",
        'float("inf") if self.lost_at_s is None else self.lost_at_s',
        ("tests/store/test_postgres.py::test_who_was_stopped_does_not_take_the_memory_for_his_own_before_he_has_looked",),
    ),
    Breach(
        12,
        "systemd's watchdog is fed while a task stands still",
        "forged/daemon/watchdog.py",
        "        if not still:\n            self._notifier.watchdog()\n",
        "        self._notifier.watchdog()\n        if not still:\n",
        (_STILL, _AGAIN),
    ),
    Breach(
        12,
        "systemd's watchdog is not fed",
        "forged/daemon/watchdog.py",
        "            self._notifier.watchdog()\n",
        "",
        (_STILL, _AGAIN),
    ),
    Breach(
        12,
        "systemd's watchdog is fed less often than it is patient",
        "forged/daemon/watchdog.py",
        "min(self._notifier.watchdog_s / 2, TELL_S)",
        "max(self._notifier.watchdog_s * 2, TELL_S)",
        (_STILL,),
    ),
    Breach(
        12,
        "nobody is told who stands still",
        "forged/daemon/watchdog.py",
        "        self.conditions.broken(STANDS_STILL, f\"{said}, at {' and '.join(map(where, sorted(still)))}\", HINT)\n",
        "",
        (_STILL, _AGAIN),
    ),
    Breach(
        12,
        "one that moves again stands still for ever",
        "forged/daemon/watchdog.py",
        "            self.conditions.healed(STANDS_STILL)\n",
        "",
        (_AGAIN,),
    ),
    Breach(
        12,
        "nobody ever stands still for long enough",
        "forged/kit/signs.py",
        "if now_s - last_s > self._most_s",
        "if now_s - last_s > self._most_s * 1e6",
        ("tests/kit/test_signs.py", _STILL, _AGAIN),
    ),
    Breach(
        12,
        "a task that never gave a sign is not missed",
        "forged/kit/signs.py",
        "        alive()\n        return alive\n",
        "        return alive\n",
        ("tests/kit/test_signs.py",),
    ),
    Breach(
        12,
        "the place where a task stands is its outermost step",
        "forged/kit/signs.py",
        '        awaited = getattr(awaited, "cr_await", None)\n',
        "        awaited = None\n",
        ("tests/kit/test_signs.py",),
    ),
    *(
        Breach(12, f"a task that is well gives no sign: {what}", file, old, new, (noticed,))
        for what, file, old, new, noticed in (
            ("alarms", "forged/daemon/alarms.py", "            alive()\n", "", _SIGNS),
            ("progress", "forged/daemon/jobbook.py", "            alive()\n", "", _SIGNS),
            ("sidecars", "forged/daemon/enriching.py", "            alive()\n", "", _SIGNS),
            ("free space", "forged/daemon/freespace.py", "                alive()\n", "", _SIGNS),
            ("reloads", "forged/daemon/main.py", "            alive()\n", "", _SIGNS),
            (
                *("events", "forged/daemon/couriers.py", "            alive()\n", ""),
                "tests/daemon/test_couriers.py::test_an_event_reaches_every_handler_and_is_pruned_when_all_have_it",
            ),
        )
    ),
)

BREACHES = NOTICED
