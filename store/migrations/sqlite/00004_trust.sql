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


-- Client accounts in one form.


-- Groups by their immutable id.


-- NameIDs.


-- Tries.


-- Sign-ins.


-- Sessions.


-- Second factors.


-- The journal of revocations.


-- Audit.


-- Traces.


-- The console.
