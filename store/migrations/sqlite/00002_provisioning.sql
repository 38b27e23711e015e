-- +goose Up

-- The table is made anew, since SQLite can't change a check. What is new has a default: the version before this one
-- goes on writing rows without it.
-- class: 0 a person waits, 1 tried again, 2 a plan. before_state: what a suspended row was.
CREATE TABLE sso_users_new (
    person_id         TEXT    NOT NULL,
    account           TEXT    NOT NULL,
    external_id       TEXT    NOT NULL,
    external_provider TEXT    NOT NULL,
    login_name        TEXT    NOT NULL,
    contact_email     TEXT    NOT NULL,
    first_name        TEXT    NOT NULL,
    last_name         TEXT    NOT NULL,
    role              TEXT    NOT NULL CHECK (role IN ('account_manager', 'campaign_creator', 'owner')),
    mapping           INTEGER NOT NULL,
    state             TEXT    NOT NULL CHECK (state IN
        ('wanted', 'sending', 'unknown', 'active', 'assumed', 'conflict', 'refused', 'suspended')),
    maybe_sent        INTEGER NOT NULL CHECK (maybe_sent IN (0, 1)),
    attempts          INTEGER NOT NULL,
    next_attempt      INTEGER NOT NULL,
    lease_until       INTEGER NOT NULL,
    due_at            INTEGER NOT NULL,
    error_key         TEXT    NOT NULL,
    error_text        TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    class             INTEGER NOT NULL DEFAULT 0 CHECK (class IN (0, 1, 2)),
    plan              INTEGER NOT NULL DEFAULT 0,
    before_state      TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (person_id, account)
) STRICT;

INSERT INTO sso_users_new (person_id, account, external_id, external_provider, login_name, contact_email,
    first_name, last_name, role, mapping, state, maybe_sent, attempts, next_attempt, lease_until, due_at,
    error_key, error_text, created_at, updated_at)
SELECT person_id, account, external_id, external_provider, login_name, contact_email,
    first_name, last_name, role, mapping, state, maybe_sent, attempts, next_attempt, lease_until, due_at,
    error_key, error_text, created_at, updated_at
  FROM sso_users;

DROP TABLE sso_users;
ALTER TABLE sso_users_new RENAME TO sso_users;

CREATE UNIQUE INDEX sso_users_external ON sso_users (external_provider, external_id);
CREATE UNIQUE INDEX sso_users_login ON sso_users (login_name) WHERE login_name <> '';
CREATE INDEX sso_users_due ON sso_users (due_at, created_at) WHERE due_at > 0;
CREATE INDEX sso_users_queue ON sso_users (class, due_at, created_at) WHERE due_at > 0;
CREATE INDEX sso_users_by_state ON sso_users (state, person_id, account);
CREATE INDEX sso_users_account ON sso_users (account, person_id);

-- While creations are held (since: when, 0: they are not), no plan creates anybody, and a 409 counts as our own user.
CREATE TABLE hold (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    since  INTEGER NOT NULL,
    holder TEXT    NOT NULL,
    reason TEXT    NOT NULL
) STRICT;

INSERT INTO hold (id, since, holder, reason)
SELECT 1, value, CASE WHEN value > 0 THEN 'restore' ELSE '' END, CASE WHEN value > 0 THEN 'restore' ELSE '' END
  FROM counters WHERE name = 'restored';

-- factor: how much of the allowed rate is used, in thousandths; it falls when Constant Contact throttles, and recovers from
-- factor_at on. round: calls made of the present round, where calls go by rounds.
ALTER TABLE budget ADD COLUMN factor INTEGER NOT NULL DEFAULT 1000;
ALTER TABLE budget ADD COLUMN factor_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN throttled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN used_retry INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN used_plan INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN round INTEGER NOT NULL DEFAULT 0;

-- One row: whether calls are stopped because credentials or Constant Contact fail.
CREATE TABLE breaker (
    id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    cause      TEXT    NOT NULL,
    opened_at  INTEGER NOT NULL,
    open_until INTEGER NOT NULL,
    trips      INTEGER NOT NULL,
    probing    INTEGER NOT NULL
) STRICT;

INSERT INTO breaker (id, cause, opened_at, open_until, trips, probing) VALUES (1, '', 0, 0, 0, 0);

-- Work that one replica does for all, and until when it has it.
CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    holder     TEXT    NOT NULL,
    held_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE plans (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT    NOT NULL CHECK (kind IN ('admin', 'watch')),
    state       TEXT    NOT NULL CHECK (state IN
        ('making', 'ready', 'applying', 'paused', 'stopped', 'done', 'dropped')),
    mappings    TEXT    NOT NULL,
    people      INTEGER NOT NULL,
    creations   INTEGER NOT NULL,
    leavers     INTEGER NOT NULL,
    drifted     INTEGER NOT NULL,
    blocked     INTEGER NOT NULL,
    max_create  INTEGER NOT NULL,
    max_skipped INTEGER NOT NULL,
    done        INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    skipped     INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    created_by  TEXT    NOT NULL,
    applied_at  INTEGER NOT NULL,
    applied_by  TEXT    NOT NULL,
    finished_at INTEGER NOT NULL
) STRICT;

CREATE INDEX plans_state ON plans (state);
-- At most one plan is being applied.
CREATE UNIQUE INDEX plans_applying ON plans (state) WHERE state = 'applying';

-- With rows by number: in a table that is its key, SQLite prefers the key to the small indexes, and walks along a whole plan.
CREATE TABLE plan_items (
    plan       INTEGER NOT NULL REFERENCES plans (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('create', 'leaver', 'drift', 'blocked')),
    person_id  TEXT    NOT NULL,
    login      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    told       TEXT    NOT NULL,
    mapping    INTEGER NOT NULL,
    why        TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('open', 'claimed', 'sending', 'done', 'failed', 'skipped')),
    reason     TEXT    NOT NULL,
    due_at     INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (plan, position)
) STRICT;

-- Each holds few items: people come in no order, and an index of all would cost more than all else when a plan is stored.
CREATE INDEX plan_items_open ON plan_items (plan, due_at, position) WHERE kind = 'create' AND state IN ('open', 'claimed');
CREATE INDEX plan_items_sending ON plan_items (plan, person_id, account) WHERE state = 'sending';
CREATE INDEX plan_items_work ON plan_items (plan, person_id, account) WHERE kind IN ('leaver', 'drift');

-- What an admin does by hand at Constant Contact, since its API can't: kind 'leaver' or 'drift'.
CREATE TABLE manual_work (
    person_id TEXT    NOT NULL,
    account   TEXT    NOT NULL,
    kind      TEXT    NOT NULL CHECK (kind IN ('leaver', 'drift')),
    login     TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    told      TEXT    NOT NULL,
    role      TEXT    NOT NULL,
    why       TEXT    NOT NULL,
    since     INTEGER NOT NULL,
    plan      INTEGER NOT NULL,
    done_at   INTEGER NOT NULL,
    done_by   TEXT    NOT NULL,
    PRIMARY KEY (person_id, account, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX manual_work_open ON manual_work (since, person_id, account, kind) WHERE done_at = 0;

ALTER TABLE accounts ADD COLUMN plan_type TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN checked_at INTEGER NOT NULL DEFAULT 0;

-- What a new mapping may clash with is found by it.
CREATE INDEX mappings_account ON mappings (account);

-- Creations of client accounts: the intention before the call, its outcome after. body is sent again as it stands.
CREATE TABLE account_requests (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    login_name         TEXT    NOT NULL,
    organization_name  TEXT    NOT NULL,
    body               TEXT    NOT NULL,
    person_id          TEXT    NOT NULL,
    external_id        TEXT    NOT NULL,
    state              TEXT    NOT NULL CHECK (state IN
        ('wanted', 'sending', 'unknown', 'accepted', 'created', 'conflict', 'refused')),
    encoded_account_id TEXT    NOT NULL,
    provision_uuid     TEXT    NOT NULL,
    error_key          TEXT    NOT NULL,
    error_text         TEXT    NOT NULL,
    created_at         INTEGER NOT NULL,
    created_by         TEXT    NOT NULL,
    updated_at         INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX account_requests_login ON account_requests (login_name);

-- Client accounts whose state is to be read again, because a webhook said that something changed.
CREATE TABLE account_hints (
    account  TEXT    NOT NULL PRIMARY KEY,
    event    TEXT    NOT NULL,
    hints    INTEGER NOT NULL,
    hint_at  INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    read_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX account_hints_due ON account_hints (due_at) WHERE due_at > 0;

-- How many of these readings their day has had.
INSERT INTO counters (name, value) VALUES ('hint_day', 0), ('hint_readings', 0);
