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
INSERT INTO "alembic_version" VALUES('0009');
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
CREATE TABLE likeness (
	media INTEGER NOT NULL, 
	quarter BIGINT NOT NULL, 
	PRIMARY KEY (media, quarter), 
	FOREIGN KEY(media) REFERENCES media (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "likeness" VALUES(1,14368);
INSERT INTO "likeness" VALUES(1,90745);
INSERT INTO "likeness" VALUES(1,160869);
INSERT INTO "likeness" VALUES(1,226094);
CREATE TABLE limits (
	target TEXT NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (target)
);
INSERT INTO "limits" VALUES('forge','5MB/s');
INSERT INTO "limits" VALUES('','08:00,5MB/s 23:00,off');
CREATE TABLE media (
	id INTEGER NOT NULL, 
	manifest TEXT NOT NULL, 
	path BLOB NOT NULL, 
	home BLOB NOT NULL, 
	sha256 BLOB NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	landed_at_ns BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	format TEXT NOT NULL, 
	dhash BLOB, 
	pixels_sha256 BLOB, 
	owes BIGINT NOT NULL, 
	examined_at_ns BIGINT NOT NULL, 
	info BLOB NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "media" VALUES(1,'forge',X'612E706E67',X'612E706E67',X'0303030303030303030303030303030303030303030303030303030303030303',3,51,'image','png',X'382062797465732E',NULL,1,12,X'789C458ECB0A833010457FA5CC5A104ADB85D04D4BD785AE0411999A3109C618928816F1DF3B22B6BBB987B98F195A6D0564A03B94040934BDEF30327056B21CB5880A323B189380222D55DC95183C46DDDB2AECA471FFD363473F25C9D2F6BC138F2364C50CCE604D5B5B1A1F794C1DAECE483E707BA4699D82879A272D650246B71C15387806A130F03478DE6F9AF297A93FA72B7B9C9EC8842A283C9E2F5BDDC2D4F76F431D1B8B72F902F2A7533C');
CREATE TABLE media_queue (
	manifest TEXT NOT NULL, 
	path BLOB NOT NULL, 
	home BLOB NOT NULL, 
	since_ns BIGINT NOT NULL, 
	tries BIGINT NOT NULL, 
	PRIMARY KEY (manifest, path, home)
)
 WITHOUT ROWID

;
INSERT INTO "media_queue" VALUES('forge',X'612E706E67',X'612E706E67',13,1);
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	kind TEXT NOT NULL,
	target TEXT NOT NULL,
	at_ns BIGINT NOT NULL,
	"key" BLOB NOT NULL,
	body BLOB NOT NULL
, handler TEXT);
INSERT INTO "outbox" VALUES(1,'file_synced','forge',5,X'622E706E67',X'7B226E223A20317D',NULL);
INSERT INTO "outbox" VALUES(2,'file_synced','forge',6,X'622E706E67',X'7B226E223A20327D',NULL);
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
CREATE TABLE releases (
	manifest TEXT NOT NULL, 
	since_ns BIGINT NOT NULL, 
	PRIMARY KEY (manifest)
);
INSERT INTO "releases" VALUES('forge',16);
CREATE TABLE replays (
	handler TEXT NOT NULL, 
	manifest TEXT NOT NULL, 
	"after" BLOB, 
	PRIMARY KEY (handler, manifest)
);
INSERT INTO "replays" VALUES('catalog','forge',X'612E706E67');
CREATE TABLE set_aside (
	handler TEXT NOT NULL, 
	id BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	target TEXT NOT NULL, 
	at_ns BIGINT NOT NULL, 
	"key" BLOB NOT NULL, 
	body BLOB NOT NULL, 
	tries BIGINT NOT NULL, 
	error BLOB NOT NULL, 
	since_ns BIGINT NOT NULL, 
	due_ns BIGINT, 
	PRIMARY KEY (handler, id)
);
INSERT INTO "set_aside" VALUES('catalog',1,'file_synced','forge',5,X'612E706E67',X'7B226E223A20317D',10,X'697420726169736564',14,NULL);
CREATE TABLE takers (
	handler TEXT NOT NULL, 
	"of" TEXT NOT NULL, 
	since_ns BIGINT NOT NULL, 
	PRIMARY KEY (handler, "of")
);
INSERT INTO "takers" VALUES('catalog','',15);
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
CREATE UNIQUE INDEX media_by_home ON media (manifest, home, path);
CREATE INDEX media_by_content ON media (sha256, manifest, landed_at_ns, home);
CREATE INDEX media_by_pixels ON media (pixels_sha256);
CREATE INDEX media_owing ON media (manifest, home, path) WHERE owes != 0;
CREATE INDEX likeness_by_quarter ON likeness (quarter, media);
CREATE INDEX outbox_by_key ON outbox ("key");
CREATE INDEX outbox_of_one ON outbox (handler, id) WHERE handler IS NOT NULL;
CREATE INDEX set_aside_by_key ON set_aside (handler, "key", id);
CREATE INDEX set_aside_by_time ON set_aside (handler, due_ns);
CREATE INDEX media_queue_by_time ON media_queue (manifest, since_ns, path, home);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',2);
COMMIT;
