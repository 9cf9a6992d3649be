"""From the text of a file to policies, or to every mistake at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from forged.config.load import MAX_FILE_BYTES, load
from forged.config.secrets import reveal
from forged.model.errors import ConfigError
from forged.model.events import EventKind
from forged.model.settings import (
    CommandDiscovery,
    CommandIngest,
    Config,
    DaemonSettings,
    ListenAddress,
    LogLevel,
    PostgresIngest,
    PythonIngest,
    Secret,
    SqliteIngest,
    TransferSettings,
    VastaiDiscovery,
    WebhookFormat,
    WebhookIngest,
)
from forged.model.target import (
    CleanupPolicy,
    DuplicatesMode,
    HomePolicy,
    MediaPolicy,
    NamesMode,
    Selection,
    SettlePolicy,
    SourceAddress,
    SourceKind,
    SshOptions,
    Target,
    TargetName,
    TargetType,
    Timing,
    TransferPolicy,
)
from forged.rules.bandwidth import rate_at
from tests.config.loading import ENV, TARGET, loaded, mistakes


def test_an_empty_file_gives_the_defaults_of_the_policies_themselves(tmp_path: Path) -> None:
    config = loaded("", tmp_path)
    assert config.daemon == DaemonSettings(Path("/home/user/.local/state/forged"), Path("/run/user/1000/forged/forged.sock"))
    assert config.state.sqlite == Path("/home/user/.local/state/forged/forged.db")
    assert config.state.postgres is None
    assert config == Config(config.path, config.daemon, config.state, TransferSettings(), MediaPolicy())
    assert config.path == tmp_path / "forged.toml"


def test_a_short_target_gets_the_defaults_of_the_policies_themselves(tmp_path: Path) -> None:
    (target,) = loaded(TARGET, tmp_path).targets
    assert target == Target(
        name=TargetName("studio"),
        type=TargetType.GENERIC,
        source=SourceAddress(SourceKind.SSH, "/outputs", "box"),
        home=HomePolicy(Path("/srv/media")),
        selection=Selection(exclude=target.selection.exclude),
    )
    assert "*.tmp" in target.selection.exclude


def test_an_empty_cleanup_table_means_the_default_policy(tmp_path: Path) -> None:
    (target,) = loaded(TARGET + "[target.cleanup]", tmp_path).targets
    assert target.cleanup == CleanupPolicy()


def test_every_key_of_a_target_arrives_in_its_policy(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    (tmp_path / "phrase").write_text("x")
    text = """
    [[target]]
    name = "studio"
    type = "fooocus"
    source = "sftp://ann@[fd00::1]:2222/my%20files"
    dest = "$BASE/fooocus"
    layout = "{target}/{date:%Y-%m}/{name}"
    names = "exact"
    folders = ["2026/", "log"]
    include = ["*.png"]
    exclude = ["bad*"]
    mutable = ["*.csv"]
    min_age = "1m"
    max_size = "2GiB"
    schedule = "*/30 4 * * 0"
    watch = "off"
    settle = "3s"
    settle_max = "1h"
    parallel_transfers = 8
    bandwidth = "5MB/s"
    retry_attempts = 0
    retry_delay = "500ms"
    verify = false
    require_mount = true
    redownload_deleted = true
    identity_file = "key"
    passphrase_file = "~/phrase"
    host_key = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
    file_mode = "0640"
    dir_mode = "750"
    group = "media"
    media = { xmp = false, duplicates = "report" }
      [target.cleanup]
      age = "7d"
      preserve = []
      max_files_per_batch = 5
      every = "1h"
      dry_run = true
      rehash = true
      remove_empty_dirs = true
      unguarded = true
    [media]
    phash = true
    workers = 2
    """
    (target,) = loaded(text, tmp_path, ENV | {"BASE": "/srv", "HOME": str(tmp_path)}).targets
    assert target == Target(
        name=TargetName("studio"),
        type=TargetType.FOOOCUS,
        source=SourceAddress(SourceKind.SFTP, "/my files", "fd00::1", "ann", 2222),
        home=HomePolicy(Path("/srv/fooocus"), "{target}/{date:%Y-%m}/{name}", NamesMode.EXACT, 0o640, 0o750, "media", True, True),
        ssh=SshOptions(tmp_path / "key", tmp_path / "phrase", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"),
        selection=Selection(
            ("2026", "log"), ("*.png",), target.selection.exclude, ("*.csv",), min_age_s=60.0, max_size_bytes=2 * 2**30
        ),
        settle=SettlePolicy(3.0, 3600.0),
        transfer=TransferPolicy(8, target.transfer.bandwidth, 0, 0.5, False),
        timing=Timing(30.0, "0,30 4 * * sun", False),
        media=MediaPolicy(True, False, False, True, DuplicatesMode.REPORT, 2),
        cleanup=CleanupPolicy(604_800.0, (), 5, 3600.0, True, True, True, True),
    )
    assert target.selection.exclude[0] == "*.tmp" and target.selection.exclude[-1] == "bad*"
    assert rate_at(target.transfer.bandwidth, 3, 0) == 5_000_000


def test_the_other_tables_arrive_in_their_settings(tmp_path: Path) -> None:
    text = """
    [daemon]
    state_dir = "state"
    socket = "/run/x.sock"
    socket_mode = "0600"
    socket_group = "media"
    metrics = "[::1]:0"
    log_level = "debug"
    log_format = "json"
    [state]
    url = "postgresql://forged:hunter2@db/forged"
    [transfer]
    in_flight = "8MiB"
    min_free = "0B"
    """
    config = loaded(text, tmp_path, ENV | {"LOG_BASE": "/var/log/studio"})
    assert config.daemon.state_dir == tmp_path / "state"
    assert config.daemon.socket == Path("/run/x.sock")
    assert (config.daemon.socket_mode, config.daemon.socket_group) == (0o600, "media")
    assert config.daemon.metrics == ListenAddress("::1", 0)
    assert config.daemon.log_level is LogLevel.DEBUG
    assert config.daemon.log_dir == Path("/var/log/studio/sync")
    assert config.state.postgres is not None and reveal(config.state.postgres) == "postgresql://forged:hunter2@db/forged"
    assert (config.transfer.in_flight_bytes, config.transfer.min_free_bytes) == (8 * 2**20, 0)
    assert "hunter2" not in repr(config)


def test_an_empty_metrics_address_turns_the_page_off(tmp_path: Path) -> None:
    assert loaded('[daemon]\nmetrics = ""', tmp_path).daemon.metrics is None


def test_each_type_of_ingest_has_its_own_keys(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    text = (
        TARGET
        + """
    [[ingest]]
    type = "sqlite"
    name = "catalog"
    [[ingest]]
    type = "postgres"
    name = "archive"
    dsn_file = "secret"
    required = true
    [[ingest]]
    type = "webhook"
    name = "hook"
    url = "https://example.org/x?token=hunter2"
    secret_file = "secret"
    timeout = "3s"
    targets = ["studio"]
    format = "ntfy"
    events = ["target_lost", "sync_failed"]
    [[ingest]]
    type = "command"
    name = "program"
    command = ["/bin/cat", "-u"]
    [[ingest]]
    type = "python"
    name = "own"
    handler = "studio.events:Handler"
    """
    )
    config = loaded(text, tmp_path)
    secret = Secret(file=tmp_path / "secret")
    assert [ingest.handler for ingest in config.ingests] == [
        SqliteIngest(Path("/home/user/.local/state/forged/catalog.db")),
        PostgresIngest(secret),
        WebhookIngest(Secret("https://example.org/x?token=hunter2"), secret, 3.0, WebhookFormat.NTFY),
        CommandIngest(("/bin/cat", "-u"), 60.0),
        PythonIngest("studio.events:Handler"),
    ]
    assert [ingest.required for ingest in config.ingests] == [False, True, False, False, False]
    assert config.ingests[2].targets == ("studio",)
    assert [ingest.events for ingest in config.ingests] == [(), (), (EventKind.TARGET_LOST, EventKind.SYNC_FAILED), (), ()]
    assert reveal(secret) == "s3cret"
    assert "hunter2" not in repr(config)


def test_a_discovery_carries_the_target_to_make_of_each_box(tmp_path: Path) -> None:
    (tmp_path / "vast").write_text("key")
    text = """
    [[discovery]]
    type = "vastai"
    name = "rented"
    api_key_file = "$CREDENTIALS_DIRECTORY/vast"
    label = "forge"
    every = "2m"
      [discovery.target]
      type = "comfyui"
      dest = "/srv/media"
      settle = "5s"
        [discovery.target.cleanup]
        age = "1h"
    [[discovery]]
    type = "command"
    name = "own"
    command = ["boxes"]
    target = { source = "/data/out", dest = "/srv/media" }
    """
    vast, own = loaded(text, tmp_path, ENV | {"CREDENTIALS_DIRECTORY": str(tmp_path)}).discoveries
    assert vast.finder == VastaiDiscovery(Secret(file=tmp_path / "vast"), "forge")
    assert vast.every_s == 120.0
    assert vast.template.source == SourceAddress(SourceKind.SSH, "/workspace/ComfyUI/output")
    assert vast.template.settle.settle_s == 5.0
    assert vast.template.cleanup == CleanupPolicy(age_s=3600.0)
    assert own.finder == CommandDiscovery(("boxes",))
    assert own.template.source.path == "/data/out"


@pytest.mark.parametrize(
    ("env", "is_root", "state_dir", "socket"),
    [
        ({"STATE_DIRECTORY": "/a:/b", "RUNTIME_DIRECTORY": "/r:/s", "HOME": "/h"}, True, "/a", "/r/forged.sock"),
        ({"HOME": "/root", "XDG_STATE_HOME": "/x", "XDG_RUNTIME_DIR": "/y"}, True, "/var/lib/forged", "/run/forged/forged.sock"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/x", "XDG_RUNTIME_DIR": "/y"}, False, "/x/forged", "/y/forged/forged.sock"),
        (
            {"HOME": "/h", "XDG_STATE_HOME": "rel", "XDG_RUNTIME_DIR": "/y"},
            False,
            "/h/.local/state/forged",
            "/y/forged/forged.sock",
        ),
        ({"HOME": "/h"}, False, "/h/.local/state/forged", "/run/forged/forged.sock"),  # cron knows no more
    ],
)
def test_places_of_the_daemon_follow_systemd_then_root_then_xdg(
    env: dict[str, str], is_root: bool, state_dir: str, socket: str, tmp_path: Path
) -> None:
    daemon = loaded("", tmp_path, env, is_root=is_root).daemon
    assert (str(daemon.state_dir), str(daemon.socket)) == (state_dir, socket)


def test_where_no_place_is_known_for_the_memory_its_key_is_asked_for(tmp_path: Path) -> None:
    assert mistakes("", tmp_path, {}) == [
        "1: daemon.state_dir: neither $STATE_DIRECTORY nor $XDG_STATE_HOME nor $HOME is set: write a folder here"
    ]


def test_media_base_is_the_default_home(tmp_path: Path) -> None:
    text = TARGET.replace('dest = "/srv/media"\n', "")
    assert loaded(text, tmp_path, ENV | {"MEDIA_BASE": "/mnt/nas"}).targets[0].home.dest == Path("/mnt/nas")
    assert mistakes(text, tmp_path) == [
        "1: target[studio].dest: it is missing, and $MEDIA_BASE is not set: write the folder at home"
    ]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"[daemon\n", "{path}:1: column 8: this is not TOML: expected ']' at the end of a table declaration"),
        (b"a = 1\nb = \n", "{path}:2: column 5: this is not TOML: invalid value"),
        (b"a = 1\n\n# \xff\n", "{path}:3: this is not UTF-8: save the file in that encoding"),
        (b"a = " + b"[" * 5_000, None),
        (b"a = " + b"9" * 5_000, "{path}: a number in it has thousands of digits: is this the configuration?"),
        (b" " * (MAX_FILE_BYTES + 1), "{path}: it is larger than 4000000 bytes: is this the configuration?"),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_its_line(raw: bytes, problem: str | None, tmp_path: Path) -> None:
    path = tmp_path / "forged.toml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        load(path, ENV, is_root=False)
    assert len(caught.value.problems) == 1
    if problem:
        assert caught.value.problems[0] == problem.format(path=path)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it cannot be read: Is a directory"):
        load(tmp_path, ENV, is_root=False)
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "nothing", ENV, is_root=False)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "forged.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TARGET.replace("\n", "\r\n").encode())
    assert load(path, ENV, is_root=False).targets[0].name == "studio"


def test_everything_loaded_is_frozen_and_hashable(tmp_path: Path) -> None:
    config = loaded(TARGET + "[target.cleanup]", tmp_path)
    assert isinstance(hash(config), int)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.targets = ()  # type: ignore[misc]
