"""The proof of promise 1: what was fetched becomes a Receipt only if both ends agree on every byte."""

from __future__ import annotations

from forged.model.files import Problem, ProblemKind
from forged.model.transfer import Fetched, Receipt, Wholeness


def receipt(fetched: Fetched, *, unfinished_is_fine: bool) -> Receipt | Problem:
    """The proof that the bytes arrived, or why there is none. Never raises."""
    entry, staged = fetched.request.entry, fetched.staged
    if not (fetched.before.same_file(entry.stat) and fetched.after.same_file(entry.stat)):
        return Problem(entry.path, ProblemKind.CHANGED, "it changed while it was read; the next round takes it")
    if staged.size_bytes != entry.stat.size_bytes:
        message = f"{staged.size_bytes} of {entry.stat.size_bytes} bytes arrived; the next round takes it"
        return Problem(entry.path, ProblemKind.CHANGED, message)
    if fetched.source_sha256 is not None and fetched.source_sha256 != staged.sha256:
        return Problem(entry.path, ProblemKind.MISMATCH, "the source and forged hashed different bytes; it is fetched again")
    broken = staged.wholeness is Wholeness.BROKEN
    if broken and not unfinished_is_fine:
        return Problem(entry.path, ProblemKind.BROKEN, "unfinished: its format says that the end is missing; looked at again later")
    return Receipt(entry, staged, incomplete=broken)
