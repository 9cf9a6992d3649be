"""What is logged of the work itself: that files came home, that they were removed at their source, what people asked for.

At `info` one line for a sync that moved something, one for a cleanup that removed something, one for whatever a person does. At
`debug` also one line for each file, and one for each attempt that is made again. What is wrong is not told here but by
`daemon/conditions`, once when it breaks and once when it heals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from forged.control.peers import Peer
from forged.kit.logs import Log
from forged.kit.units import human_duration, human_size
from forged.model.jobs import Job
from forged.model.observer import CleanupEnded, Fact, FilesLanded, FileTrouble, HostKeyPinned, Retried, VerifyFailed
from forged.model.paths import shown


class Diary:
    """Writes it down. An observer."""

    def __init__(self, log: Log, is_curious: Callable[[], bool]) -> None:
        """`is_curious`: whether somebody hears of single files. A first sync lands a hundred thousand, and lines take time."""
        self._log = log
        self._is_curious = is_curious

    def notice(self, fact: Fact) -> None:
        match fact:
            case FilesLanded():
                self._landed(fact)
            case FileTrouble(target=target, problem=problem):
                self._log.debug(
                    "a file did not come home",
                    target=target,
                    path=shown(problem.path),
                    why=problem.kind.value,
                    reason=problem.message,
                    hint="the next look tries it again",
                )
            case VerifyFailed(target=target, path=path):
                said = "both ends hashed different bytes of a file; what came is thrown away"
                self._log.debug(said, target=target, path=shown(path), hint="it is fetched again")
            case Retried(target=target, error=error, attempt=attempt, wait_s=wait_s):
                again = f"attempt {attempt + 1} follows in {human_duration(wait_s)}"
                self._log.debug(error.message, target=target, kind=error.kind, hint=again)
            case HostKeyPinned(target=target, fingerprint=fingerprint):
                self._log.info(
                    "the host key was seen first and is pinned: only this one will do from now on",
                    target=target,
                    fingerprint=fingerprint,
                    hint="compare it with what `ssh-keygen -lf` says at the box",
                )
            case CleanupEnded():
                self._cleaned(fact)
            case _:
                pass

    def _landed(self, fact: FilesLanded) -> None:
        for one in fact.landed if self._is_curious() else ():
            self._log.debug(
                "a file is home",
                target=fact.target,
                path=shown(one.entry.path),
                home=shown(one.home),
                how=one.how.value,
                size_bytes=one.entry.stat.size_bytes,
                latency_s=round(fact.latency_s(one), 3),
                **({"incomplete": True} if one.incomplete else {}),
            )

    def job_ended(self, job: Job) -> None:
        """A sync is over. One that moved nothing is a line for who looks closely; why it failed is a condition."""
        if job.result is None:
            return
        files, size_bytes = job.result.files_transferred, job.result.bytes_transferred
        tell = self._log.info if files else self._log.debug
        tell(
            f"sync {job.status.value}: {files:,} file{'' if files == 1 else 's'} came home, {human_size(size_bytes)}",
            target=job.target,
            job=job.sync_id,
            took=human_duration(job.result.duration_s),
            **({} if job.result.success else {"hint": f"`forgectl job {job.sync_id}` says what is missing"}),
        )

    def _cleaned(self, fact: CleanupEnded) -> None:
        """Who deletes says what and how much: it is what an owner looks for when something is gone."""
        files, freed_bytes = len(fact.removed), sum(row.stat.size_bytes for row in fact.removed)
        would = " would be" if fact.dry_run else ""
        tell = self._log.info if files else self._log.debug
        tell(
            f"cleanup: {files:,} file{'' if files == 1 else 's'}{would} removed at the source, being safe at home",
            target=fact.target,
            freed=human_size(freed_bytes),
            kept={why.value: count for why, count in fact.kept.items()},
            hint=f"`forgectl cleanup {fact.target} --dry-run` says of each file that stays why",
        )
        for row in fact.removed if self._is_curious() else ():
            self._log.debug(f"a file{would} removed at the source", target=fact.target, path=shown(row.path), home=shown(row.home))

    def asked(self, method: str, params: Mapping[str, object], peer: Peer) -> None:
        """Somebody had forged do something. Only plain values are told: a whole configuration may hold secrets."""
        plain = {name: value for name, value in params.items() if isinstance(value, str | int) and name != "event"}
        self._log.info(f"somebody asks for {method}", **{**plain, "uid": peer.uid})
