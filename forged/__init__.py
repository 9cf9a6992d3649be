"""forged brings AI-generated media home from the machines that make it, and frees the rented disk safely.

`from forged import SyncConfig, SyncEngine, SSHRsyncAdapter`: the Python API (forged/api) is loaded when a name of it is asked for.
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULES = {
    "forged.api.models": (
        *("SyncConfig", "SyncResult", "SyncJob", "SyncProgress"),
        *("FileManifest", "FileList", "CleanupConfig", "CleanupResult"),
    ),
    "forged.api.orchestrator": ("SyncOrchestrator",),
    "forged.api.engine": ("SyncEngine",),
    "forged.api.transports": ("SSHRsyncAdapter", "SFTPAdapter", "DockerAdapter", "LocalAdapter"),
    "forged.api.manifests": ("ManifestManager",),
    "forged.api.progress": ("ProgressManager",),
    "forged.api.cleanups": ("CleanupEngine",),
    "forged.api.telling": ("MediaEventManager",),
    "forged.api.syncing": ("ProgressCallback",),
    "forged.model.errors": ("ForgedError", "ConfigError", "StateDirectoryBusy"),
    "forged.daemon.adhoc": ("AlreadyRunning",),
    "forged.daemon.methods_sync": ("UnknownJob",),
    "forged.ingest.interface": ("MediaIngestInterface", "MediaEvent", "MediaEventData"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """PEP 562."""
    if name not in _PLACES:
        raise AttributeError(f"module 'forged' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
