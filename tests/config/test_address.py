"""Where files come from: URLs of sources."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.config.address import parse_source
from forged.model.target import SourceAddress, SourceKind

SSH, SFTP, DOCKER, LOCAL = SourceKind.SSH, SourceKind.SFTP, SourceKind.DOCKER, SourceKind.LOCAL


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh://root@10.0.78.108:2222/workspace/outputs", SourceAddress(SSH, "/workspace/outputs", "10.0.78.108", "root", 2222)),
        ("ssh://box", SourceAddress(SSH, "", "box")),
        ("ssh://box/", SourceAddress(SSH, "", "box")),
        ("ssh://my_alias.of-config", SourceAddress(SSH, "", "my_alias.of-config")),
        ("SSH://box//a/./b/", SourceAddress(SSH, "/a/b", "box")),
        ("ssh://[fd00::1]:22/x", SourceAddress(SSH, "/x", "fd00::1", None, 22)),
        ("ssh://ann@[fe80::1%25eth0]/x", SourceAddress(SSH, "/x", "fe80::1%eth0", "ann")),
        ("ssh://a%40b@box/my%20files/%E2%82%AC", SourceAddress(SSH, "/my files/€", "box", "a@b")),
        ("ssh://box/what?is#this", SourceAddress(SSH, "/what?is#this", "box")),
        ("ssh://box/a@b:c", SourceAddress(SSH, "/a@b:c", "box")),
        ("sftp://box/x", SourceAddress(SFTP, "/x", "box")),
        ("docker://comfy/opt/ComfyUI/output", SourceAddress(DOCKER, "/opt/ComfyUI/output", "comfy")),
        ("/local/path/", SourceAddress(LOCAL, "/local/path")),
        ("/local/100%25", SourceAddress(LOCAL, "/local/100%25")),
    ],
)
def test_sources_of_every_kind_are_read(text: str, address: SourceAddress) -> None:
    assert parse_source(text) == address


def test_bytes_that_are_not_utf8_survive_in_a_path() -> None:
    assert os.fsencode(parse_source("ssh://box/%ff%20x").path) == b"/\xff x"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "write ssh://"),
        ("box:/outputs", "write ssh://"),
        ("outputs", "write ssh://"),
        ("ftp://box/x", "does not know ftp://"),
        ("ssh://root:secret@box/x", "a password has no place"),
        ("ssh://root:@box/x", "a password has no place"),
        ("ssh:///x", "the host is missing"),
        ("ssh://@box/x", "the user before the @ is missing"),
        ("ssh://-oProxyCommand=x/y", "the host is missing or no host"),
        ("ssh://-x@box/y", "the user before the @"),
        ("ssh://box:ssh/x", "the port is no number"),
        ("ssh://box:0/x", "the port is no number"),
        ("ssh://box:65536/x", "the port is no number"),
        ("ssh://box:/x", "the port is no number"),
        ("ssh://fd00::1/x", "in brackets"),
        ("ssh://[fd00::1/x", "in brackets"),
        ("ssh://[box]/x", "no IPv6 address"),
        ("ssh://a b/x", "no host's name"),
        ("ssh://box/../etc", "without `..`"),
        ("ssh://box/a%2F..%2Fb", "without `..`"),
        ("ssh://box/a%00b", "NUL"),
        ("ssh://box/~/outputs", "`~` is not looked up"),
        ("ssh://box//~/outputs", "`~` is not looked up"),
        ("/.//~root", "`~` is not looked up"),
        ("docker://root@comfy/x", "neither user nor port"),
        ("docker://comfy:80/x", "neither user nor port"),
        ("/", "the whole disk"),
        ("/a/../b", "without `..`"),
    ],
)
def test_what_is_no_source_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_source(text)
    assert why in str(caught.value)
    assert "secret" not in str(caught.value)


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,10}", fullmatch=True)
PARTS = st.text(min_size=1, max_size=6).filter(lambda p: "/" not in p and "\0" not in p and p not in (".", "..") and p[0] != "~")
PATHS = st.just("") | st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
HOSTS = NAMES | st.ip_addresses(v=6).map(str)
REMOTE = st.builds(SourceAddress, st.sampled_from([SSH, SFTP]), PATHS, HOSTS, st.none() | NAMES, st.none() | st.integers(1, 65_535))
ADDRESSES = st.one_of(
    REMOTE, st.builds(SourceAddress, st.just(DOCKER), PATHS, NAMES), st.builds(SourceAddress, st.just(LOCAL), PATHS.filter(bool))
)


@given(ADDRESSES)
def test_an_address_prints_as_the_text_that_reads_back_as_itself(address: SourceAddress) -> None:
    assert parse_source(str(address)) == address


@given(st.text(alphabet="sh:/@[]%0a.-~\x00é ", max_size=24))
def test_any_text_is_either_read_or_refused_with_a_value_error(rest: str) -> None:
    for text in (rest, "ssh://" + rest, "docker://" + rest):
        try:
            address = parse_source(text)
        except ValueError:
            continue
        assert address.path == "" or address.path.startswith("/")
        assert ".." not in address.path.split("/") and "\0" not in address.path
