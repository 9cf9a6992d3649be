from forged.api.cleanups import CleanupEngine as CleanupEngine
from forged.api.engine import SyncEngine as SyncEngine
from forged.api.manifests import ManifestManager as ManifestManager
from forged.api.models import CleanupConfig as CleanupConfig
from forged.api.models import CleanupResult as CleanupResult
from forged.api.models import FileList as FileList
from forged.api.models import FileManifest as FileManifest
from forged.api.models import SyncConfig as SyncConfig
from forged.api.models import SyncJob as SyncJob
from forged.api.models import SyncProgress as SyncProgress
from forged.api.models import SyncResult as SyncResult
from forged.api.orchestrator import SyncOrchestrator as SyncOrchestrator
from forged.api.progress import ProgressManager as ProgressManager
from forged.api.telling import MediaEventManager as MediaEventManager
from forged.api.transports import DockerAdapter as DockerAdapter
from forged.api.transports import LocalAdapter as LocalAdapter
from forged.api.transports import SFTPAdapter as SFTPAdapter
from forged.api.transports import SSHRsyncAdapter as SSHRsyncAdapter
from forged.ingest.interface import MediaEvent as MediaEvent
from forged.ingest.interface import MediaEventData as MediaEventData
from forged.ingest.interface import MediaIngestInterface as MediaIngestInterface

__version__: str
