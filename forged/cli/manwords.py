"""What the man pages say beside the commands: one line of what a thing is, files, environment, exit statuses, examples."""

from __future__ import annotations

from typing import NamedTuple

Entries = tuple[tuple[str, str], ...]
"""A term and what it means; or what one wants and what to type."""


class Page(NamedTuple):
    """`sections` have a title and definitions each."""

    what: str
    sections: tuple[tuple[str, Entries], ...]
    examples: Entries
    see_also: tuple[str, ...]
    every_command: str = "Every command has `--help`."


CONFIG_FILES: Entries = (
    (
        "./forged.toml, ~/.config/forged/forged.toml, /etc/forged/forged.toml",
        "The configuration; the first that exists, without `-c` and $FORGED_CONFIG. See forged.toml(5).",
    ),
    ("/var/lib/forged, $XDG_STATE_HOME/forged", "The state directory: what was brought home, with sha256. The first as root."),
    (
        "DEST/.forged/",
        "The marker of a destination, and files on their way. Where it is missing, forged waits: the disk may not be there.",
    ),
)

SOCKETS: Entries = (
    ("$XDG_RUNTIME_DIR/forged/forged.sock, /run/forged/forged.sock", "Where a daemon listens: a user's own, and the system's."),
)

PAGES = {
    "forged": Page(
        "bring AI-generated media home from the machines that make it",
        (
            (
                "EXIT STATUS",
                (
                    ("0", "All went well."),
                    ("1", "Something failed; what and what to do stands on standard error, or in the JSON document."),
                    ("2", "Wrong usage, or a configuration that does not validate."),
                    ("130, 143", "Ended in order by Ctrl-C, by SIGTERM. What has landed stays."),
                ),
            ),
            (
                "SIGNALS",
                (
                    ("SIGHUP", "`forged run` reads its configuration again; one that does not validate changes nothing."),
                    ("SIGTERM, SIGINT", "Ends in order; what is half way resumes at the next start. A second one ends at once."),
                ),
            ),
            (
                "ENVIRONMENT",
                (
                    ("FORGED_CONFIG", "The configuration, unless `-c` names one."),
                    ("MEDIA_BASE", "The default of a target's `dest`."),
                    (
                        "LOG_BASE",
                        "Rotating log files go to $LOG_BASE/sync/: forged.log, and once.log of `forged once`.",
                    ),
                    ("SSH_AUTH_SOCK", "The agent whose keys may log in."),
                    ("DOCKER_HOST", "Where the container engine listens, for sources of docker://."),
                    ("NO_COLOR", "Set to anything: no colours. Into a pipe or a file there never are any."),
                ),
            ),
            ("FILES", CONFIG_FILES),
        ),
        (
            ("What is on a box, as a table to paste:", "forged probe ssh://root@203.0.113.7:40022"),
            ("Every mistake of the configuration at once, and whether everything answers:", "forged check --connect"),
            ("What a sync would bring, and the sync:", "forged once --dry-run && forged once"),
        ),
        ("forgectl(1)", "forged.toml(5)", "ssh(1)", "systemctl(1)"),
    ),
    "forgectl": Page(
        "look after a running forged",
        (
            (
                "EXIT STATUS",
                (
                    ("0", "What was asked for was done; of `drain`: safe to destroy."),
                    ("1", "It failed, or the answer is no: of `drain`, not safe; of `verify`, something is missing or differs."),
                    ("2", "Wrong usage; of `reload`, a configuration that does not validate, and nothing changed."),
                    ("3", "No daemon answers, or this user may not ask it."),
                    ("130", "Ended by Ctrl-C. What it asked for goes on in the daemon."),
                ),
            ),
            (
                "JSON",
                (
                    (
                        "--json",
                        "Every command answers with one document on standard output (`watch` and `events --follow`: one a line). "
                        'Keys are only ever added. An error is {"success": false, "error": {"code", "type", "message", "hint"}}; '
                        "code is null where no daemon was reached.",
                    ),
                ),
            ),
            (
                "ENVIRONMENT",
                (
                    ("FORGED_SOCKET", "Where the daemon listens, unless `--socket` says so."),
                    ("NO_COLOR", "Set to anything: no colours. Into a pipe or a file there never are any."),
                ),
            ),
            ("FILES", SOCKETS),
        ),
        (
            ("How everything stands, and what to do where something is wrong:", "forgectl status"),
            ("Before a box is destroyed:", "forgectl drain studio && vastai destroy instance 312"),
            ("The pictures of a prompt, into a viewer:", "forgectl find --paths0 red fox | xargs -0 feh"),
            ("Slow by day:", "forgectl limit --keep 08:00,5MB/s 23:00,off"),
        ),
        ("forged(1)", "forged.toml(5)", "jq(1)"),
        "Every command has `--help`, and `--json`: the daemon's answer as one JSON document.",
    ),
    "forged.toml": Page(
        "configuration of forged",
        (("FILES", CONFIG_FILES),),
        (
            ("Whether it is right:", "forged -c forged.toml check"),
            ("What is in force in the daemon, and where each value comes from:", "forgectl config target.studio"),
        ),
        ("forged(1)", "forgectl(1)"),
    ),
}

TOML_INTRODUCTION = (
    "A file in TOML. `forged check` tells every mistake at once, with its line; `forgectl reload`, SIGHUP or "
    "`systemctl reload forged` make a running daemon read it again, and one with a mistake changes nothing.",
    "A value shown here is the default, or an example where there is none.",
    'Sizes are like "50MB" (kB MB GB TB count in 1000s, KiB MiB GiB TiB in 1024s), rates like "20MB/s" or "off", durations like '
    '"500ms", "30s", "1h30m", "7d". In paths, ~ is $HOME, $NAME an environment variable, and relative ones begin at the file. '
    "Patterns are those of gitignore(5). Keys that end in _file name a file that holds a secret; a systemd credential is "
    "$CREDENTIALS_DIRECTORY/NAME.",
)
