"""Reading what providers say: whatever it is, boxes come of it, or a DiscoveryError; never another trouble."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forged.discovery import command, runpod, vastai
from forged.discovery.reading import BoxList, box_id, decoded, end_ns, ssh_address
from forged.model.boxes import Box
from forged.model.errors import DiscoveryError
from tests.discovery.runpod_api import pod, pod_v1
from tests.discovery.vast_api import instance

WHOLE = (instance(7), pod("7"), pod_v1("7"), {"id": "7", "host": "h", "end": "2026-12-01T06:00:00Z"})

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "22/tcp", "22", "direct", "host"]) | st.text(), inner)
    ),
    max_leaves=8,
)


@st.composite
def nearly_boxes(draw: st.DrawFn) -> dict[str, object]:
    """One of the fakes' own, with some of its values replaced or taken away."""
    whole: dict[str, object] = dict(draw(st.sampled_from(WHOLE)))
    for name in draw(st.lists(st.sampled_from(sorted(whole)), max_size=4)):
        whole[name] = draw(ANYTHING)
    return whole


def read_as_all(raw: bytes) -> list[Box]:
    """Boxes, or DiscoveryErrors."""
    boxes: list[Box] = []
    readers = (
        lambda one: one.read([msgspec.Raw(raw)], vastai.Instance, vastai._box),
        lambda one: one.read([msgspec.Raw(raw)], runpod.Pod, runpod._box),
        lambda one: one.read([msgspec.Raw(raw)], runpod.PodV1, runpod._box_v1),
        lambda one: one.read([msgspec.Raw(raw)], command.Line, lambda line: command._box(line, "a program")),
    )
    for reader in readers:
        one = BoxList("somebody", None)
        try:
            reader(one)
        except DiscoveryError as error:
            assert error.message.isprintable()
        boxes += one.boxes()
    return boxes


@given(nearly_boxes())
@example({"id": 7, "ports": {"22/tcp": []}, "public_ipaddr": "h", "actual_status": "running"})
@example({"id": 7, "actual_status": "running", "ssh_host": "h", "ssh_port": "²", "image_runtype": "jupyter"})
@example({"id": 7, "actual_status": "running", "ssh_host": "h", "ssh_port": 65535, "image_runtype": "jupyter"})
@example({"id": "7", "host": "h", "user": "\ud800"})
@example({"id": 10**400})
def test_whatever_is_said_of_a_box(said: dict[str, object]) -> None:
    for one in read_as_all(json.dumps(said).encode()):
        assert one.label is None or (one.label.isprintable() and len(one.label) <= 200)
        assert one.why.isprintable()
        assert all(address.host and str(address).isprintable() for address in one.addresses)


@given(st.binary() | ANYTHING.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 1_000_000)
@example(b'{"id":' * 100_000)
def test_whatever_comes_instead(raw: bytes) -> None:
    read_as_all(raw)
    for kind in (vastai.Page, runpod.Pods, list[msgspec.Raw], command.Total):
        try:
            decoded(raw, kind, "somebody")
        except DiscoveryError as error:
            assert error.message.isprintable() and len(error.message) < 400


@given(st.text(), st.integers() | st.text(max_size=6), st.text(max_size=10))
def test_an_address_is_one_or_a_value_error(host: str, port: int | str, user: str) -> None:
    try:
        address = ssh_address(host, port, user)
    except ValueError:
        return
    assert address.host and not address.host.startswith("-") and not (address.user or "").startswith("-")
    assert 1 <= (address.port or 0) <= 65_535
    assert not address.path


@given(st.text() | st.integers())
def test_an_id_is_a_plain_word_or_an_error(raw: str | int) -> None:
    try:
        id = box_id(raw, "somebody")
    except DiscoveryError:
        return
    assert id.isascii() and "/" not in id and id not in (".", "..") and 0 < len(id) <= 64


@pytest.mark.parametrize(("epoch_s", "ns"), [(1.5, 1_500_000_000), (0, None), (-1, None), (None, None), (1e300, None)])
def test_an_end(epoch_s: float | None, ns: int | None) -> None:
    assert end_ns(epoch_s) == ns
