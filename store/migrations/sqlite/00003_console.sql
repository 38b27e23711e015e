-- +goose Up

-- Forms of the console that were sent: none is taken twice.
CREATE TABLE used_forms (
    id      TEXT    NOT NULL PRIMARY KEY,
    used_at INTEGER NOT NULL
) STRICT;

CREATE INDEX used_forms_age ON used_forms (used_at);


-- What the charts of the console show, one number for a quarter of an hour.
CREATE TABLE figures (
    kind  TEXT    NOT NULL,
    at    INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (kind, at)
) STRICT;

CREATE INDEX figures_at ON figures (at);


-- Mappings: switched off ones, and what each was before.
-- Those that are switched off stand in a table of their own: the version before this one reads the other, and must
-- give nobody access by them.
CREATE TABLE mappings_off (
    id         INTEGER NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL,
    group_id   TEXT    NOT NULL,
    group_dn   TEXT    NOT NULL,
    attribute  TEXT    NOT NULL,
    pattern    TEXT    NOT NULL,
    person_id  TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    priority   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL
) STRICT;

-- what: added, changed, off, on, removed. state: the mapping as it was from then on, or until it was removed (JSON).
CREATE TABLE mapping_history (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    mapping INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    what    TEXT    NOT NULL,
    state   TEXT    NOT NULL
) STRICT;

CREATE INDEX mapping_history_mapping ON mapping_history (mapping, id);


-- Audit: its chain and the seals of it. The chain stands apart from the events: the version before this one goes on
-- writing events, which are chained a moment later.
-- at and action are those of the event, content is a hash of the rest, with salt. They stay when the event is purged, but for the
-- salt: without it nobody finds out by guessing what stood in the event.
CREATE TABLE audit_chain (
    seq     INTEGER NOT NULL PRIMARY KEY,
    event   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    action  TEXT    NOT NULL,
    salt    BLOB    NOT NULL,
    content BLOB    NOT NULL,
    hash    BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX audit_chain_event ON audit_chain (event);

CREATE TABLE audit_seals (
    seq       INTEGER NOT NULL PRIMARY KEY,
    hash      BLOB NOT NULL,
    at        INTEGER NOT NULL,
    signature BLOB NOT NULL
) STRICT;

-- For how long events of each action are kept (JSON), and when events were last purged by that. One row for each setting there was.
CREATE TABLE audit_retention (
    keep      TEXT    NOT NULL PRIMARY KEY,
    at        INTEGER NOT NULL,
    signature BLOB    NOT NULL
) STRICT;

-- Partial, so that the many events of sign-ins that went well cost little.
CREATE INDEX audit_events_account ON audit_events (account, id) WHERE account <> '';
CREATE INDEX audit_events_sp ON audit_events (sp, id) WHERE sp <> '';
CREATE INDEX audit_events_outcome ON audit_events (outcome, id) WHERE outcome <> 'ok';
CREATE INDEX audit_events_action_outcome ON audit_events (action, outcome, id) WHERE outcome <> 'ok';


-- Sign-in traces: one row for each HTTP request of a sign-in. The newest one of a
-- sign-in carries what is known of the whole.
CREATE TABLE traces (
    id         INTEGER PRIMARY KEY,
    sign_in    TEXT    NOT NULL,
    ref        TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    newest     INTEGER NOT NULL,
    stranger   INTEGER NOT NULL,
    person     TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    sp         TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    steps      TEXT    NOT NULL
) STRICT;

CREATE INDEX traces_sign_in ON traces (sign_in, id);
CREATE INDEX traces_ref ON traces (ref, id);
CREATE INDEX traces_at ON traces (at);
CREATE INDEX traces_newest ON traces (newest, id);
CREATE INDEX traces_stranger ON traces (stranger, id);
CREATE INDEX traces_person ON traces (person, id);
CREATE INDEX traces_account ON traces (account, id);
CREATE INDEX traces_sp ON traces (sp, id);
CREATE INDEX traces_outcome ON traces (outcome, id);

-- Whose assertions are captured until when, and what was captured, sealed with secret_key.
CREATE TABLE trace_captures (
    person  TEXT    NOT NULL PRIMARY KEY,
    ends_at INTEGER NOT NULL,
    actor   TEXT    NOT NULL
) STRICT;

CREATE TABLE trace_captured (
    id     INTEGER PRIMARY KEY,
    person TEXT    NOT NULL,
    ref    TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    sealed BLOB    NOT NULL
) STRICT;

CREATE INDEX trace_captured_ref ON trace_captured (ref, id);
CREATE INDEX trace_captured_at ON trace_captured (at);
CREATE INDEX trace_captured_person ON trace_captured (person);


-- Second factors.
-- What proves a factor is sealed with secret_key, for its person and row: who writes into the database alone can't give
-- anybody a factor.
CREATE TABLE second_factors (
    id         TEXT    NOT NULL PRIMARY KEY,
    person_id  TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX second_factors_person ON second_factors (person_id, created_at);

-- What else is known of a person's factors: an invitation to enrol the first one (the hash of its code, empty for none),
-- and when they last put the offer of one off. Its row is also the lock under which factors are enrolled.
CREATE TABLE second_factor_people (
    person_id      TEXT    NOT NULL PRIMARY KEY,
    invite         BLOB    NOT NULL,
    invite_ends_at INTEGER NOT NULL,
    delayed_at     INTEGER NOT NULL
) STRICT;

-- What client accounts ask for that have a setting of their own.
CREATE TABLE second_factor_policies (
    account TEXT NOT NULL PRIMARY KEY,
    policy  TEXT NOT NULL
) STRICT;
