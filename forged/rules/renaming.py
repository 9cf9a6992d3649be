"""Two names of one path: as a target knows its files, and as the source does whose root is another folder."""

from __future__ import annotations

from dataclasses import dataclass

from forged.model.paths import SourcePath
from forged.rules.places import Mount, is_below, own_path


@dataclass(frozen=True, slots=True)
class Renaming:
    """Between names (below the target's root, or below a mount) and paths below `base`, the root of the source that is asked.

    `linked` are the mounts that are not where their name says, the longest names first: one may lie below another's name.
    """

    base: bytes
    root: bytes
    linked: tuple[Mount, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether both names of every path are equal."""
        return not self.linked and self.base == self.root

    def path(self, name: bytes) -> SourcePath:
        """Where a name's file is. Empty for the root itself, if that is the base."""
        for mount in self.linked:
            if name == mount.folder or name.startswith(mount.folder + b"/"):
                return self._below(mount.real + name[len(mount.folder) :])
        return self._below(own_path(self.root, name) if name else self.root)

    def name(self, path: bytes) -> bytes | None:
        """The name of what is at a path; None for what is in no mount and not below the root."""
        real = own_path(self.base, path) if path else self.base
        for mount in self.linked:
            if real == mount.real or is_below(real, mount.real):
                return mount.folder + real[len(mount.real) :]
        if real == self.root:
            return b""
        return real[len(self.root.rstrip(b"/")) + 1 :] if is_below(real, self.root) else None

    def _below(self, real: bytes) -> SourcePath:
        return SourcePath(real[len(self.base.rstrip(b"/")) :].removeprefix(b"/"))


def renaming(root: bytes, mounts: tuple[Mount, ...]) -> Renaming:
    """Below the root where all is there, else below the top of the disk."""
    apart = [mount for mount in mounts if mount.real != own_path(root, mount.folder)]
    linked = tuple(sorted(apart, key=lambda mount: len(mount.folder), reverse=True))
    inside = all(is_below(mount.real, root) for mount in linked)
    return Renaming(root if inside else b"/", root, linked)
