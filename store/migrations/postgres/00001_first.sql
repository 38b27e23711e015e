-- +goose Up

-- Small numbers that belong to no table: how often the configuration changed,
-- how many sign-ins count toward the cap, when the store was last restored.
CREATE TABLE counters (
    name  TEXT    NOT NULL PRIMARY KEY,
    value BIGINT  NOT NULL
);

INSERT INTO counters (name, value) VALUES ('changes', 0), ('pending', 0), ('alive', 0), ('restored', 0);

-- counted: no session has gone on with it yet, so it counts toward the caps.
CREATE TABLE sign_ins (
    id          TEXT    NOT NULL PRIMARY KEY,
    browser     BYTEA,
    address     TEXT    NOT NULL,
    entity_id   TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    account     TEXT    NOT NULL,
    session     BYTEA,
    counted     BOOLEAN NOT NULL,
    data        BYTEA,
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    finished_at BIGINT  NOT NULL
);

CREATE UNIQUE INDEX sign_ins_request ON sign_ins (entity_id, request_id) WHERE request_id <> '';
CREATE INDEX sign_ins_counted ON sign_ins (address, expires_at) WHERE counted;
CREATE INDEX sign_ins_expiry ON sign_ins (expires_at);

CREATE TABLE sessions (
    token_hash       BYTEA   NOT NULL PRIMARY KEY,
    person_id        TEXT    NOT NULL,
    login            TEXT    NOT NULL,
    browser          BYTEA,
    authenticated_at BIGINT  NOT NULL,
    methods          TEXT    NOT NULL,
    reading          BYTEA,
    read_at          BIGINT  NOT NULL,
    seen_at          BIGINT  NOT NULL,
    ends_at          BIGINT  NOT NULL
);

CREATE INDEX sessions_person ON sessions (person_id);
CREATE INDEX sessions_end ON sessions (ends_at);
CREATE INDEX sessions_seen ON sessions (seen_at);

CREATE TABLE participations (
    token_hash     BYTEA   NOT NULL REFERENCES sessions (token_hash) ON DELETE CASCADE,
    entity_id      TEXT    NOT NULL,
    name_id        TEXT    NOT NULL,
    session_index  TEXT    NOT NULL,
    name_id_format TEXT    NOT NULL,
    issued_at      BIGINT  NOT NULL,
    PRIMARY KEY (token_hash, entity_id, name_id, session_index)
);

-- A LogoutRequest names a person's part at a service provider.
CREATE INDEX participations_name ON participations (entity_id, name_id);

-- Running single logouts; the records against replays of their requests as well.
CREATE TABLE logouts (
    id           TEXT    NOT NULL PRIMARY KEY,
    browser      BYTEA,
    entity_id    TEXT    NOT NULL,
    request_id   TEXT    NOT NULL,
    data         BYTEA,
    participants TEXT    NOT NULL,
    version      BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL,
    expires_at   BIGINT  NOT NULL,
    finished_at  BIGINT  NOT NULL
);

CREATE UNIQUE INDEX logouts_request ON logouts (entity_id, request_id) WHERE request_id <> '';
CREATE INDEX logouts_expiry ON logouts (expires_at);
CREATE INDEX logouts_browser ON logouts (browser, created_at) WHERE finished_at = 0;

CREATE TABLE known_browsers (
    login   TEXT    NOT NULL,
    browser BYTEA   NOT NULL,
    seen_at BIGINT  NOT NULL,
    PRIMARY KEY (login, browser)
);

CREATE INDEX known_browsers_seen ON known_browsers (seen_at);
-- Whether anybody signed in from a browser, for the caps on pending sign-ins.
CREATE INDEX known_browsers_browser ON known_browsers (browser);

CREATE TABLE login_failures (
    key_hash BYTEA   NOT NULL PRIMARY KEY,
    failures BIGINT  NOT NULL,
    ends_at  BIGINT  NOT NULL
);

CREATE INDEX login_failures_end ON login_failures (ends_at);

CREATE TABLE service_providers (
    entity_id  TEXT    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('constant_contact', 'saml')),
    enabled    BOOLEAN NOT NULL,
    record     TEXT    NOT NULL,
    refresh_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);

-- holder: '' for a private key in this row (sealed), 'pkcs11:LABEL' for one in a token.
CREATE TABLE signing_keys (
    id           TEXT   NOT NULL PRIMARY KEY,
    key_use      TEXT   NOT NULL CHECK (key_use IN ('signing', 'encryption', 'metadata')),
    state        TEXT   NOT NULL CHECK (state IN ('next', 'published', 'active', 'retiring', 'retired')),
    algorithm    TEXT   NOT NULL,
    certificate  BYTEA  NOT NULL,
    private      BYTEA  NOT NULL,
    holder       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    active_at    BIGINT NOT NULL,
    retiring_at  BIGINT NOT NULL,
    retired_at   BIGINT NOT NULL
);

-- Which key signs for a service provider; entity_id '' is for all without a row.
-- switch_at stays after its switch: sign-ins wait around it where wait_window says so.
CREATE TABLE sp_keys (
    entity_id       TEXT    NOT NULL PRIMARY KEY,
    key_id          TEXT    NOT NULL REFERENCES signing_keys (id),
    previous_key_id TEXT    NOT NULL,
    next_key_id     TEXT    NOT NULL,
    switch_at       BIGINT  NOT NULL,
    wait_window     BOOLEAN NOT NULL,
    confirmed_by    TEXT    NOT NULL,
    confirmed_at    BIGINT  NOT NULL,
    forced          BOOLEAN NOT NULL,
    updated_at      BIGINT  NOT NULL
);

CREATE TABLE mappings (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('group', 'group_pattern', 'attribute_pattern', 'person')),
    group_id   TEXT    NOT NULL,
    group_dn   TEXT    NOT NULL,
    attribute  TEXT    NOT NULL,
    pattern    TEXT    NOT NULL,
    person_id  TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('', 'account_manager', 'campaign_creator', 'owner')),
    priority   BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    created_by TEXT    NOT NULL
);

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
    mapping           BIGINT  NOT NULL,
    state             TEXT    NOT NULL CHECK (state IN
        ('wanted', 'sending', 'unknown', 'active', 'assumed', 'conflict', 'refused')),
    maybe_sent        BOOLEAN NOT NULL,
    attempts          BIGINT  NOT NULL,
    next_attempt      BIGINT  NOT NULL,
    lease_until       BIGINT  NOT NULL,
    due_at            BIGINT  NOT NULL,
    error_key         TEXT    NOT NULL,
    error_text        TEXT    NOT NULL,
    created_at        BIGINT  NOT NULL,
    updated_at        BIGINT  NOT NULL,
    PRIMARY KEY (person_id, account)
);

CREATE UNIQUE INDEX sso_users_external ON sso_users (external_provider, external_id);
CREATE UNIQUE INDEX sso_users_login ON sso_users (login_name) WHERE login_name <> '';
CREATE INDEX sso_users_due ON sso_users (due_at, created_at) WHERE due_at > 0;
CREATE INDEX sso_users_state ON sso_users (state);

CREATE TABLE accounts (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    billing_status TEXT    NOT NULL,
    seen_at        BIGINT  NOT NULL
);

-- One row: the next free slot, and how many calls its day has had.
CREATE TABLE budget (
    id            BIGINT  NOT NULL PRIMARY KEY CHECK (id = 1),
    next_slot     BIGINT  NOT NULL,
    day           BIGINT  NOT NULL,
    used          BIGINT  NOT NULL,
    exhausted_day BIGINT  NOT NULL
);

INSERT INTO budget (id, next_slot, day, used, exhausted_day) VALUES (1, 0, 0, 0, 0);

CREATE TABLE audit_events (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT  NOT NULL,
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
);

CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_ref ON audit_events (ref, id);
CREATE INDEX audit_events_actor ON audit_events (actor, id);
CREATE INDEX audit_events_action ON audit_events (action, id);
CREATE INDEX audit_events_subject ON audit_events (subject, id);
