"""Every mistake of a configuration at once: where, what, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forged.config.load import load
from forged.model.errors import ConfigError
from tests.config.loading import TARGET, loaded, mistakes


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
port = 3
[daemon]
log_level = "inof"
socket_mod = "0660"
min_free = "1GB"
metrics = 9750
[transfer]
in_flight = "64"
bandwidth = "08:00,5MB 23:00,off"
[[target]]
name = "a b"
source = "ftp://box/x"
poll = 30
verify = "yes"
parallel_transfers = 0
settle = "1m"
settle_max = "2s"
  [target.cleanup]
  ag = "24h"
  age = "3"
[[ingest]]
type = "webook"
[[ingest]]
type = "webhook"
name = "hook"
targets = ["nowhere"]
[[discovery]]
type = "vastai"
name = "rented"
target = { source = "ssh://x/y", dest = "/d" }
"""
    told = [problem.split(": ")[:2] for problem in mistakes(text, tmp_path)]
    assert told == [
        ["1", "port"],
        ["3", "daemon.log_level"],
        ["4", "daemon.socket_mod"],
        ["5", "daemon.min_free"],
        ["6", "daemon.metrics"],
        ["8", "transfer.in_flight"],
        ["9", "transfer.bandwidth"],
        ["10", "target[#1].dest"],
        ["11", "target[#1].name"],
        ["12", "target[#1].source"],
        ["13", "target[#1].poll"],
        ["14", "target[#1].verify"],
        ["15", "target[#1].parallel_transfers"],
        ["17", "target[#1].settle_max"],
        ["19", "target[#1].cleanup.ag"],
        ["20", "target[#1].cleanup.age"],
        ["22", "ingest[#1].type"],
        ["23", "ingest[hook].url"],
        ["26", "ingest[hook].targets"],
        ["27", "discovery[rented].api_key_file"],
        ["30", "discovery[rented].target.source"],
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[daemon]\nsocket_mod = 1", "2: daemon.socket_mod: no such key here; did you mean 'socket_mode'?"),
        ("[daemon]\nlog-level = 'info'", "2: daemon.log-level: no such key here; did you mean 'log_level'?"),
        ("[daemon]\nmin_free = 1", "2: daemon.min_free: it does not belong here but into [transfer]"),
        ("[deamon]", "1: deamon: no such key here; did you mean 'daemon'?"),
        ("poll = '3s'", "1: poll: it does not belong here but into [[target]] or [discovery.target]"),
        ("[media]\nzzz = 1", "2: media.zzz: no such key here; known are duplicates, metadata, phash, thumbnails, workers, xmp"),
        ("[daemon]\nlog_level = 'INFO'", "2: daemon.log_level: did you mean 'info'?"),
        ("[daemon]\nlog_level = 'x'", "2: daemon.log_level: one of these is needed: debug, info, warning, error"),
        ("[daemon]\nlog_level = 3", '2: daemon.log_level: a text in quotes is needed, such as "debug" or "info"'),
        ("[media]\nworkers = 'two'", "2: media.workers: a whole number is needed, without quotes"),
        ("[media]\nworkers = true", "2: media.workers: a whole number is needed, without quotes"),
        ("[media]\nworkers = 65", "2: media.workers: at most 64 is possible"),
        ("[media]\nworkers = 0", "2: media.workers: at least 1 is needed"),
        ("[media]\nxmp = 1", "2: media.xmp: true or false is needed, without quotes"),
        ("[[daemon]]", "1: daemon: this is one table: write [daemon] in single brackets"),
        ("[target]\nname = 'x'", "1: target: there may be several of these: write [[target]] in double brackets"),
        ("daemon = 3", "1: daemon: this is one table: write [daemon] in single brackets"),
        (
            "[state]\nurl = 'mysql://root:hunter2@db/x'",
            '2: state.url: "sqlite" or a database address is needed: postgresql://user@host/database',
        ),
        ("[transfer]\nin_flight = '1MB'", "2: transfer.in_flight: at least 4MB is needed, so that one range of one file fits"),
        (
            "[daemon]\nmetrics = 'localhost'",
            '2: daemon.metrics: an address and a port are needed, such as "127.0.0.1:9750", or "" for off',
        ),
        ("[daemon]\nsocket_mode = '0888'", '2: daemon.socket_mode: three octal digits are needed, such as "0644"'),
        ("[daemon]\nsocket_group = ' '", "2: daemon.socket_group: it is empty; remove the key, or fill it"),
        (
            "[daemon]\nstate_dir = '$NOPE/x'",
            "2: daemon.state_dir: the environment variable NOPE is not set: set it, or write the path itself",
        ),
        ("[daemon]\nstate_dir = '~bob/x'", "2: daemon.state_dir: only `~/` of the own user is looked up: write the absolute path"),
        ("[daemon]\nstate_dir = 3", '2: daemon.state_dir: a path in quotes is needed, such as "~/media"'),
        (
            f"[daemon]\nsocket = '/{'x' * 107}'",
            "2: daemon.socket: the path of a socket may have 107 bytes at most: choose a shorter one",
        ),
    ],
)
def test_a_mistake_says_what_and_what_to_do(text: str, mistake: str, tmp_path: Path) -> None:
    assert mistakes(text, tmp_path) == [mistake]


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        (
            "name = '..'",
            "name: 1 to 64 letters, digits, dots, dashes or underscores are needed: the name becomes a folder and a label",
        ),
        ("name = 3", 'name: a text in quotes is needed, such as "studio"'),
        ("poll = '0s'", "poll: from 1s to 365d is possible"),
        (
            "poll = '5 minutes'",
            'poll: \'5 minutes\' is no duration: write a number and ms, s, m, h or d, such as "30s", "1h30m" or "7d"',
        ),
        (
            "max_size = 'none'",
            "max_size: 'none' is no size: write a number and B, kB, MB, GB, TB or KiB, MiB, GiB, TiB, such as \"50MB\"",
        ),
        ("watch = true", 'watch: a text in quotes is needed, such as "auto" or "off"'),
        ("type = 'comfy'", "type: did you mean 'comfyui'?"),
        ("layout = '{foo}/{path}'", "layout: it knows no {foo}; use one of {target} {folder} {path} {name} {date}"),
        ("layout = '{target}'", "layout: it must end with {path} or {name}, so that a file keeps its name and its suffix"),
        ("folders = ['../x']", "folders: '../x' is no folder below the source: write it relative, without .."),
        ("folders = 'x'", 'folders: a list of texts is needed, such as ["txt2img-images"]'),
        ("exclude = ['x', 3]", 'exclude: a list of texts is needed, such as ["*.png"]'),
        ("include = ['!']", "include: '!' is no gitignore pattern; write a literal `!` or `\\` at its place as `\\!` or `\\\\`"),
        (
            "host_key = 'MD5:00'",
            'host_key: "pin", "known_hosts" or "SHA256:" with 43 characters is needed (ssh-keygen -l -f prints it)',
        ),
        ("identity_file = 'nokey'", "identity_file: there is no file at TMP/nokey, or this user may not read it"),
        ("file_mode = '0044'", "file_mode: forged could not read its own files: the owner needs at least 0400"),
        ("dir_mode = '0644'", "dir_mode: forged could not work in its own folders: the owner needs 0700"),
        ("file_mode = 644", 'file_mode: a text in quotes is needed, such as "0644"'),
        ("cleanup = true", "cleanup: this is a table: write its keys below a header in brackets, or in { }"),
        ("cleanup = { age = 24 }", 'cleanup.age: a text in quotes is needed, such as "30s"'),
        ("media = { x = 24 }", "media.x: no such key here; known are duplicates, metadata, phash, thumbnails, workers, xmp"),
        (
            "schedule = '1 2 3'",
            "schedule: '1 2 3' has 3 fields: write five fields (minute, hour, day of month, month, day of week), such as \"30 4 * * mon-fri\"",  # noqa: E501
        ),
        ("dest = 3", 'dest: a path in quotes is needed, such as "~/media"'),
        ("dest = '$EMPTY/x'", "dest: the environment variable EMPTY is not set: set it, or write the path itself"),
        ("dest = '/srv/.forged/x'", "dest: a folder inside .forged is forged's own: choose another"),
        (
            "source = 'ssh://box'",
            'source: type "generic" has no folder of its own: add the path, or say which program it is (`forged probe` finds both)',
        ),
        ("source = '/srv'", None),
    ],
)
def test_a_mistake_in_a_target_says_what_and_what_to_do(line: str, mistake: str | None, tmp_path: Path) -> None:
    key = line.split(" ")[0]
    others = "\n".join(each for each in TARGET.splitlines() if not each.startswith(f"{key} "))
    told = mistakes(f"{others}\n{line}", tmp_path)
    assert len(told) == 1
    if mistake is not None:
        _, _, what = told[0].partition("].")
        assert what == mistake.replace("TMP", str(tmp_path))


def two_targets(first: str, second: str) -> str:
    return f'[[target]]\nname = "a"\n{first}\n[[target]]\nname = "b"\n{second}\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TARGET + TARGET.replace("studio", "STUDIO").replace("outputs", "other"), ["6: target[STUDIO].name"]),
        (two_targets('source = "ssh://x/y"\ndest = "/d"', 'source = "ssh://x/y"\ndest = "/d"'), ["7: target[b].source"]),
        ('[[target]]\nname = "a"\nsource = "/data/in"\ndest = "/data"', ["4: target[a].dest"]),
        ('[[target]]\nname = "a"\nsource = "/data"\ndest = "/data/in/../home"', ["4: target[a].dest"]),
        (TARGET + 'poll = "3s"\nschedule = "1 * * * *"', ["6: target[studio].schedule"]),
        (TARGET.replace("ssh://box", "docker://box") + 'host_key = "pin"', ["5: target[studio].host_key"]),
        ('[[ingest]]\ntype = "postgres"\nname = "p"', ["1: ingest[p].dsn"]),
        ('[[ingest]]\ntype = "sqlite"\nname = "p"\ndsn = "x"', ["4: ingest[p].dsn"]),
        ('[[ingest]]\ntype = "command"\nname = "p"\ncommand = []', ["4: ingest[p].command"]),
        ('[[ingest]]\nname = "p"', ["1: ingest[p].type"]),
        (
            '[[discovery]]\ntype = "command"\nname = "d"\ncommand = ["x"]\n[discovery.target]\ndest = "/x"',
            ["5: discovery[d].target.source"],
        ),
    ],
)
def test_keys_that_do_not_fit_together_are_told(text: str, told: list[str], tmp_path: Path) -> None:
    assert [": ".join(problem.split(": ")[:2]) for problem in mistakes(text, tmp_path)] == told


def test_targets_may_share_a_source_when_they_land_apart(tmp_path: Path) -> None:
    text = two_targets('source = "ssh://x/y"\ndest = "/d"', 'source = "ssh://x/y"\ndest = "/e"')
    assert [target.name for target in loaded(text, tmp_path).targets] == ["a", "b"]


def test_a_table_that_is_wrong_elsewhere_does_not_make_its_name_unknown(tmp_path: Path) -> None:
    text = TARGET.replace("ssh://box/outputs", "nothing") + '[[ingest]]\ntype = "sqlite"\nname = "c"\ntargets = ["studio"]'
    assert len(mistakes(text, tmp_path)) == 1


@pytest.mark.parametrize(
    "line",
    [
        r'identity_file = "no\u001b[31m\nkey"',
        r'layout = "{\u001bm}/{path}"',
        r'type = "\u202e"',
        r'"\u001b[2J" = 1',
    ],
)
def test_no_mistake_commands_a_terminal_or_looks_like_two(line: str, tmp_path: Path) -> None:
    (told,) = mistakes(f"{TARGET}{line}\n", tmp_path)
    assert told.isprintable()


@pytest.mark.timeout(20)  # it took a minute, each key being compared with all others
def test_a_file_of_nothing_but_unknown_keys_is_told_soon(tmp_path: Path) -> None:
    assert len(mistakes("[daemon]\n" + "".join(f"key{number} = 1\n" for number in range(30_000)), tmp_path)) == 30_000


SECRET = "hunter2"


@pytest.mark.parametrize(
    "line",
    [
        f"source = 'ssh://root:{SECRET}@box/x'",
        f"source = 'ssh://root:{SECRET}@[box/x'",
        f"source = 'http://root:{SECRET}@box/x'",
        f"source = 'root:{SECRET}@box/x'",
    ],
)
def test_credentials_in_a_source_are_refused_and_not_repeated(line: str, tmp_path: Path) -> None:
    text = TARGET.replace('source = "ssh://box/outputs"', line)
    told = mistakes(text, tmp_path)
    assert len(told) == 1 and SECRET not in told[0]


@pytest.mark.parametrize(
    "text",
    [
        f"[state]\nurl = 'postgres:{SECRET}@db'",
        f"[[ingest]]\ntype = 'postgres'\nname = 'p'\ndsn = 'mysql://u:{SECRET}@h/d'",
        f"[[ingest]]\ntype = 'webhook'\nname = 'p'\nurl = 'ftp://h/?token={SECRET}'",
        f"[[ingest]]\ntype = 'webhook'\nname = 'p'\nformat = 'ntfy'\nurl = 'https://[{SECRET}/?token={SECRET}'",
        f"[[discovery]]\ntype = 'vastai'\nname = 'p'\napi_key = '{SECRET}'\napi_key_file = 3",
        f"[state]\nurl = 'postgresql://u:{SECRET}@db'\nurl = 'x'",
        f"[state]\nurl = 'postgresql://u:{SECRET}@db",
    ],
)
def test_no_mistake_repeats_a_secret(text: str, tmp_path: Path) -> None:
    assert SECRET not in "\n".join(mistakes(text, tmp_path))


@pytest.mark.parametrize(
    ("lines", "key", "told"),
    [
        ("format = 'ntfi'", "format", "did you mean 'ntfy'?"),
        ("events = ['target_los']", "events", "did you mean 'target_lost'?"),
        ("events = 'target_lost'", "events", 'a list of texts is needed, such as ["file_synced"]'),
        ("format = 'ntfy'", "url", "ntfy needs a topic in its address"),
    ],
)
def test_a_webhook_says_what_is_wrong(lines: str, key: str, told: str, tmp_path: Path) -> None:
    text = f"{TARGET}\n[[ingest]]\ntype = 'webhook'\nname = 'p'\nurl = 'https://ntfy.sh/'\n{lines}"
    [mistake] = mistakes(text, tmp_path)
    assert f"{key}: {told}" in mistake


VALUES = st.one_of(
    st.sampled_from(["true", "-1", "0", "3.5", "[]", "{}", "[1]", "{ x = 1 }", "1979-05-27", "nan", '""', "[[]]"]),
    st.text(alphabet="/:.@%sMB08,-~$ \u00e9", max_size=12).map(lambda text: f"'{text}'"),
)
KEYS = [
    "state_dir",
    "socket_mode",
    "metrics",
    "url",
    "bandwidth",
    "workers",
    "name",
    "source",
    "dest",
    "layout",
    "folders",
    "exclude",
]
KEYS += ["schedule", "poll", "cleanup", "media", "cleanup.age", "type", "host_key", "identity_file", "targets", "command", "target"]
HEADERS = ["[daemon]", "[state]", "[transfer]", "[media]", "[[target]]", "[[ingest]]", "[[discovery]]", "[discovery]", "[x.y]"]


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(HEADERS), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)), max_size=4))
def test_whatever_the_file_says_it_loads_or_every_problem_has_a_line(
    tmp_path_factory: pytest.TempPathFactory, tables: list[tuple[str, dict[str, str]]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = "".join(f"{header}\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) for header, keys in tables)
    try:
        loaded(text, folder)
    except ConfigError as e:
        assert e.problems
        for problem in e.problems:
            line = problem.removeprefix(f"{folder / 'forged.toml'}:").split(":")[0]
            assert 1 <= int(line) <= max(1, text.count("\n") + 1)


def test_a_folder_that_is_no_utf8_is_told_escaped(tmp_path: Path) -> None:
    """A Latin-1 home: everything that is said of it goes to JSON and to terminals."""
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    path = folder / "forged.toml"
    path.write_text(TARGET + 'identity_file = "~/key"\n')
    with pytest.raises(ConfigError) as caught:
        load(path, {"HOME": str(folder)}, is_root=False)
    shown = f"{tmp_path}/caf\\xe9"
    what = f"target[studio].identity_file: there is no file at {shown}/key, or this user may not read it"
    assert caught.value.problems == (f"{shown}/forged.toml:5: {what}",)
