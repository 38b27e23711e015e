-- +goose Up

-- People's epochs.
-- A login or a proof that was begun under an older epoch stores nothing: ending all sessions, removing a factor and
-- suspending a person raise it. Without a row the epoch is 0.
CREATE TABLE person_epochs (
    person_id TEXT    NOT NULL PRIMARY KEY,
    epoch     INTEGER NOT NULL
) STRICT;


-- Replicas.
-- The running programs, each seen within the last half minute: what they can read (schema) and which secret keys they know,
-- by the keys' ids with blanks between.
CREATE TABLE replicas (
    id          TEXT    NOT NULL PRIMARY KEY,
    schema      INTEGER NOT NULL,
    secret_keys TEXT    NOT NULL,
    seen_at     INTEGER NOT NULL
) STRICT;


-- The ledger.
-- failures: attempts in a row that Constant Contact did not answer clearly; the back-off depends on them alone, and not on claims
-- whose process died. earliest_attempt: until when not even a waiting person brings the next attempt forward.
ALTER TABLE sso_users ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sso_users ADD COLUMN earliest_attempt INTEGER NOT NULL DEFAULT 0;

-- Of what the version before counted nobody knows which attempts were answered: such a row waits a minute at most.
UPDATE sso_users SET failures = CASE WHEN attempts > 7 THEN 7 ELSE attempts END
 WHERE state IN ('wanted', 'sending', 'unknown');


-- Client accounts in one form.


-- Groups by their immutable id.


-- NameIDs.


-- Tries.


-- Sign-ins.


-- Sessions.
-- mac vouches for the row and reading_mac for the directory reading in it, both under a key that is not in the database. A row
-- without them, as the version before writes it, is no session. epoch is the person's when the session was stored, factor
-- the id of the second factor that was proved in it.
ALTER TABLE sessions ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN factor TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
ALTER TABLE sessions ADD COLUMN reading_mac BLOB NOT NULL DEFAULT x'';
-- The number of the last revocation; people's epochs are such numbers.
INSERT INTO counters (name, value) VALUES ('epochs', 0);


-- Second factors.


-- The journal of revocations.
-- What was revoked, and allowed again, in the order of its commits: id is counted up in the table counters, whose row is locked until the
-- commit. Each is written to the journals outside of the database as well. object is a random id or a hash, and names nobody.
CREATE TABLE revocations (
    id     INTEGER NOT NULL PRIMARY KEY,
    entry  TEXT   NOT NULL,
    kind   TEXT   NOT NULL,
    object TEXT   NOT NULL,
    word   TEXT   NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX revocations_entry ON revocations (entry);
CREATE INDEX revocations_object ON revocations (kind, object, id);
CREATE INDEX revocations_at ON revocations (at);

INSERT INTO counters (name, value) VALUES ('revocations', 0);

-- One row: where this database stands (empty until it is known), and since when it has kept revocations.
CREATE TABLE store_place (
    id        INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    place     TEXT    NOT NULL,
    began_at  INTEGER NOT NULL
) STRICT;

INSERT INTO store_place (id, place, began_at) VALUES (1, '', CAST(strftime('%s', 'now') AS INTEGER) * 1000000);


-- Audit.


-- Traces.


-- The console.
