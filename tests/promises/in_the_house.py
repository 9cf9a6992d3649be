"""Promises 8, 9 and 10, broken: what is configured, what events say, and what memory holds."""

from __future__ import annotations

from tests.promises.breach import Breach

_RELOAD = "tests/daemon/test_reload.py"
_STORE = "tests/store/test_sqlite.py::TestSqliteStore"

CONFIGURED = (
    Breach(
        8,
        "a file with mistakes is put in force",
        "forged/config/load.py",
        "    if mistakes:\n",
        "    if mistakes and not tables:\n",
        ("tests/config/test_mistakes.py::test_every_mistake_is_told_at_once_in_the_order_of_the_file",),
    ),
    Breach(
        8,
        "only the first mistake is told",
        "forged/config/mistakes.py",
        "for line, mistake in placed)",
        "for line, mistake in placed[:1])",
        ("tests/config/test_mistakes.py::test_every_mistake_is_told_at_once_in_the_order_of_the_file",),
    ),
    Breach(
        8,
        "a mistake is told without its line",
        "forged/config/mistakes.py",
        'f"{name}:{line}: {shown_key',
        'f"{name}: {shown_key',
        ("tests/config/test_mistakes.py::test_every_mistake_is_told_at_once_in_the_order_of_the_file",),
    ),
    Breach(
        8,
        "a refused reload answers that all is well",
        "forged/daemon/reload.py",
        "            return Reloaded(self._clock.now_ns(), False, NOT_CHANGED, error.problems)",
        "            return Reloaded(self._clock.now_ns(), True, NOT_CHANGED, error.problems)",
        (f"{_RELOAD}::test_a_bad_file_changes_nothing_and_says_so_everywhere",),
    ),
    Breach(
        8,
        "the log does not say that a reload was refused",
        "forged/daemon/reload.py",
        '            self._log.error(NOT_CHANGED, problems=list(error.problems), hint="mend the file and reload again")\n',
        "",
        (f"{_RELOAD}::test_a_bad_file_changes_nothing_and_says_so_everywhere",),
    ),
    Breach(
        8,
        "systemd is not told that a reload was refused",
        "forged/daemon/reload.py",
        "            self._notifier.ready(self.last.message)\n",
        '            self._notifier.ready("")\n',
        (f"{_RELOAD}::test_a_bad_file_changes_nothing_and_says_so_everywhere",),
    ),
    Breach(
        8,
        "a key that needs a restart is put in force at once",
        "forged/daemon/reload.py",
        "        await self._store.propose(kept)\n",
        "        await self._store.propose(new)\n",
        (f"{_RELOAD}::test_keys_that_need_a_restart_are_kept_and_named_each_time_and_the_rest_is_applied",),
    ),
    Breach(
        8,
        "a bad configuration starts the daemon's end with success",
        "forged/daemon/main.py",
        "        return Exit.WRONG_USE\n",
        "        return Exit.WELL\n",
        ("tests/daemon/test_life.py::test_a_bad_configuration_ends_the_start_with_every_mistake",),
    ),
)

EVENTS = (
    Breach(
        9,
        "an event is put down apart from its fact",
        "forged/store/manifest.py",
        "to_examine)\n            await append(connection, events)\n",
        "to_examine)\n        async with self._border.writing() as connection:\n            await append(connection, events)\n",
        ("tests/store/test_file.py::test_a_fact_whose_event_cannot_be_kept_is_not_kept_either",),
    ),
    Breach(
        9,
        "the fact is kept and its event is lost",
        "forged/store/manifest.py",
        "to_examine)\n            await append(connection, events)\n",
        "to_examine)\n",
        (f"{_STORE}::test_events_come_in_the_order_of_recording_with_ascending_ids",),
    ),
    Breach(
        9,
        "events come in no order",
        "forged/store/outbox.py",
        ".order_by(outbox.c.id).limit(limit)",
        ".order_by(outbox.c.id.desc()).limit(limit)",
        (f"{_STORE}::test_events_come_in_the_order_of_recording_with_ascending_ids",),
    ),
    Breach(
        9,
        "a handler goes back",
        "forged/store/outbox.py",
        "            if upto > await place(connection, handler):",
        "            if upto != await place(connection, handler):",
        (f"{_STORE}::test_each_handler_has_its_own_place_and_never_goes_back",),
    ),
    Breach(
        9,
        "what one handler has taken is pruned for all",
        "forged/store/outbox.py",
        "outbox.c.id <= min(places.values())",
        "outbox.c.id <= max(places.values())",
        (f"{_STORE}::test_only_what_all_handlers_have_taken_is_pruned",),
    ),
    Breach(
        9,
        "an id comes twice",
        "forged/store/schema.py",
        "    sqlite_autoincrement=True,\n",
        "",
        (f"{_STORE}::test_without_handlers_nothing_waits_and_no_id_comes_twice",),
    ),
)

BOUNDED = (
    Breach(
        10,
        "bytes in flight have no bound",
        "forged/kit/budget.py",
        "        return self._held_bytes == 0 or (free_bytes >= 0 and is_modest)",
        "        return True",
        ("tests/kit/test_budget.py",),
    ),
    Breach(
        10,
        "one target may take all",
        "forged/kit/budget.py",
        "(free_bytes >= 0 and is_modest)",
        "(free_bytes >= 0)",
        ("tests/kit/test_budget.py",),
    ),
    Breach(
        5,
        "without a hash, a beginning of before a power cut is gone on with",
        "forged/sync/transfer.py",
        "if hashing or staging in self._looks.begun else 0",
        "if True else 0",
        ("tests/sync/test_round.py::test_without_a_hash_only_a_beginning_of_this_process_is_gone_on_with",),
    ),
    Breach(
        10,
        "what was reserved is not given back when a fetch ends early",
        "forged/sources/agent/fetching.py",
        "            self._sink.refund(size_bytes)\n",
        "",
        ("tests/sources/agent/test_source.py::test_a_fetch_closed_early_leaves_the_books_even_and_the_lane_free",),
    ),
    Breach(
        10,
        "a stage takes whatever comes",
        "forged/kit/flow.py",
        "        while self._waiting >= self._most:",
        "        while self._waiting < 0:",
        ("tests/kit/test_flow.py::test_no_more_than_asked_wait",),
    ),
    Breach(
        10,
        "what a container says piles up where nobody reads",
        "forged/sources/docker/session.py",
        "        while self._ahead_bytes > AHEAD_BYTES:",
        "        while self._ahead_bytes < 0:",
        ("tests/sources/test_docker.py::test_what_nobody_reads_does_not_pile_up",),
    ),
    Breach(
        10,
        "a listing runs ahead of its reader without end",
        "forged/sources/agent/listing.py",
        "        if amount < min(GRANT_BLOCKS, window_blocks // 2):\n            return 0\n",
        "        amount = GRANT_BLOCKS\n",
        (
            "tests/sources/agent/test_hostile.py::test_an_endless_listing_waits_for_its_reader",
            "tests/sources/agent/test_blocks.py",
        ),
    ),
    Breach(
        10,
        "every problem of a listing is kept",
        "forged/sync/listing.py",
        "        if len(self.problems) < MOST_PROBLEMS:",
        "        if self.problems is not None:",
        ("tests/sync/test_round.py::test_of_a_hostile_number_of_problems_only_the_first_are_kept_by_path",),
    ),
    Breach(
        10,
        "every problem of a round is kept",
        "forged/sync/tally.py",
        "        if len(self.problems) < MOST_PROBLEMS:",
        "        if self.problems is not None:",
        ("tests/sync/test_round.py::test_a_hostile_number_of_problems_is_counted_but_not_kept",),
    ),
    Breach(
        10,
        "every part of a listing is known for ever",
        "forged/sync/known.py",
        "        if len(self._named) + len(self._seen) < MOST_PARTS and kept_bytes",
        "        if kept_bytes",
        ("tests/sync/test_known.py::test_no_more_parts_are_known_than_memory_allows",),
    ),
    Breach(
        10,
        "notifications wait for ever for a slow reader",
        "forged/control/sending.py",
        "        while len(self._notes) > NOTES_MOST or self._notes_bytes > NOTES_MOST_BYTES:",
        "        while self._notes_bytes < 0:",
        ("tests/control/test_sending.py",),
    ),
    Breach(
        10,
        "unfinished files are all held open",
        "forged/destination/staging.py",
        "        if len(self._open) > MOST_OPEN:",
        "        if not self._open:",
        ("tests/destination/test_staging.py::test_many_unfinished_files_hold_few_descriptors",),
    ),
    Breach(
        10,
        "jobs are remembered for ever",
        "forged/store/jobs.py",
        "            await connection.execute(_PRUNE)\n",
        "",
        (f"{_STORE}::test_the_last_jobs_are_kept_and_those_that_still_run",),
    ),
)

BREACHES = CONFIGURED + EVENTS + BOUNDED
