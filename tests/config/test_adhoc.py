"""The table of an ad-hoc sync: the keys of [[target]] and the seed's names, as strict as the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forged.config.adhoc import PLACES, SyncConfigTable, ad_hoc_target
from forged.config.schema import TargetTable
from forged.config.surroundings import Surroundings
from forged.model.errors import ConfigError
from forged.model.target import CleanupPolicy, MediaPolicy, Target, TargetType
from tests.config.loading import TARGET, loaded

AROUND = Surroundings({"HOME": "/home/user"}, Path("/etc/forged"), False)
PLAIN = {"source": "ssh://box/outputs", "dest": "/srv/media"}

SEED: dict[str, object] = {
    "source_type": "forge",
    "source_host": "10.0.78.108",
    "source_port": 2222,
    "source_path": "/workspace/stable-diffusion-webui/outputs",
    "dest_path": "/media",
    "folders": ["txt2img-images", "img2img-images"],
    "parallel_transfers": 3,
    "enable_cleanup": True,
    "cleanup_age_hours": 24,
    "cleanup_dry_run": False,
}
"""The example of the seed document, as it stands there."""


def target(table: Mapping[str, object], media: MediaPolicy | None = None, around: Surroundings = AROUND) -> Target:
    return ad_hoc_target(table, around, media or MediaPolicy())


def mistakes(table: Mapping[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        target(table)
    return list(caught.value.problems)


def test_the_seeds_own_example_is_understood() -> None:
    made = target(SEED)
    assert str(made.source) == "ssh://root@10.0.78.108:2222/workspace/stable-diffusion-webui/outputs"
    assert (made.type, made.home.dest) == (TargetType.FORGE, Path("/media"))
    assert made.selection.folders == ("txt2img-images", "img2img-images")
    assert made.transfer.parallel_transfers == 3
    assert made.cleanup == CleanupPolicy()


def test_every_name_of_the_seeds_sync_config_is_read() -> None:
    rest = {
        "bandwidth_limit_mbps": 5,
        "cleanup_age_hours": 1.5,
        "cleanup_dry_run": True,
        "generate_xmp": False,
        "calculate_hashes": True,
        "extract_metadata": False,
        "retry_attempts": 7,
        "retry_delay_seconds": 2,
        "verify_transfers": False,
    }
    made = target(SEED | rest)
    assert (SEED | rest).keys() >= SyncConfigTable.model_fields.keys()
    assert made.transfer.bandwidth.steps[0].bytes_per_s == 5_000_000
    assert (made.transfer.retry_attempts, made.transfer.retry_delay_s, made.transfer.verify) == (7, 2.0, False)
    assert (made.media.xmp, made.media.metadata) == (False, False)
    assert made.cleanup is not None
    assert (made.cleanup.age_s, made.cleanup.dry_run) == (5_400.0, True)


def test_the_keys_of_a_target_mean_what_they_mean_in_the_file(tmp_path: Path) -> None:
    (of_file,) = loaded(
        TARGET + 'poll = "5s"\nexclude = ["*.log"]\ncleanup = { age = "3h" }\nmedia.xmp = false\n', tmp_path
    ).targets
    table = PLAIN | {"name": "studio", "poll": "5s", "exclude": ["*.log"], "cleanup": {"age": "3h"}, "media": {"xmp": False}}
    made = target(table)
    assert replace(made, manifest=of_file.manifest) == of_file


def test_both_languages_may_be_mixed_where_they_do_not_meet() -> None:
    made = target(SEED | {"layout": "{name}", "cleanup": {"preserve": ["keep/"]}, "settle": "0s", "media": {"phash": True}})
    assert (made.home.layout, made.settle.settle_s, made.media.phash) == ("{name}", 0.0, True)
    assert made.cleanup == CleanupPolicy(preserve=("keep/",))


def test_cleanup_is_on_by_default_only_in_the_seeds_words() -> None:
    spoken_as_the_seed = {"source_host": "box", "source_path": "/out", "dest_path": "/srv"}
    assert target(spoken_as_the_seed).cleanup == CleanupPolicy()
    assert target(spoken_as_the_seed | {"enable_cleanup": False, "cleanup_age_hours": 1}).cleanup is None
    assert target(PLAIN).cleanup is None
    assert target(PLAIN | {"enable_cleanup": True}).cleanup == CleanupPolicy()
    assert target(PLAIN | {"cleanup": {}}).cleanup == CleanupPolicy()


def test_what_is_null_is_not_given() -> None:
    nothing = dict.fromkeys(("source_path", "bandwidth_limit_mbps", "cleanup_age_hours", "schedule"))
    made = target({"source_type": "comfyui", "source_host": "box", "dest_path": "/srv"} | nothing)
    assert made.source.path == "/workspace/ComfyUI/output"
    assert made.transfer.bandwidth.steps == ()


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("box", "ssh://root@box/out"),
        ("me@box", "ssh://me@box/out"),
        ("fd00::1", "ssh://root@[fd00::1]/out"),
        ("me@[fd00::1]", "ssh://me@[fd00::1]/out"),
    ],
)
def test_a_host_may_name_its_user(host: str, source: str) -> None:
    assert str(target({"source_host": host, "source_path": "/out", "dest_path": "/srv"}).source) == source


def test_the_same_source_and_destination_have_the_same_memory() -> None:
    first, again = target(SEED), target(SEED | {"parallel_transfers": 1, "enable_cleanup": False, "folders": []})
    assert first.name == first.manifest == again.manifest
    assert first.name.startswith("adhoc-")
    assert len(first.name) == len("adhoc-") + 8
    others = [SEED | {"source_port": 22}, SEED | {"dest_path": "/other"}, SEED | {"source_path": "/elsewhere"}]
    assert len({first.manifest, *(target(other).manifest for other in others)}) == 4
    assert target(SEED | {"dest_path": "/media/"}).manifest == first.manifest


def test_a_name_is_shown_and_is_not_the_memorys() -> None:
    made = target(PLAIN | {"name": "friday"})
    assert (made.name, made.manifest) == ("friday", target(PLAIN).manifest)


def test_what_it_does_not_say_of_media_is_as_configured() -> None:
    made = target(PLAIN | {"generate_xmp": True}, MediaPolicy(xmp=False, thumbnails=True, workers=4))
    assert (made.media.xmp, made.media.thumbnails, made.media.workers) == (True, True, 4)


def test_every_mistake_is_told_at_once_by_the_callers_own_names() -> None:
    told = mistakes(
        {
            "source_type": "forg",
            "source_host": "-x",
            "source_port": 70_000,
            "dest_path": 5,
            "folders": ["../up"],
            "parallel_transfers": "3",
            "bandwidth_limit_mbps": 0,
            "cleanup_age_hours": -1,
            "retry_delay_seconds": True,
            "verify_transfer": True,
            "poll": 30,
            "cleanup": {"evry": "1h"},
            "min_free": "1GB",
        }
    )
    assert [one.split(": ")[0] for one in told] == [
        "source_type",
        "source_port",
        "dest_path",
        "folders",
        "parallel_transfers",
        "bandwidth_limit_mbps",
        "cleanup_age_hours",
        "retry_delay_seconds",
        "verify_transfer",
        "poll",
        "cleanup.evry",
        "min_free",
    ]
    assert told[0] == "source_type: did you mean 'forge'?"
    assert told[8] == "verify_transfer: no such key here; did you mean 'verify_transfers'?"


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        ({}, "source: it is missing"),
        ({"dest": "/srv", "source_port": 22}, "source_host: it is missing"),
        ({"dest": "/srv", "source_host": "a b", "source_path": "/out"}, "source_host: the host is missing or no host's name"),
        ({"dest": "/srv", "source_host": "box"}, 'source_host: type "generic" has no folder of its own'),
        ({"dest": "/srv", "source_host": "box", "source_path": "out"}, "source_path: only a path is needed here"),
        (PLAIN | {"source_host": "box"}, "source_host: source is given too"),
        (PLAIN | {"dest_path": "/other"}, "dest_path: dest is given too"),
        (SEED | {"cleanup": {"age": "1h"}}, "cleanup_age_hours: cleanup.age is given too"),
        (PLAIN | {"cleanup": {}, "enable_cleanup": False}, "enable_cleanup: the table cleanup is given too"),
        (PLAIN | {"cleanup_age_hours": 24}, "cleanup_age_hours: nothing is cleaned up"),
        (PLAIN | {"cleanup": "24h", "enable_cleanup": True}, "cleanup: this is a table"),
        (PLAIN | {"dest": "/srv/.forged/x"}, "dest: a folder inside .forged"),
        ({"source": "/srv/a", "dest": "/srv/a/b"}, "dest: source and dest lie within each other"),
        (PLAIN | {"schedule": "0 4 * * *", "poll": "1h"}, "schedule: poll is given too"),
        (PLAIN | {"x y\x1b": 1}, r"'x y\x1b': no such key here"),
    ],
)
def test_a_mistake_says_what_to_do(table: dict[str, object], mistake: str) -> None:
    assert any(one.startswith(mistake) for one in mistakes(table)), mistakes(table)


def test_a_thousand_wrong_keys_are_counted() -> None:
    told = mistakes(PLAIN | {f"key{n}": n for n in range(1_000)})
    assert (len(told), told[-1]) == (21, "and 980 more")


def test_paths_start_where_those_of_the_file_start() -> None:
    assert target(PLAIN | {"dest": "media"}).home.dest == Path("/etc/forged/media")
    assert target(PLAIN | {"dest_path": "~/media", "dest": None}).home.dest == Path("/home/user/media")


def test_surroundings_without_any_variable_are_enough() -> None:
    assert target(PLAIN, around=Surroundings({}, Path("/"), False)).home.dest == Path("/srv/media")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("age_ory", max_size=5), inner, max_size=3),
    max_leaves=5,
)
_keys = st.sampled_from(sorted({*TargetTable.model_fields, *SyncConfigTable.model_fields, "nonsense"}))


@given(st.dictionaries(_keys, _json, max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_json_is_a_target_or_mistakes_with_a_key(table: dict[str, object]) -> None:
    try:
        made = target(table)
    except ConfigError as error:
        known = {*table, "source", "dest", "source_host", *(".".join(map(str, place)) for place in PLACES.values())}
        assert error.problems
        assert {one.split(":")[0].split(".")[0] for one in error.problems} <= {key.split(".")[0] for key in known}
    else:
        assert made.manifest.startswith("adhoc-")
