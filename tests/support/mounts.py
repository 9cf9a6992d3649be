"""Mounts that only a test's own processes see."""

from __future__ import annotations

import subprocess

import pytest


def skip_without_own_mounts() -> None:
    """In a chroot the root is no mount, and nothing can be made private."""
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "true"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("here nobody can have mounts of his own: a chroot, or a container without CAP_SYS_ADMIN")
