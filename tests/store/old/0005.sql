BEGIN TRANSACTION;
CREATE TABLE alarms (
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	since_ns BIGINT NOT NULL, 
	PRIMARY KEY (kind, subject)
);
INSERT INTO "alarms" VALUES('lost','vast@7',8);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE boxes (
	discovery TEXT NOT NULL, 
	id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	addresses TEXT NOT NULL, 
	label BLOB, 
	end_ns BIGINT, 
	why BLOB NOT NULL, 
	missed BIGINT NOT NULL, 
	missing_since_ns BIGINT, 
	gone_since_ns BIGINT, 
	left_files BIGINT NOT NULL, 
	left_bytes BIGINT NOT NULL, 
	unseen BOOLEAN NOT NULL, 
	PRIMARY KEY (discovery, id)
);
INSERT INTO "boxes" VALUES('vast','7','running','[["ssh", "1.2.3.4", 40022, "root"]]',X'6D696E65',5,X'',0,NULL,NULL,3,9,0);
CREATE TABLE destinations (
	dest BLOB NOT NULL,
	id TEXT NOT NULL,
	PRIMARY KEY (dest)
);
INSERT INTO "destinations" VALUES(X'2F7372762F6E6173','marker');
CREATE TABLE holds (
	manifest TEXT NOT NULL,
	reason TEXT NOT NULL,
	message BLOB NOT NULL,
	since_ns BIGINT NOT NULL,
	PRIMARY KEY (manifest)
);
INSERT INTO "holds" VALUES('forge','many_gone',X'333030206F6620333130',6);
CREATE TABLE identity (
	id TEXT NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "identity" VALUES('0123456789abcdef');
CREATE TABLE jobs (
	id TEXT NOT NULL,
	target TEXT NOT NULL,
	status TEXT NOT NULL,
	start_ns BIGINT NOT NULL,
	folders TEXT NOT NULL,
	end_ns BIGINT,
	success BOOLEAN,
	files_transferred BIGINT,
	bytes_transferred BIGINT,
	duration_s DOUBLE,
	errors TEXT,
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('job-1','forge','complete',1000000000000000000,'["txt2img-images"]',2000000000000000000,1,2,4,1.5,'[]');
CREATE TABLE limits (
	target TEXT NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (target)
);
INSERT INTO "limits" VALUES('forge','5MB/s');
INSERT INTO "limits" VALUES('','08:00,5MB/s 23:00,off');
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	kind TEXT NOT NULL,
	target TEXT NOT NULL,
	at_ns BIGINT NOT NULL,
	"key" BLOB NOT NULL,
	body BLOB NOT NULL
);
INSERT INTO "outbox" VALUES(1,'file_synced','forge',5,X'622E706E67',X'7B226E223A20317D');
INSERT INTO "outbox" VALUES(2,'file_synced','forge',6,X'622E706E67',X'7B226E223A20327D');
CREATE TABLE pauses (
	manifest TEXT NOT NULL,
	since_ns BIGINT NOT NULL,
	PRIMARY KEY (manifest)
);
INSERT INTO "pauses" VALUES('forge',5);
CREATE TABLE pins (
	manifest TEXT NOT NULL,
	"key" TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	pinned_at_ns BIGINT NOT NULL,
	PRIMARY KEY (manifest)
);
INSERT INTO "pins" VALUES('forge','ssh-ed25519 AAAA','SHA256:abc',7);
CREATE TABLE positions (
	handler TEXT NOT NULL,
	upto BIGINT NOT NULL,
	PRIMARY KEY (handler)
);
INSERT INTO "positions" VALUES('catalog',1);
CREATE TABLE troubles (
	manifest TEXT NOT NULL, 
	since_ns BIGINT NOT NULL, 
	PRIMARY KEY (manifest)
);
INSERT INTO "troubles" VALUES('forge',9);
CREATE TABLE versions (
	manifest TEXT NOT NULL,
	path BLOB NOT NULL,
	superseded BIGINT NOT NULL,
	size_bytes BIGINT NOT NULL,
	mtime_ns BIGINT NOT NULL,
	inode BIGINT,
	ctime_ns BIGINT,
	exact_stat TEXT,
	sha256 BLOB NOT NULL,
	home BLOB NOT NULL,
	landed_at_ns BIGINT NOT NULL,
	incomplete BOOLEAN NOT NULL,
	at_source TEXT NOT NULL,
	tombstone_at_ns BIGINT, seal BLOB,
	PRIMARY KEY (manifest, path, superseded),
	CONSTRAINT sha256_is_32_bytes CHECK (length(sha256) = 32)
)
 WITHOUT ROWID

;
INSERT INTO "versions" VALUES('forge',X'612E706E67',0,3,1000000000000000000,9223372036854775807,NULL,'3 1000000000000000000 18446744073709551615 None',X'0303030303030303030303030303030303030303030303030303030303030303',X'612E706E67',51,0,'removed',NULL,X'AE863FB8C034F466');
INSERT INTO "versions" VALUES('forge',X'620AFF2E706E67',0,1,1000000000000000000,1,1000000000000000000,NULL,X'0202020202020202020202020202020202020202020202020202020202020202',X'622530412546462E706E67',50,1,'present',77,X'CFA22515F0A99D7B');
INSERT INTO "versions" VALUES('forge',X'620AFF2E706E67',1,1,1000000000000000000,1,1000000000000000000,NULL,X'0101010101010101010101010101010101010101010101010101010101010101',X'622530412546462E706E67',50,0,'present',NULL,X'1E1F9054343322AC');
CREATE INDEX jobs_by_start ON jobs (start_ns, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',2);
COMMIT;
