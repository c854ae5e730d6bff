PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE keyward_schema (name TEXT PRIMARY KEY, applied BIGINT NOT NULL);
INSERT INTO keyward_schema VALUES('001_init',1795632923225);
INSERT INTO keyward_schema VALUES('002_scan',1795632923225);
INSERT INTO keyward_schema VALUES('003_ledger',1795632923226);
INSERT INTO keyward_schema VALUES('004_watch',1795632923228);
CREATE TABLE installation (
	id BIGINT PRIMARY KEY,
	account TEXT NOT NULL,
	account_id BIGINT NOT NULL,
	suspended BOOLEAN NOT NULL DEFAULT FALSE,
	gone BOOLEAN NOT NULL DEFAULT FALSE,
	next_write BIGINT NOT NULL DEFAULT 0,
	teller TEXT NOT NULL DEFAULT '',
	teller_until BIGINT NOT NULL DEFAULT 0,
	triaged BIGINT NOT NULL DEFAULT 0,
	created BIGINT NOT NULL
, ledger_seq BIGINT NOT NULL DEFAULT 0, ledger_mac TEXT NOT NULL DEFAULT '', next_content BIGINT NOT NULL DEFAULT 0);
INSERT INTO installation VALUES(1003,'acme',1002,0,0,1795632934497,'',0,0,1795632923494,3,'d12ea8030fdd24ee4d6e6e65a58660c8b5a2665e6c8727a90a5a27cde1e8b7e3',1795632964316);
CREATE TABLE repository (
	id BIGINT PRIMARY KEY,
	installation BIGINT NOT NULL,
	owner TEXT NOT NULL,
	name TEXT NOT NULL,
	public BOOLEAN NOT NULL,
	archived BOOLEAN NOT NULL DEFAULT FALSE,
	default_branch TEXT NOT NULL DEFAULT '',
	backfill TEXT NOT NULL DEFAULT '',
	backfill_note TEXT NOT NULL DEFAULT '',
	updated BIGINT NOT NULL
);
INSERT INTO repository VALUES(1006,1003,'acme','widgets',0,0,'main','','',1795632923496);
INSERT INTO repository VALUES(1007,1003,'acme','rotation',0,0,'main','','',1795632924334);
CREATE TABLE credential (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	rule TEXT NOT NULL,
	severity TEXT NOT NULL,
	redacted TEXT NOT NULL,
	confidence DOUBLE PRECISION NOT NULL,
	facts TEXT NOT NULL,
	expires BIGINT NOT NULL DEFAULT 0,
	detected BIGINT NOT NULL,
	first_commit TEXT NOT NULL DEFAULT '',
	first_at BIGINT NOT NULL DEFAULT 0,
	public_since BIGINT NOT NULL DEFAULT 0,
	state TEXT NOT NULL,
	note TEXT NOT NULL DEFAULT '',
	settings TEXT NOT NULL DEFAULT '{}',
	stale BOOLEAN NOT NULL DEFAULT TRUE,
	PRIMARY KEY (installation, fingerprint)
);
INSERT INTO credential VALUES(1003,'7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be','doppler-scim-token','critical','dp.scim.…(51)',0.94999999999999995559,'null',0,1795632924144,'7acab4d727fce1f3422a606074dcb9e3903cdc75',1795632923000,0,'open','','{"FailOn":"","Issues":"","Tracker":"","Public":false,"Default":"","Due":null,"BusinessHours":false,"Approvers":null,"Team":"","Security":"","Owners":""}',0);
INSERT INTO credential VALUES(1003,'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a','gitlab-pat','critical','glpat-…(26)',0.98999999999999999111,'null',0,1795632924747,'122dd2c58fae89ecc7c58e32d9fb0d5caf2fd296',1795632924000,0,'open','','{"FailOn":"","Issues":"","Tracker":"","Public":false,"Default":"","Due":null,"BusinessHours":false,"Approvers":null,"Team":"","Security":"","Owners":""}',0);
CREATE TABLE place (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	repository BIGINT NOT NULL,
	path TEXT NOT NULL,
	line BIGINT NOT NULL,
	col BIGINT NOT NULL,
	commit_id TEXT NOT NULL,
	blob TEXT NOT NULL,
	decoded TEXT NOT NULL,
	in_test BOOLEAN NOT NULL,
	url TEXT NOT NULL DEFAULT '',
	seen BIGINT NOT NULL,
	PRIMARY KEY (installation, fingerprint, repository, path, line)
);
INSERT INTO place VALUES(1003,'7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be',1006,'deploy.env',1,14,'7acab4d727fce1f3422a606074dcb9e3903cdc75','9bc4c0acae2fea8599cb4412862ed7990fffe80c','',0,'',1795632924144);
INSERT INTO place VALUES(1003,'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a',1006,'ci.env',1,8,'122dd2c58fae89ecc7c58e32d9fb0d5caf2fd296','38a9c07384e5cd5cd44bbe603a4549b3a69768ae','',0,'',1795632924747);
CREATE TABLE scan (
	id TEXT PRIMARY KEY,
	installation BIGINT NOT NULL,
	repository BIGINT NOT NULL,
	source TEXT NOT NULL,
	head TEXT NOT NULL,
	base TEXT NOT NULL,
	pull BIGINT NOT NULL DEFAULT 0,
	sender BIGINT NOT NULL DEFAULT 0,
	check_run BIGINT NOT NULL DEFAULT 0,
	state TEXT NOT NULL,
	result TEXT NOT NULL DEFAULT '',
	round BIGINT NOT NULL DEFAULT 0,
	created BIGINT NOT NULL,
	finished BIGINT NOT NULL DEFAULT 0
, to_default BOOLEAN NOT NULL DEFAULT FALSE, fork BOOLEAN NOT NULL DEFAULT FALSE, tag BOOLEAN NOT NULL DEFAULT FALSE, compared TEXT NOT NULL DEFAULT '');
INSERT INTO scan VALUES('7cbd9bcce26aeb0d246678d8',1003,1006,'push','71007c8bb0200f16c359691f898eac267589f64d','0000000000000000000000000000000000000000',0,1001,1009,'published','{"Conclusion":"success","Title":"No keys found","Summary":"### Keyward found no keys\n\n- there is nothing to compare with: the whole history of the ref was scanned\n\nscanned 1 blob, 2 bytes in 1 commit, 189 ms\n","Annotations":null,"Keys":null,"Head":"71007c8bb0200f16c359691f898eac267589f64d","Silent":false,"Note":"","Rest":"success","Unscanned":false}',0,1795632923496,1795632923765,1,0,0,'nothing');
INSERT INTO scan VALUES('de1b3b9f5dea8b64cd14972d',1003,1006,'push','7acab4d727fce1f3422a606074dcb9e3903cdc75','71007c8bb0200f16c359691f898eac267589f64d',0,1001,1013,'published','{"Conclusion":"failure","Title":"1 key found: Doppler SCIM token","Summary":"### Keyward found 1 key in 1 place\n\n| | Key | Where | Since | What its holder can do |\n|---|---|---|---|---|\n| critical | Doppler SCIM token\u003cbr\u003e`dp.scim.…(51)` | [`deploy.env:1`](http://127.0.0.1:38521/acme/widgets/blob/7acab4d727fce1f3422a606074dcb9e3903cdc75/deploy.env#L1) | 2026-11-25 in commit 7acab4d727fc, still at HEAD | T0: Create, change and remove users and groups of the workplace; a group can give read access to secrets. |\n\nA key that was pushed has leaked, even if a later commit takes it out again: rotate it.\n\n\u003cdetails\u003e\u003csummary\u003eHow to rotate: Doppler SCIM token\u003c/summary\u003e\n\n1. Create a new SCIM token in the workplace''s settings\n2. Put it into the identity provider and test\n3. Delete the old one\n\n\u003c/details\u003e\n\nscanned 1 blob, 65 bytes in 1 commit, 86 ms\n\n**No key?** Who may write here presses *Not a key* above (two people, if it is critical or high), or writes `keyward:allow` with a reason on its line.\n","Annotations":[{"Path":"deploy.env","Line":1,"EndLine":1,"Level":"failure","Title":"Doppler SCIM token","Message":"dp.scim.…(51), critical. Its holder can: Create, change and remove users and groups of the workplace; a group can give read access to secrets.\nIt has leaked with the push: rotate it, then take it out (keyward fix).\nFirst: Create a new SCIM token in the workplace''s settings"}],"Keys":["7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be"],"Head":"7acab4d727fce1f3422a606074dcb9e3903cdc75","Silent":false,"Note":"","Rest":"success","Unscanned":false}',0,1795632924023,1795632924147,1,0,0,'71007c8bb0200f16c359691f898eac267589f64d');
INSERT INTO scan VALUES('4f82f7ac90152946f0dc11f5',1003,1006,'push','122dd2c58fae89ecc7c58e32d9fb0d5caf2fd296','7acab4d727fce1f3422a606074dcb9e3903cdc75',0,1001,1018,'published','{"Conclusion":"failure","Title":"1 key found: GitLab Personal / project / group access token","Summary":"### Keyward found 1 key in 1 place\n\n| | Key | Where | Since | What its holder can do |\n|---|---|---|---|---|\n| critical | GitLab Personal / project / group access token\u003cbr\u003e`glpat-…(26)` | [`ci.env:1`](http://127.0.0.1:38521/acme/widgets/blob/122dd2c58fae89ecc7c58e32d9fb0d5caf2fd296/ci.env#L1) | 2026-11-25 in commit 122dd2c58fae, still at HEAD | T0: api scope: everything of the user; admin PAT: users, runners, impersonation tokens; create\\_runner scope: mint glrt tokens. |\n\nA key that was pushed has leaked, even if a later commit takes it out again: rotate it.\n\n\u003cdetails\u003e\u003csummary\u003eHow to rotate: GitLab Personal / project / group access token\u003c/summary\u003e\n\n1. POST /api/v4/personal\\_access\\_tokens/self/rotate\n2. Store the returned token\n3. Confirm old is dead\n4. Review audit events\n\n\u003c/details\u003e\n\nscanned 1 blob, 34 bytes in 1 commit, 98 ms\n\n**No key?** Who may write here presses *Not a key* above (two people, if it is critical or high), or writes `keyward:allow` with a reason on its line.\n","Annotations":[{"Path":"ci.env","Line":1,"EndLine":1,"Level":"failure","Title":"GitLab Personal / project / group access token","Message":"glpat-…(26), critical. Its holder can: api scope: everything of the user; admin PAT: users, runners, impersonation tokens; create_runner scope: mint glrt tokens.\nIt has leaked with the push: rotate it, then take it out (keyward fix).\nFirst: POST /api/v4/personal_access_tokens/self/rotate"}],"Keys":["a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a"],"Head":"122dd2c58fae89ecc7c58e32d9fb0d5caf2fd296","Silent":false,"Note":"","Rest":"success","Unscanned":false}',0,1795632924635,1795632924748,1,0,0,'7acab4d727fce1f3422a606074dcb9e3903cdc75');
CREATE TABLE rotation (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	repository TEXT NOT NULL,
	number BIGINT NOT NULL DEFAULT 0,
	holder TEXT NOT NULL DEFAULT '',
	held_until BIGINT NOT NULL DEFAULT 0,
	tries BIGINT NOT NULL DEFAULT 1,
	claimed BIGINT NOT NULL DEFAULT 0,
	opened BIGINT NOT NULL DEFAULT 0,
	due BIGINT NOT NULL DEFAULT 0,
	owner TEXT NOT NULL DEFAULT '',
	body TEXT NOT NULL DEFAULT '',
	told BIGINT NOT NULL DEFAULT 0, said BIGINT NOT NULL DEFAULT 0, alerted TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (installation, fingerprint)
);
INSERT INTO rotation VALUES(1003,'7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be','acme/rotation',1,'',0,2,1795632924278,1795632924321,1795719324144,'dana','727ae935b3f14d9476260a1d',1,2,'');
INSERT INTO rotation VALUES(1003,'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a','acme/rotation',2,'',0,1,1795632926515,1795632927500,1795719324747,'dana','9ba0c109f7e6fa27225d3781',1,3,'');
CREATE TABLE process (
	id TEXT PRIMARY KEY,
	seen BIGINT NOT NULL
);
CREATE TABLE life (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	state TEXT NOT NULL,
	due BIGINT NOT NULL DEFAULT 0,
	life TEXT NOT NULL, wake BIGINT NOT NULL DEFAULT 1, look BIGINT NOT NULL DEFAULT 1,
	PRIMARY KEY (installation, fingerprint)
);
INSERT INTO life VALUES(1003,'7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be','acknowledged',1795719324144,'{"State":"acknowledged","Since":"2026-11-25T18:55:24.337300244Z","Severity":"critical","Tier":"T0","Public":false,"Validity":"unknown","Clock":{"By":null,"BusinessHours":false},"Start":"2026-11-25T18:55:24.144Z","Half":false,"Regressions":0,"Reminded":0,"Snoozed":"0001-01-01T00:00:00Z","OldID":"","NewID":"","InPlace":null,"Claimed":"0001-01-01T00:00:00Z","Ended":null,"Removed":null,"Checks":null,"Used":"0001-01-01T00:00:00Z","Watched":"0001-01-01T00:00:00Z","AtHead":null,"Looked":"0001-01-01T00:00:00Z","Answer":"","Waiver":null,"Asked":null,"Order":null,"Reopened":false}',1795676124144,1795632924144);
INSERT INTO life VALUES(1003,'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a','open',1795719324747,'{"State":"open","Since":"2026-11-25T18:55:24.747Z","Severity":"critical","Tier":"T0","Public":false,"Validity":"unknown","Clock":{"By":null,"BusinessHours":false},"Start":"2026-11-25T18:55:24.747Z","Half":false,"Regressions":0,"Reminded":0,"Snoozed":"0001-01-01T00:00:00Z","OldID":"","NewID":"","InPlace":null,"Claimed":"0001-01-01T00:00:00Z","Ended":null,"Removed":null,"Checks":null,"Used":"0001-01-01T00:00:00Z","Watched":"0001-01-01T00:00:00Z","AtHead":null,"Looked":"0001-01-01T00:00:00Z","Answer":"","Waiver":null,"Asked":null,"Order":null,"Reopened":false}',1795676124747,1795632924747);
CREATE TABLE ledger (
	installation BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	happened BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	event TEXT NOT NULL,
	actor TEXT NOT NULL,
	from_state TEXT NOT NULL,
	to_state TEXT NOT NULL,
	detail TEXT NOT NULL,
	mac TEXT NOT NULL, due BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (installation, seq)
);
INSERT INTO ledger VALUES(1003,1,1795632924277,'7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be','found','keyward','','open','dp.scim.…(51) of rule doppler-scim-token, critical','925842919dd98a0f39a79bfca1db9797cfdad64518c910d719938b9096714f03',0);
INSERT INTO ledger VALUES(1003,2,1795632924337,'7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be','ack','dana','open','acknowledged','by @dana (answered, comment 1016)','4d55567561c9323f7a9f7593bb22d300618c77bbb4be7a265c3cfecf4d573855',1795719324144);
INSERT INTO ledger VALUES(1003,3,1795632926514,'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a','found','keyward','','open','glpat-…(26) of rule gitlab-pat, critical','d12ea8030fdd24ee4d6e6e65a58660c8b5a2665e6c8727a90a5a27cde1e8b7e3',0);
CREATE TABLE sighting (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	repository BIGINT NOT NULL,
	commit_id TEXT NOT NULL,
	PRIMARY KEY (installation, fingerprint, repository, commit_id)
);
INSERT INTO sighting VALUES(1003,'7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be',1006,'7acab4d727fce1f3422a606074dcb9e3903cdc75');
INSERT INTO sighting VALUES(1003,'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a',1006,'122dd2c58fae89ecc7c58e32d9fb0d5caf2fd296');
CREATE TABLE unseen (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	repository BIGINT NOT NULL,
	PRIMARY KEY (installation, fingerprint, repository)
);
CREATE TABLE river_leader (
    elected_at timestamp NOT NULL,
    expires_at timestamp NOT NULL,
    leader_id text NOT NULL,
    name text PRIMARY KEY NOT NULL DEFAULT 'default' CHECK (name = 'default'),
    CONSTRAINT name_length CHECK (length(name) > 0 AND length(name) < 128),
    CONSTRAINT leader_id_length CHECK (length(leader_id) > 0 AND length(leader_id) < 128)
);
CREATE TABLE river_migration (
    line text NOT NULL,
    version integer NOT NULL,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT line_length CHECK (length(line) > 0 AND length(line) < 128),
    CONSTRAINT version_gte_1 CHECK (version >= 1),
    PRIMARY KEY (line, version)
);
INSERT INTO river_migration VALUES('main',1,'2026-11-25 18:55:23');
INSERT INTO river_migration VALUES('main',2,'2026-11-25 18:55:23');
INSERT INTO river_migration VALUES('main',3,'2026-11-25 18:55:23');
INSERT INTO river_migration VALUES('main',4,'2026-11-25 18:55:23');
INSERT INTO river_migration VALUES('main',5,'2026-11-25 18:55:23');
INSERT INTO river_migration VALUES('main',6,'2026-11-25 18:55:23');
INSERT INTO river_migration VALUES('main',7,'2026-11-25 18:55:23');
INSERT INTO river_migration VALUES('main',8,'2026-11-25 18:55:23');
CREATE TABLE river_notification (
    id integer PRIMARY KEY AUTOINCREMENT,
    created_at timestamp NOT NULL DEFAULT (datetime('now', 'subsec')),
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (length(topic) > 0 AND length(topic) < 128)
);
INSERT INTO river_notification VALUES(1,'2026-11-25 18:55:23.476','{"queue": "scan_3"}','river_insert');
INSERT INTO river_notification VALUES(2,'2026-11-25 18:55:23.768','{"queue": "tell"}','river_insert');
INSERT INTO river_notification VALUES(3,'2026-11-25 18:55:23.978','{"queue": "scan_3"}','river_insert');
INSERT INTO river_notification VALUES(4,'2026-11-25 18:55:24.149','{"queue": "tell"}','river_insert');
INSERT INTO river_notification VALUES(5,'2026-11-25 18:55:24.327','{"queue": "scan_3"}','river_insert');
INSERT INTO river_notification VALUES(6,'2026-11-25 18:55:24.339','{"queue": "tell"}','river_insert');
INSERT INTO river_notification VALUES(7,'2026-11-25 18:55:24.611','{"queue": "scan_3"}','river_insert');
INSERT INTO river_notification VALUES(8,'2026-11-25 18:55:24.749','{"queue": "tell"}','river_insert');
INSERT INTO river_notification VALUES(9,'2026-11-25 18:55:26.905','{"queue": "admin"}','river_insert');
INSERT INTO river_notification VALUES(10,'2026-11-25 18:55:26.953','{"queue": "tell"}','river_insert');
INSERT INTO river_notification VALUES(11,'2026-11-25 18:55:27.505','{"queue": "scan_3"}','river_insert');
INSERT INTO river_notification VALUES(12,'2026-11-25 18:55:29.500','{"queue": "tell"}','river_insert');
CREATE TABLE river_queue (
    name text PRIMARY KEY NOT NULL,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    metadata blob NOT NULL DEFAULT (jsonb('{}')),
    paused_at timestamp,
    updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO river_queue VALUES('scan_3','2026-11-25 18:55:23.331',X'0c',NULL,'2026-11-25 18:55:23.331');
INSERT INTO river_queue VALUES('admin','2026-11-25 18:55:23.338',X'0c',NULL,'2026-11-25 18:55:23.338');
INSERT INTO river_queue VALUES('tell','2026-11-25 18:55:23.342',X'0c',NULL,'2026-11-25 18:55:23.342');
INSERT INTO river_queue VALUES('look','2026-11-25 18:55:23.346',X'0c',NULL,'2026-11-25 18:55:23.346');
INSERT INTO river_queue VALUES('backfill','2026-11-25 18:55:23.347',X'0c',NULL,'2026-11-25 18:55:23.347');
INSERT INTO river_queue VALUES('scan_0','2026-11-25 18:55:23.349',X'0c',NULL,'2026-11-25 18:55:23.349');
INSERT INTO river_queue VALUES('scan_1','2026-11-25 18:55:23.349',X'0c',NULL,'2026-11-25 18:55:23.349');
INSERT INTO river_queue VALUES('scan_2','2026-11-25 18:55:23.350',X'0c',NULL,'2026-11-25 18:55:23.350');
CREATE TABLE river_job (
    id integer PRIMARY KEY AUTOINCREMENT,
    args blob NOT NULL DEFAULT (jsonb('{}')),
    attempt integer NOT NULL DEFAULT 0,
    attempted_at timestamp,
    attempted_by blob, -- json
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    errors blob, -- json
    finalized_at timestamp,
    kind text NOT NULL,
    max_attempts integer NOT NULL DEFAULT 25,
    metadata blob NOT NULL DEFAULT (jsonb('{}')),
    priority integer NOT NULL DEFAULT 1,
    queue text NOT NULL DEFAULT 'default',
    state text NOT NULL DEFAULT 'available',
    scheduled_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    tags blob NOT NULL DEFAULT (jsonb('[]')),
    unique_key blob,
    unique_states integer,
    CONSTRAINT finalized_or_finalized_at_null CHECK (
        (finalized_at IS NULL AND state NOT IN ('cancelled', 'completed', 'discarded')) OR
        (finalized_at IS NOT NULL AND state IN ('cancelled', 'completed', 'discarded'))
    ),
    CONSTRAINT priority_in_range CHECK (priority >= 1 AND priority <= 4),
    CONSTRAINT queue_length CHECK (length(queue) > 0 AND length(queue) < 128),
    CONSTRAINT kind_length CHECK (length(kind) > 0 AND length(kind) < 128),
    CONSTRAINT state_valid CHECK (state IN ('available', 'cancelled', 'completed', 'discarded', 'pending', 'retryable', 'running', 'scheduled'))
);
INSERT INTO river_job VALUES(1,X'dc01228764656c6976657279c72466336636383766382d346235312d343630392d383062352d383639386631653631376438476e616d654770757368c70c696e7374616c6c6174696f6e4331303033776163636f756e744761636d65a76163636f756e745f696443313030326773656e6465724331303031c70c73656e6465725f6c6f67696e37646576477265706fcc2d2769644331303036576f776e65724761636d65476e616d6577776964676574737764656661756c74476d61696e4768656164c728373130303763386262303230306631366333353936393166383938656163323637353839663634644762617365c728303030303030303030303030303030303030303030303030303030303030303030303030303030307764656661756c7401',1,'2026-11-25 18:55:23.492',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:23.476',NULL,'2026-11-25 18:55:23.770','scan',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71032616362396231663437653339343266',1,'scan_3','completed','2026-11-25 18:55:23.476',X'0b',X'059b3e741fcb6bb543e73d378a6489de9167eade55457571994a3c368c249440',245);
INSERT INTO river_job VALUES(2,X'cc13c70c696e7374616c6c6174696f6e4331303033',1,'2026-11-25 18:55:23.811',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:23.767',NULL,'2026-11-25 18:55:23.860','tell',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71061333764313135333931343439303162',1,'tell','completed','2026-11-25 18:55:23.767',X'0b',NULL,NULL);
INSERT INTO river_job VALUES(3,X'dc01228764656c6976657279c72462656337333533652d383261302d343264652d393637622d636465393361323934383265476e616d654770757368c70c696e7374616c6c6174696f6e4331303033776163636f756e744761636d65a76163636f756e745f696443313030326773656e6465724331303031c70c73656e6465725f6c6f67696e37646576477265706fcc2d2769644331303036576f776e65724761636d65476e616d6577776964676574737764656661756c74476d61696e4768656164c728376163616234643732376663653166333432326136303630373464636239653339303363646337354762617365c728373130303763386262303230306631366333353936393166383938656163323637353839663634647764656661756c7401',1,'2026-11-25 18:55:24.019',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:23.977',NULL,'2026-11-25 18:55:24.151','scan',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71063366335346331633838306337353335',1,'scan_3','completed','2026-11-25 18:55:23.977',X'0b',X'a04f213228d86989b769c4f0c465e8e761f61d13ad8230c2273456d7d8750f55',245);
INSERT INTO river_job VALUES(4,X'cc13c70c696e7374616c6c6174696f6e4331303033',1,'2026-11-25 18:55:24.173',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:24.149',NULL,'2026-11-25 18:55:24.334','tell',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71035303331623430396361633133393639',1,'tell','completed','2026-11-25 18:55:24.149',X'0b',NULL,NULL);
INSERT INTO river_job VALUES(5,X'ccec8764656c6976657279c72432633535306536382d343732642d346565352d616265622d326339326330303937333232476e616d65c70d69737375655f636f6d6d656e7467616374696f6e7763726561746564c70c696e7374616c6c6174696f6e4331303033776163636f756e744761636d65a76163636f756e745f696443313030326773656e6465724331303034c70c73656e6465725f6c6f67696e4764616e61477265706fcc2e2769644331303037576f776e65724761636d65476e616d6587726f746174696f6e7764656661756c74476d61696e676e756d626572133177636f6d6d656e744331303136',1,'2026-11-25 18:55:24.330',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:24.327',NULL,'2026-11-25 18:55:24.340','text',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71033643961363264653165383063336234',2,'scan_3','completed','2026-11-25 18:55:24.327',X'0b',X'1e99827c3cb4834a93a31793c6f5d02d59babdb30f0c9b029886e408f93f42ca',245);
INSERT INTO river_job VALUES(6,X'cc13c70c696e7374616c6c6174696f6e4331303033',1,'2026-11-25 18:55:24.380',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:24.338',NULL,'2026-11-25 18:55:27.508','tell',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71032373838376437373331616439376332',1,'tell','completed','2026-11-25 18:55:24.338',X'0b',NULL,NULL);
INSERT INTO river_job VALUES(7,X'dc01228764656c6976657279c72461343835343331342d373366632d343831382d383234652d356439353437393166306166476e616d654770757368c70c696e7374616c6c6174696f6e4331303033776163636f756e744761636d65a76163636f756e745f696443313030326773656e6465724331303031c70c73656e6465725f6c6f67696e37646576477265706fcc2d2769644331303036576f776e65724761636d65476e616d6577776964676574737764656661756c74476d61696e4768656164c728313232646432633538666165383965636337633538653332643966623064356361663266643239364762617365c728376163616234643732376663653166333432326136303630373464636239653339303363646337357764656661756c7401',1,'2026-11-25 18:55:24.634',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:24.610',NULL,'2026-11-25 18:55:24.750','scan',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71063363535326263363632646130326261',1,'scan_3','completed','2026-11-25 18:55:24.610',X'0b',X'1163593616661e82350ead95f5ba3baaaeea2f85237c5c3e0f2ba30b75ca1a9f',245);
INSERT INTO river_job VALUES(8,X'cc13c70c696e7374616c6c6174696f6e4331303033',1,'2026-11-25 18:55:24.788',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:24.749',NULL,'2026-11-25 18:55:24.789','tell',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71061313564613136363365626538646531',1,'tell','completed','2026-11-25 18:55:24.749',X'0b',NULL,NULL);
INSERT INTO river_job VALUES(9,X'0c',1,'2026-11-25 18:55:26.934',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:26.905',NULL,'2026-11-25 18:55:26.955','sweep',25,X'cc4d87706572696f64696301c71572697665723a706572696f6469635f6a6f625f6964577377656570c71272697665723a756e697175655f6e6f6e6365c71036373436353161626661346239373636',2,'admin','completed','2026-11-25 18:55:26.905',X'0b',NULL,NULL);
INSERT INTO river_job VALUES(10,X'cc13c70c696e7374616c6c6174696f6e4331303033',1,'2026-11-25 18:55:26.985',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:26.953',NULL,'2026-11-25 18:55:26.987','tell',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71063396433613334646630313835663936',1,'tell','completed','2026-11-25 18:55:26.953',X'0b',NULL,NULL);
INSERT INTO river_job VALUES(11,X'cceb8764656c6976657279c72435623331643633322d313061372d343137382d396234342d386265393330343732373637476e616d65c70d69737375655f636f6d6d656e7467616374696f6e7763726561746564c70c696e7374616c6c6174696f6e4331303033776163636f756e744761636d65a76163636f756e745f696443313030326773656e6465724331303035c70c73656e6465725f6c6f67696e3773616d477265706fcc2e2769644331303037576f776e65724761636d65476e616d6587726f746174696f6e7764656661756c74476d61696e676e756d626572133177636f6d6d656e744331303231',1,'2026-11-25 18:55:27.528',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:27.504',NULL,'2026-11-25 18:55:29.502','text',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71030346331393964363636666130376531',2,'scan_3','completed','2026-11-25 18:55:27.504',X'0b',X'3750209af24410703a7ef21f9cca969a32afcbf1c50d769ed0cdf0f3801e8985',245);
INSERT INTO river_job VALUES(12,X'cc13c70c696e7374616c6c6174696f6e4331303033',1,'2026-11-25 18:55:29.511',X'cb16c714766d2d323335332d613165323262616230393966','2026-11-25 18:55:29.500',NULL,'2026-11-25 18:55:29.514','tell',25,X'cc26c71272697665723a756e697175655f6e6f6e6365c71066643062383464623537356239633164',1,'tell','completed','2026-11-25 18:55:29.500',X'0b',NULL,NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('river_job',12);
INSERT INTO sqlite_sequence VALUES('river_notification',12);
CREATE INDEX repository_installation ON repository (installation);
CREATE INDEX place_repository ON place (repository);
CREATE INDEX scan_head ON scan (repository, head);
CREATE INDEX scan_check ON scan (check_run);
CREATE INDEX scan_created ON scan (created);
CREATE INDEX life_state ON life (installation, state);
CREATE INDEX ledger_key ON ledger (installation, fingerprint);
CREATE INDEX life_wake ON life (wake);
CREATE INDEX life_look ON life (look);
CREATE INDEX sighting_repository ON sighting (repository);
CREATE INDEX river_notification_created_at_idx ON river_notification (created_at);
CREATE INDEX river_notification_topic_id_idx ON river_notification (topic, id);
CREATE INDEX river_job_kind ON river_job (kind);
CREATE INDEX river_job_state_and_finalized_at_index ON river_job (state, finalized_at) WHERE finalized_at IS NOT NULL;
CREATE INDEX river_job_prioritized_fetching_index ON river_job (state, queue, priority, scheduled_at, id);
CREATE UNIQUE INDEX river_job_unique_idx ON river_job (unique_key)
    WHERE unique_key IS NOT NULL
        AND unique_states IS NOT NULL
        AND CASE state
            WHEN 'available' THEN unique_states & (1 << 0)
            WHEN 'cancelled' THEN unique_states & (1 << 1)
            WHEN 'completed' THEN unique_states & (1 << 2)
            WHEN 'discarded' THEN unique_states & (1 << 3)
            WHEN 'pending'   THEN unique_states & (1 << 4)
            WHEN 'retryable' THEN unique_states & (1 << 5)
            WHEN 'running'   THEN unique_states & (1 << 6)
            WHEN 'scheduled' THEN unique_states & (1 << 7)
            ELSE 0
        END >= 1;
COMMIT;
