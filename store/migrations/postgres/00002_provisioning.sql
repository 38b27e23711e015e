-- +goose Up

-- What is new has a default: the version before this one goes on writing rows without it.
-- class: 0 a person waits, 1 tried again, 2 a plan. before_state: what a suspended row was.
ALTER TABLE sso_users ADD COLUMN class BIGINT NOT NULL DEFAULT 0 CHECK (class IN (0, 1, 2));
ALTER TABLE sso_users ADD COLUMN plan BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sso_users ADD COLUMN before_state TEXT NOT NULL DEFAULT '';
ALTER TABLE sso_users DROP CONSTRAINT sso_users_state_check;
ALTER TABLE sso_users ADD CONSTRAINT sso_users_state_known CHECK (state IN
    ('wanted', 'sending', 'unknown', 'active', 'assumed', 'conflict', 'refused', 'suspended'));

DROP INDEX sso_users_state;

CREATE INDEX sso_users_queue ON sso_users (class, due_at, created_at) WHERE due_at > 0;
CREATE INDEX sso_users_by_state ON sso_users (state, person_id, account);
CREATE INDEX sso_users_account ON sso_users (account, person_id);

-- While creations are held (since: when, 0: they are not), no plan creates anybody, and a 409 counts as our own user.
CREATE TABLE hold (
    id     BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    since  BIGINT NOT NULL,
    holder TEXT    NOT NULL,
    reason TEXT    NOT NULL
);

INSERT INTO hold (id, since, holder, reason)
SELECT 1, value, CASE WHEN value > 0 THEN 'restore' ELSE '' END, CASE WHEN value > 0 THEN 'restore' ELSE '' END
  FROM counters WHERE name = 'restored';

-- factor: how much of the allowed rate is used, in thousandths; it falls when Constant Contact throttles, and recovers from
-- factor_at on. round: calls made of the present round, where calls go by rounds.
ALTER TABLE budget ADD COLUMN factor BIGINT NOT NULL DEFAULT 1000;
ALTER TABLE budget ADD COLUMN factor_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN throttled BIGINT NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN used_retry BIGINT NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN used_plan BIGINT NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN round BIGINT NOT NULL DEFAULT 0;

-- One row: whether calls are stopped because credentials or Constant Contact fail.
CREATE TABLE breaker (
    id         BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    cause      TEXT    NOT NULL,
    opened_at  BIGINT NOT NULL,
    open_until BIGINT NOT NULL,
    trips      BIGINT NOT NULL,
    probing    BIGINT NOT NULL
);

INSERT INTO breaker (id, cause, opened_at, open_until, trips, probing) VALUES (1, '', 0, 0, 0, 0);

-- Work that one replica does for all, and until when it has it.
CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    holder     TEXT    NOT NULL,
    held_until BIGINT NOT NULL
);

CREATE TABLE plans (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        TEXT    NOT NULL CHECK (kind IN ('admin', 'watch')),
    state       TEXT    NOT NULL CHECK (state IN
        ('making', 'ready', 'applying', 'paused', 'stopped', 'done', 'dropped')),
    mappings    TEXT    NOT NULL,
    people      BIGINT NOT NULL,
    creations   BIGINT NOT NULL,
    leavers     BIGINT NOT NULL,
    drifted     BIGINT NOT NULL,
    blocked     BIGINT NOT NULL,
    max_create  BIGINT NOT NULL,
    max_skipped BIGINT NOT NULL,
    done        BIGINT NOT NULL,
    failed      BIGINT NOT NULL,
    skipped     BIGINT NOT NULL,
    reason      TEXT    NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT    NOT NULL,
    applied_at  BIGINT NOT NULL,
    applied_by  TEXT    NOT NULL,
    finished_at BIGINT NOT NULL
);

CREATE INDEX plans_state ON plans (state);
-- At most one plan is being applied.
CREATE UNIQUE INDEX plans_applying ON plans (state) WHERE state = 'applying';

CREATE TABLE plan_items (
    plan       BIGINT NOT NULL REFERENCES plans (id) ON DELETE CASCADE,
    position   BIGINT NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('create', 'leaver', 'drift', 'blocked')),
    person_id  TEXT    NOT NULL,
    login      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    told       TEXT    NOT NULL,
    mapping    BIGINT NOT NULL,
    why        TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('open', 'claimed', 'sending', 'done', 'failed', 'skipped')),
    reason     TEXT    NOT NULL,
    due_at     BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (plan, position)
);

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
    since     BIGINT NOT NULL,
    plan      BIGINT NOT NULL,
    done_at   BIGINT NOT NULL,
    done_by   TEXT    NOT NULL,
    PRIMARY KEY (person_id, account, kind)
);

CREATE INDEX manual_work_open ON manual_work (since, person_id, account, kind) WHERE done_at = 0;

ALTER TABLE accounts ADD COLUMN plan_type TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN checked_at BIGINT NOT NULL DEFAULT 0;

-- What a new mapping may clash with is found by it.
CREATE INDEX mappings_account ON mappings (account);

-- Creations of client accounts: the intention before the call, its outcome after. body is sent again as it stands.
CREATE TABLE account_requests (
    id                 BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
    created_at         BIGINT NOT NULL,
    created_by         TEXT    NOT NULL,
    updated_at         BIGINT NOT NULL
);

CREATE UNIQUE INDEX account_requests_login ON account_requests (login_name);

-- Client accounts whose state is to be read again, because a webhook said that something changed.
CREATE TABLE account_hints (
    account  TEXT    NOT NULL PRIMARY KEY,
    event    TEXT    NOT NULL,
    hints    BIGINT NOT NULL,
    hint_at  BIGINT NOT NULL,
    due_at   BIGINT NOT NULL,
    read_at  BIGINT NOT NULL
);

CREATE INDEX account_hints_due ON account_hints (due_at) WHERE due_at > 0;

-- How many of these readings their day has had.
INSERT INTO counters (name, value) VALUES ('hint_day', 0), ('hint_readings', 0);
