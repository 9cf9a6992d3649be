"""Promise 9, broken on the way from the outbox to a handler: what it cannot take, and what is brought to it again."""

from __future__ import annotations

from tests.promises.breach import Breach

_DELIVERY = "forged/ingest/delivery.py"
_DELIVERED = "tests/ingest/test_delivery.py"
_COURIERS = "forged/daemon/couriers.py"
_REPLAYS = "forged/daemon/replays.py"
_REPLAYED = "tests/daemon/test_replays.py"

BREACHES = (
    Breach(
        9,
        "a program that cannot be started has its events set aside",
        "forged/kit/mortal.py",
        "    if not _is_run_by_the_kernel(program):",
        "    if not program:",
        ("tests/ingest/test_contract_command.py::test_one_whose_interpreter_is_gone_is_away_and_blames_no_event",),
    ),
    Breach(
        9,
        "one event that is not taken stops all that come after it",
        "forged/ingest/bringing.py",
        "            if not any(event.id in error.about for event in events):\n                raise\n",
        "            if events:\n                raise\n",
        (f"{_DELIVERED}::test_an_event_that_it_cannot_take_stops_no_other",),
    ),
    Breach(
        9,
        "what was not taken is lost",
        _DELIVERY,
        "upto=upto, aside=[one for one in aside if one.event.id <= upto]",
        "upto=upto, aside=[]",
        (f"{_DELIVERED}::test_an_event_that_it_cannot_take_stops_no_other",),
    ),
    Breach(
        9,
        "a later event of a file overtakes one that was not taken",
        _DELIVERY,
        "[event for event in wanted if event.key not in follow]",
        "[event for event in wanted if event]",
        (f"{_DELIVERED}::test_what_concerns_one_file_stays_in_order_also_behind_one_that_is_set_aside",),
    ),
    Breach(
        9,
        "what was not taken is not tried again",
        _DELIVERY,
        "await self.once(), await self.again()",
        "await self.once(), 0",
        (f"{_DELIVERED}::test_one_that_is_mended_in_time_needs_no_person",),
    ),
    Breach(
        9,
        "what is never taken is tried for ever, and nobody is told",
        _DELIVERY,
        "        gives_up = tries >= TRIES and",
        "        gives_up = tries < 0 and",
        (f"{_DELIVERED}::test_after_ten_tries_it_waits_for_a_person",),
    ),
    Breach(
        9,
        "a handler that is away loses its events to a heap that waits for a person",
        _DELIVERY,
        " and self._took_ns >= before.since_ns\n",
        "\n",
        (f"{_DELIVERED}::test_one_that_takes_nothing_at_all_is_away_and_nothing_waits_for_a_person",),
    ),
    Breach(
        9,
        "what is set aside does not show",
        _COURIERS,
        "        if not first:\n            courier.conditions.well(Scope.FILE)\n",
        "        if first or not first:\n            courier.conditions.well(Scope.FILE)\n",
        ("tests/daemon/test_couriers.py::test_what_is_set_aside_is_said_once_shown_and_counted",),
    ),
    Breach(
        9,
        "what is brought to one handler again comes to all",
        "forged/store/outbox.py",
        "    mine = sa.or_(outbox.c.handler.is_(None), outbox.c.handler == handler)",
        "    mine = sa.or_(outbox.c.handler.is_(None), outbox.c.handler.is_not(None))",
        ("tests/store/test_sqlite.py",),
    ),
    Breach(
        9,
        "a replay that was cut off is forgotten",
        _REPLAYS,
        "        after = rows[-1].path if len(rows) == STEP_ROWS else None\n",
        "        after = None\n",
        (f"{_REPLAYED}::test_a_replay_goes_on_after_a_restart_and_puts_each_file_once",),
    ),
    Breach(
        9,
        "a catalog that was lost stays empty",
        _REPLAYS,
        "                await self._refill()\n",
        "",
        (f"{_REPLAYED}::test_a_catalog_that_is_lost_is_filled_again_by_itself",),
    ),
    Breach(
        9,
        "that a file was removed is told, though its row does not say so",
        "forged/store/manifest.py",
        "            await append(connection, events)\n        return touched\n",
        "            pass\n        return touched\n",
        ("tests/store/test_sqlite.py",),
    ),
)
