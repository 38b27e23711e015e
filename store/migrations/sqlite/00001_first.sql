-- +goose Up

-- Small numbers that belong to no table: how often the configuration changed,
-- how many sign-ins count toward the cap, when the store was last restored.
CREATE TABLE counters (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('changes', 0), ('pending', 0), ('alive', 0), ('restored', 0);

-- counted: no session has gone on with it yet, so it counts toward the caps.
CREATE TABLE sign_ins (
    id          TEXT    NOT NULL PRIMARY KEY,
    browser     BLOB,
    address     TEXT    NOT NULL,
    entity_id   TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    account     TEXT    NOT NULL,
    session     BLOB,
    counted     INTEGER NOT NULL CHECK (counted IN (0, 1)),
    data        BLOB,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX sign_ins_request ON sign_ins (entity_id, request_id) WHERE request_id <> '';
CREATE INDEX sign_ins_counted ON sign_ins (address, expires_at) WHERE counted;
CREATE INDEX sign_ins_expiry ON sign_ins (expires_at);

CREATE TABLE sessions (
    token_hash       BLOB    NOT NULL PRIMARY KEY,
    person_id        TEXT    NOT NULL,
    login            TEXT    NOT NULL,
    browser          BLOB,
    authenticated_at INTEGER NOT NULL,
    methods          TEXT    NOT NULL,
    reading          BLOB,
    read_at          INTEGER NOT NULL,
    seen_at          INTEGER NOT NULL,
    ends_at          INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_person ON sessions (person_id);
CREATE INDEX sessions_end ON sessions (ends_at);
CREATE INDEX sessions_seen ON sessions (seen_at);

CREATE TABLE participations (
    token_hash     BLOB    NOT NULL REFERENCES sessions (token_hash) ON DELETE CASCADE,
    entity_id      TEXT    NOT NULL,
    name_id        TEXT    NOT NULL,
    session_index  TEXT    NOT NULL,
    name_id_format TEXT    NOT NULL,
    issued_at      INTEGER NOT NULL,
    PRIMARY KEY (token_hash, entity_id, name_id, session_index)
) STRICT, WITHOUT ROWID;

-- A LogoutRequest names a person's part at a service provider.
CREATE INDEX participations_name ON participations (entity_id, name_id);

-- Running single logouts; the records against replays of their requests as well.
CREATE TABLE logouts (
    id           TEXT    NOT NULL PRIMARY KEY,
    browser      BLOB,
    entity_id    TEXT    NOT NULL,
    request_id   TEXT    NOT NULL,
    data         BLOB,
    participants TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    finished_at  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX logouts_request ON logouts (entity_id, request_id) WHERE request_id <> '';
CREATE INDEX logouts_expiry ON logouts (expires_at);
CREATE INDEX logouts_browser ON logouts (browser, created_at) WHERE finished_at = 0;

CREATE TABLE known_browsers (
    login   TEXT    NOT NULL,
    browser BLOB    NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (login, browser)
) STRICT, WITHOUT ROWID;

CREATE INDEX known_browsers_seen ON known_browsers (seen_at);
-- Whether anybody signed in from a browser, for the caps on pending sign-ins.
CREATE INDEX known_browsers_browser ON known_browsers (browser);

CREATE TABLE login_failures (
    key_hash BLOB    NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    ends_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX login_failures_end ON login_failures (ends_at);

CREATE TABLE service_providers (
    entity_id  TEXT    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('constant_contact', 'saml')),
    enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    record     TEXT    NOT NULL,
    refresh_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- holder: '' for a private key in this row (sealed), 'pkcs11:LABEL' for one in a token.
CREATE TABLE signing_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    key_use      TEXT    NOT NULL CHECK (key_use IN ('signing', 'encryption', 'metadata')),
    state        TEXT    NOT NULL CHECK (state IN ('next', 'published', 'active', 'retiring', 'retired')),
    algorithm    TEXT    NOT NULL,
    certificate  BLOB    NOT NULL,
    private      BLOB    NOT NULL,
    holder       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    active_at    INTEGER NOT NULL,
    retiring_at  INTEGER NOT NULL,
    retired_at   INTEGER NOT NULL
) STRICT;

-- Which key signs for a service provider; entity_id '' is for all without a row.
-- switch_at stays after its switch: sign-ins wait around it where wait_window says so.
CREATE TABLE sp_keys (
    entity_id       TEXT    NOT NULL PRIMARY KEY,
    key_id          TEXT    NOT NULL REFERENCES signing_keys (id),
    previous_key_id TEXT    NOT NULL,
    next_key_id     TEXT    NOT NULL,
    switch_at       INTEGER NOT NULL,
    wait_window     INTEGER NOT NULL CHECK (wait_window IN (0, 1)),
    confirmed_by    TEXT    NOT NULL,
    confirmed_at    INTEGER NOT NULL,
    forced          INTEGER NOT NULL CHECK (forced IN (0, 1)),
    updated_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE mappings (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL CHECK (kind IN ('group', 'group_pattern', 'attribute_pattern', 'person')),
    group_id   TEXT    NOT NULL,
    group_dn   TEXT    NOT NULL,
    attribute  TEXT    NOT NULL,
    pattern    TEXT    NOT NULL,
    person_id  TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('', 'account_manager', 'campaign_creator', 'owner')),
    priority   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL
) STRICT;

CREATE INDEX mappings_priority ON mappings (priority);

-- due_at: when a worker may take the row (the end of the lease while it is
-- sending); 0 once the row is settled.
CREATE TABLE sso_users (
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
        ('wanted', 'sending', 'unknown', 'active', 'assumed', 'conflict', 'refused')),
    maybe_sent        INTEGER NOT NULL CHECK (maybe_sent IN (0, 1)),
    attempts          INTEGER NOT NULL,
    next_attempt      INTEGER NOT NULL,
    lease_until       INTEGER NOT NULL,
    due_at            INTEGER NOT NULL,
    error_key         TEXT    NOT NULL,
    error_text        TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    PRIMARY KEY (person_id, account)
) STRICT;

CREATE UNIQUE INDEX sso_users_external ON sso_users (external_provider, external_id);
CREATE UNIQUE INDEX sso_users_login ON sso_users (login_name) WHERE login_name <> '';
CREATE INDEX sso_users_due ON sso_users (due_at, created_at) WHERE due_at > 0;
CREATE INDEX sso_users_state ON sso_users (state);

CREATE TABLE accounts (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    billing_status TEXT    NOT NULL,
    seen_at        INTEGER NOT NULL
) STRICT;

-- One row: the next free slot, and how many calls its day has had.
CREATE TABLE budget (
    id            INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    next_slot     INTEGER NOT NULL,
    day           INTEGER NOT NULL,
    used          INTEGER NOT NULL,
    exhausted_day INTEGER NOT NULL
) STRICT;

INSERT INTO budget (id, next_slot, day, used, exhausted_day) VALUES (1, 0, 0, 0, 0);

CREATE TABLE audit_events (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    ref     TEXT    NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    account TEXT    NOT NULL,
    sp      TEXT    NOT NULL,
    address TEXT    NOT NULL,
    outcome TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_ref ON audit_events (ref, id);
CREATE INDEX audit_events_actor ON audit_events (actor, id);
CREATE INDEX audit_events_action ON audit_events (action, id);
CREATE INDEX audit_events_subject ON audit_events (subject, id);
