"""Floor 7: forged from Python, with the names of the seed document; a thin layer over the same machinery.

`from forged import SyncConfig` loads from here what is asked for. What it promises at the command line it promises here: nothing is
overwritten, everything is verified, and a file is removed at its source only with proof.

    models                                   the nouns
    engine, orchestrator, cleanups           SyncEngine, SyncOrchestrator, CleanupEngine; `syncing` carries one sync out
    manifests, progress, telling             ManifestManager, ProgressManager, MediaEventManager; `hearing` is one handler of it
    transports                               SSHRsyncAdapter, SFTPAdapter, DockerAdapter, LocalAdapter
    state                                    the memory that all of them share

What must not be here: a second way to do any of it.
"""
