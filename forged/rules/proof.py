"""The proofs of promise 1: what was fetched becomes a Receipt only if both ends agree on every byte."""

from __future__ import annotations

import hashlib

from forged.model.files import Entry, Problem, ProblemKind
from forged.model.transfer import Fetched, Receipt, Wholeness


def staging_name(entry: Entry) -> str:
    """Where the bytes of this entry wait: the same for the same path and content-as-seen, so that a broken transfer is found again.

    128 bits of sha256 over path, size, mtime and inode; another file under the same name gets another staging name.
    """
    stat = entry.stat
    seen = b"\0".join([entry.path, b"%d" % stat.size_bytes, b"%d" % stat.mtime_ns, b"%d" % (stat.inode or 0)])
    return hashlib.sha256(seen).hexdigest()[:32]


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
