"""What a well-behaved peer gets from the server: answers, errors, permissions, notifications, and an end in order."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time

import pytest

from forged.control.conversation import CALLS_MOST
from forged.control.peers import Admission, Level, Peer
from forged.control.publisher import SUBSCRIPTIONS_MOST
from forged.control.sending import NOTES_MOST
from forged.control.server import CONNECTIONS_MOST, CONNECTIONS_MOST_OF_ONE, Seats
from tests.control.serving import serving, until


async def test_calls_on_one_connection_do_not_wait_for_each_other() -> None:
    async with serving() as served, await served.connect() as line:
        line.send("wait", 1, name="slow")
        assert (await line.call("subtract", 2, minuend=3, subtrahend=1))["id"] == 2
        served.methods.may_end.set()
        assert await line.receive() == {"jsonrpc": "2.0", "id": 1, "result": "slow"}


async def test_the_kernel_says_who_asks() -> None:
    async with serving() as served, await served.connect() as line:
        who = (await line.call("whoami"))["result"]
    assert (who["uid"], who["gid"], who["level"]) == (os.getuid(), os.getgid(), "ADMIN")
    assert set(who["groups"]) == set(os.getgroups())


def test_the_groups_and_users_of_the_design_have_their_levels() -> None:
    admission = Admission(own_uid=990, group=991)
    nobody = frozenset({65534})
    assert admission.level(0, nobody) is Level.ADMIN
    assert admission.level(990, nobody) is Level.ADMIN
    assert admission.level(1000, frozenset({1000, 991})) is Level.STEER
    assert admission.level(1000, frozenset({1000})) is Level.LOOK


async def test_a_fault_in_a_method_is_reported_here_and_not_told_there() -> None:
    async with serving() as served, await served.connect() as line:
        answer = await line.call("broken")
        assert answer["error"]["code"] == -32603
        assert "secret" not in json.dumps(answer)
        ((where, error),) = served.faults
        assert (where, repr(error)) == ("broken", "LookupError('a secret detail')")


async def test_what_does_more_than_look_is_told_with_who_asked_for_it() -> None:
    async with serving() as served, await served.connect() as line:
        await line.call("subtract", minuend=3, subtrahend=1)
        await line.call("steer", wrong=1)
        await line.call("steer")
        await line.call("rule")
        assert [(method, uid) for method, _, uid in served.acts] == [("steer", os.getuid()), ("rule", os.getuid())]


async def test_a_result_that_is_no_json_is_a_fault_too() -> None:
    async with serving() as served, await served.connect() as line:
        assert (await line.call("unprintable"))["error"]["code"] == -32603
        assert [where for where, _ in served.faults] == ["unprintable"]


async def test_an_expected_error_comes_with_its_type_and_hint() -> None:
    async with serving() as served, await served.connect() as line:
        error = (await line.call("changed"))["error"]
        assert (error["code"], error["data"]["type"]) == (-32000, "host_key_changed")
        assert "forgectl trust" in error["data"]["hint"]
        assert served.faults == []


async def test_an_answer_above_one_mebibyte_is_an_error_that_tells_to_page() -> None:
    async with serving() as served, await served.connect() as line:
        assert len((await line.call("large", size_bytes=1_000_000))["result"]) == 1_000_000
        error = (await line.call("large", size_bytes=1 << 20))["error"]
        assert error["data"]["type"] == "answer_too_large"
        assert "cursor" in error["data"]["hint"]


async def test_a_faulty_notification_is_reported_and_not_answered() -> None:
    async with serving() as served, await served.connect() as line:
        line.send("broken")
        line.send("changed")
        line.send("subtract", minuend="x")
        assert (await line.call("subtract", 5, minuend=1, subtrahend=1))["id"] == 5
        assert [where for where, _ in served.faults] == ["broken"]


# --- half-close and disconnect


async def test_after_a_half_close_everything_pending_is_answered_before_the_end() -> None:
    async with serving() as served, await served.connect() as line:
        line.send("wait", 1, name="a")
        line.send("wait", 2, name="b")
        line.writer.write_eof()
        await until(lambda: served.methods.at_work == 2)
        served.methods.may_end.set()
        assert {(await line.receive())["id"], (await line.receive())["id"]} == {1, 2}
        assert await line.reader.read() == b""


async def test_a_last_line_without_newline_is_a_line() -> None:
    async with serving() as served:
        assert await served.ask('\n \r\n{"jsonrpc":"2.0","id":1,"method":"subtract","params":[3,1]}') == [
            {"jsonrpc": "2.0", "id": 1, "result": 2}
        ]


async def test_who_leaves_in_mid_call_cancels_it() -> None:
    async with serving() as served:
        async with await served.connect() as line:
            line.send("wait", 1, name="asked")
            await until(lambda: served.methods.at_work == 1)
        await until(lambda: served.methods.ended == ["cancelled asked"])
        await until(lambda: served.server.connections == 0)


async def test_who_leaves_after_a_half_close_cancels_its_call_too() -> None:
    async with serving() as served:
        async with await served.connect() as line:
            line.send("wait", 1, name="asked")
            line.writer.write_eof()
            await until(lambda: served.methods.at_work == 1)
        await until(lambda: served.methods.ended == ["cancelled asked"])


async def test_what_has_not_begun_when_its_caller_leaves_does_not_begin() -> None:
    batch = [{"jsonrpc": "2.0", "id": number, "method": "wait"} for number in range(100)]
    async with serving() as served:
        async with await served.connect() as line:
            line.writer.write(json.dumps(batch).encode() + b"\n")
            await until(lambda: served.methods.at_work == CALLS_MOST)
        await until(lambda: served.server.connections == 0)
        assert len(served.methods.ended) == CALLS_MOST


async def test_notifications_and_methods_that_finish_go_on_without_their_caller() -> None:
    async with serving() as served:
        async with await served.connect() as line:
            line.send("wait", name="notified")
            line.send("wait.finish", 1, name="finishing")
            await until(lambda: served.methods.at_work == 2)
        await asyncio.sleep(0.01)
        assert served.methods.ended == []
        served.methods.may_end.set()
        await until(lambda: served.server.connections == 0)
        assert sorted(served.methods.ended) == ["finished finishing", "finished notified"]


async def test_what_was_sent_before_leaving_at_once_is_done() -> None:
    async with serving() as served:
        for number in range(20):
            async with await served.connect() as line:
                line.send("update", text=str(number))
        await until(lambda: len(served.methods.noted) == 20)


# --- notifications


async def test_subscribers_get_what_they_asked_for() -> None:
    async with serving() as served, await served.connect() as one, await served.connect() as all_:
        await one.call("follow", key="a")
        await all_.call("follow")
        for key in "ab":
            served.publisher.publish("fact", {"of": key}, key=key)
        served.publisher.publish("other", {}, key="a")
        assert await one.receive() == {"jsonrpc": "2.0", "method": "fact", "params": {"of": "a"}}
        assert [(await all_.receive())["params"]["of"] for _ in "ab"] == ["a", "b"]
        assert (await one.call("subtract", minuend=1, subtrahend=1))["result"] == 0, "nothing of b and nothing of other came before"


async def test_who_unsubscribes_or_leaves_hears_no_more() -> None:
    async with serving() as served:
        async with await served.connect() as line:
            await line.call("follow")
            assert served.publisher.is_wanted("fact")
            await line.call("unfollow")
            assert not served.publisher.is_wanted("fact")
            await line.call("follow", key="a")
            assert served.publisher.is_wanted("fact", "a")
            assert not served.publisher.is_wanted("fact", "b")
        await until(lambda: not served.publisher.is_wanted("fact", "a"))


async def test_who_half_closes_still_hears_what_it_follows_until_there_is_no_more() -> None:
    async with serving() as served, await served.connect() as line:
        line.send("follow", 1, key="job")
        line.writer.write_eof()
        assert (await line.receive())["result"] is True
        served.publisher.publish("fact", 1, key="job")
        served.publisher.publish("fact", 2, key="job", last=True)
        assert [(await line.receive())["params"] for _ in range(2)] == [1, 2]
        assert await line.reader.read() == b""


async def test_who_has_left_before_it_subscribes_is_not_remembered() -> None:
    async with serving() as served:
        async with await served.connect() as line:
            line.send("follow.late", 1)
            assert (await line.call("subtract", 2, minuend=1, subtrahend=1))["id"] == 2
        await asyncio.sleep(0.01)
        served.methods.may_end.set()
        await until(lambda: served.server.connections == 0)
        assert not served.publisher.is_wanted("fact")


async def test_subscriptions_on_one_connection_are_bounded() -> None:
    async with serving() as served, await served.connect() as line:
        for number in range(SUBSCRIPTIONS_MOST):
            assert (await line.call("follow", key=str(number)))["result"] is True
        assert (await line.call("follow", key="more"))["error"]["data"]["type"] == "too_busy"
        assert (await line.call("follow", key="1"))["result"] is True


# --- bounds


async def test_only_so_many_calls_of_one_connection_are_at_work() -> None:
    async with serving() as served, await served.connect() as line, await served.connect() as other:
        batch = [{"jsonrpc": "2.0", "id": number, "method": "wait"} for number in range(100)]
        line.writer.write(json.dumps(batch).encode() + b"\n")
        await until(lambda: served.methods.at_work == CALLS_MOST)
        assert (await other.call("subtract", minuend=1, subtrahend=1))["result"] == 0
        served.methods.may_end.set()
        assert {answer["id"] for answer in await line.receive()} == set(range(100))
        assert served.methods.most_at_work == CALLS_MOST


def test_no_user_can_take_all_seats_and_root_always_has_its_share() -> None:
    seats = Seats()
    assert [seats.take(1000) for _ in range(100)].count(True) == CONNECTIONS_MOST_OF_ONE
    for uid in range(1001, 1010):
        for _ in range(100):
            seats.take(uid)
    assert not seats.take(2000)
    assert [seats.take(0) for _ in range(100)].count(True) == CONNECTIONS_MOST_OF_ONE
    assert not seats.take(1000)
    seats.leave(1000)
    assert seats.take(1000)
    assert CONNECTIONS_MOST == 4 * CONNECTIONS_MOST_OF_ONE


def test_a_peer_says_what_it_may_not() -> None:
    peer = Peer(1000, 1000, 1, frozenset(), Level.STEER)
    peer.require(Level.STEER, "`steer`")
    with pytest.raises(Exception, match="Not permitted") as caught:
        peer.require(Level.ADMIN, "`rule`")
    assert caught.value.hint == "`rule` is for root or the user that forged runs as; you are uid 1000"  # type: ignore[attr-defined]


# --- the end


async def test_stopping_answers_what_is_at_work_and_takes_nothing_new() -> None:
    async with serving() as served, await served.connect() as line, await served.connect() as idle:
        line.send("wait", 1, name="last")
        await until(lambda: served.methods.at_work == 1)
        stopping = asyncio.create_task(served.server.stop(limit_s=20))
        await until(lambda: not served.path.exists())
        with pytest.raises(OSError):
            await served.connect()
        assert await idle.reader.read() == b""
        served.methods.may_end.set()
        assert (await line.receive())["result"] == "last"
        assert await line.reader.read() == b""
        await stopping


async def test_what_takes_too_long_is_told_that_forged_is_stopping() -> None:
    async with serving() as served, await served.connect() as line:
        batch = [{"jsonrpc": "2.0", "id": number, "method": "wait"} for number in range(100)]
        line.writer.write(json.dumps(batch).encode() + b"\n")
        await until(lambda: served.methods.at_work == CALLS_MOST)
        await served.server.stop(limit_s=0.01)
        answers = await line.receive()
        assert {answer["error"]["code"] for answer in answers} == {-32004}
        assert len(answers) == 100


async def test_a_peer_that_takes_nothing_does_not_hold_up_the_end() -> None:
    async with serving() as served, await served.connect() as line:
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(10):
            line.send("large", number, size_bytes=1_000_000)
        await until(lambda: served.server._backlog.unsent_bytes > 2_000_000)
        begun = time.monotonic()
        await served.server.stop(limit_s=60)
        assert time.monotonic() - begun < 30, "the limit is for calls, not for peers"
        assert served.server.connections == 0


async def test_the_socket_has_the_mode_it_was_given() -> None:
    async with serving(mode=0o666) as served:
        assert stat.S_IMODE(served.path.stat().st_mode) == 0o666


async def test_a_slow_follower_learns_how_much_it_has_lost() -> None:
    async with serving() as served, await served.connect() as line:
        await line.call("follow")
        for number in range(20_000):
            served.publisher.publish("fact", {"number": number, "more": "x" * 300})
        dropped = served.server.notifications_dropped
        assert dropped > 20_000 - NOTES_MOST - 1000
        lost, last = 0, -1
        while last < 19_999:
            message = await line.receive()
            if message["method"] == "rpc.dropped":
                lost += message["params"]["count"]
            else:
                assert message["params"]["number"] > last
                last = message["params"]["number"]
        assert lost == dropped
