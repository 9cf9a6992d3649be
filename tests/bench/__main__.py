"""`python -m tests.bench`: forged against rsync and others, told run by run, then as a table. Needs root, for the links."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from tests.bench import contestants, plot, report, results, sets
from tests.bench.course import MEMORY, Course, Place, course, folder
from tests.bench.net import Buffers, link, why_not
from tests.bench.plan import LINKS, PARALLEL, Heat, asked, programme
from tests.bench.race import race
from tests.bench.reaper import adopt_orphans

OneOf = TypeVar("OneOf", bound=Enum)


def main(argv: Sequence[str]) -> int:
    options = parser().parse_args(argv)
    if options.report:
        return tell(*results.read(options.report), options)
    if problem := why_not():
        print(problem, file=sys.stderr)
        return 2
    fit_environment()
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended in either way, nothing of ours stays behind
    head = report.about()
    if options.json:
        results.begin(options.json, head)
    runs: list[results.Run] = []
    try:
        run(heats(options), options, runs.append)
    except KeyboardInterrupt:
        print("Stopped. What has been run is told.", file=sys.stderr)
    return tell(head, runs, options)


def parser() -> argparse.ArgumentParser:
    it = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)

    def several(name: str, default: str, told: str) -> None:
        it.add_argument(name, type=words, default=words(default), metavar="A,B", help=told)

    several("--sets", "", f"of {', '.join(each.name for each in sets.SETS)}; with none: the whole programme")
    several("--links", "loopback", f"of {', '.join(LINKS)}")
    several("--buffers", "stock", "TCP buffers: stock, large (64 MiB)")
    several("--places", "memory", "where copies go: memory, disk ($FORGED_BENCH_DIR or /var/tmp)")
    several(
        "--peers", "rsync", "beside forged: once, forged-N (connections), sftp (forged over it), rsync, rsync-list, rclone, lftp"
    )
    it.add_argument("--rounds", type=int, default=3, metavar="N")
    it.add_argument("--parallel", type=int, metavar="N", help=f"parallel_transfers; else {PARALLEL}")
    it.add_argument("--patience", type=float, default=200.0, metavar="S", help="a run that takes longer is ended, and not repeated")
    it.add_argument("--json", type=Path, metavar="FILE", help="add each run to this file, a line of JSON each, as it comes")
    it.add_argument("--svg", type=Path, metavar="FILE", help="draw the times")
    it.add_argument("--report", type=Path, metavar="FILE", help="run nothing, tell what such a file of --json holds")
    return it


def words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def heats(options: argparse.Namespace) -> list[Heat]:
    if not options.sets:
        return programme(options.rounds)
    buffers, places = chosen(Buffers, options.buffers), chosen(Place, options.places)
    who = ["forged", *options.peers]
    return asked(options.sets, options.links, buffers, places, who, options.rounds)


def chosen(kind: type[OneOf], names: Iterable[str]) -> list[OneOf]:
    return [kind[name.upper()] for name in names]


def fit_environment() -> None:
    """What is started is this checkout's forged, with its bytecode kept as an installed one's is; nobody's ssh-agent helps."""
    os.environ["PYTHONPATH"] = str(report.CHECKOUT)
    for name in ("PYTHONDONTWRITEBYTECODE", "SSH_AUTH_SOCK"):
        os.environ.pop(name, None)


def run(planned: Sequence[Heat], options: argparse.Namespace, keep: Callable[[results.Run], None]) -> None:
    """Runs all, ground by ground. Files are made once and kept for the next race of theirs, as long as there is one."""

    def told(one: results.Run) -> None:
        print(report.brief(one), flush=True)
        keep(one)
        if options.json:
            results.append(options.json, one)

    with folder(MEMORY) as store:
        made: dict[str, sets.Files] = {}
        for ground, of in groupby(planned, key=lambda heat: heat.ground):
            with ExitStack() as stack:
                ends = stack.enter_context(link(LINKS[ground.link], ground.buffers))
                where = stack.enter_context(course(ends, ground.place))
                for heat in of:
                    kind = sets.named(heat.data).files
                    files = made.get(kind) or made.setdefault(kind, sets.Files.make(kind, store / kind))
                    run_heat(where, heat, files, options, told)


def run_heat(
    where: Course, heat: Heat, files: sets.Files, options: argparse.Namespace, told: Callable[[results.Run], None]
) -> None:
    """Round by round, each time somebody else begins. Who has come to no good end is out."""
    ground, data = heat.ground, sets.named(heat.data)
    cell = results.Cell(data.name, ground.link, ground.buffers.name, ground.place.value)
    parallel, far_away = options.parallel or PARALLEL[ground.link], LINKS[ground.link] is not None
    who = [contestants.named(name, parallel, far_away) for name in heat.contestants]
    for _ in range(heat.rounds):
        for contestant in list(who):
            one = race(where, data, files, contestant, cell, options.patience)
            told(one)
            if one.why:
                who.remove(contestant)
        who = who[1:] + who[:1]


def tell(head: str, runs: Sequence[results.Run], options: argparse.Namespace) -> int:
    print("\n" + report.markdown(head, runs))
    if options.svg:
        options.svg.write_text(plot.svg(results.races(runs)))
    return 1 if any(one.why for one in runs if one.contestant == "forged") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
