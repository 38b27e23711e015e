-- +goose Up

-- People's epochs.
-- A login or a proof that was begun under an older epoch stores nothing: ending all sessions, removing a factor and
-- suspending a person raise it. Without a row the epoch is 0.
CREATE TABLE person_epochs (
    person_id TEXT    NOT NULL PRIMARY KEY,
    epoch     INTEGER NOT NULL
) STRICT;


-- Replicas.
-- The running programs, each seen within the last half minute: what they can read (schema), which secret keys they know, by the
-- keys' ids with blanks between, and as which identity provider they sign.
CREATE TABLE replicas (
    id          TEXT    NOT NULL PRIMARY KEY,
    schema      INTEGER NOT NULL,
    secret_keys TEXT    NOT NULL,
    entity_id   TEXT    NOT NULL,
    seen_at     INTEGER NOT NULL
) STRICT;


-- The ledger.
-- failures: attempts in a row that Constant Contact did not answer clearly; the back-off depends on them alone, and not on claims
-- whose process died. earliest_attempt: until when not even a waiting person brings the next attempt forward.
ALTER TABLE sso_users ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sso_users ADD COLUMN earliest_attempt INTEGER NOT NULL DEFAULT 0;
-- throttles: how often in a row Constant Contact, or a gateway before it, asked for a slower pace.
ALTER TABLE sso_users ADD COLUMN throttles INTEGER NOT NULL DEFAULT 0;
-- seen_at: the time when the row was last written; a clock that shows less was put back, and all that was reckoned from it moves along.
-- jumped_at, jumped_by: when that was last seen, and by how much (microseconds). next_token: the next slot of a token request.
-- worked_at: when Constant Contact last answered a call as it should. departed: how many calls have gone out.
ALTER TABLE budget ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN next_token INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN worked_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN departed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN jumped_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN jumped_by INTEGER NOT NULL DEFAULT 0;
-- Calls that went out, the last ones of them: from opens_at on as many calls may have gone out since as a second allows. It lies a second
-- behind the answer, which bounds when the call arrived; without one, behind the time that the call can have taken.
CREATE TABLE departures (
    n        INTEGER NOT NULL PRIMARY KEY,
    opens_at INTEGER NOT NULL
) STRICT;
-- error_cause: why the last attempt did not end it, in one word for programs; it belongs to error_text while cause_at is updated_at.
-- The version before writes and reads the word at the beginning of error_text, where it stays for now.
ALTER TABLE sso_users ADD COLUMN error_cause TEXT NOT NULL DEFAULT '';
ALTER TABLE sso_users ADD COLUMN cause_at INTEGER NOT NULL DEFAULT 0;

-- first_sign_in_at: when the person first signed in to the client account by a Response of the bridge; signed_in_at: when they last did,
-- to a day; 0: not since the bridge notes it.
ALTER TABLE sso_users ADD COLUMN first_sign_in_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sso_users ADD COLUMN signed_in_at INTEGER NOT NULL DEFAULT 0;

-- SSO users whose person has another name or mail address in the directory than Constant Contact was given (given_*), which
-- only an administrator can change there: the manual task. It goes with the user's row. found_at: when the values of the
-- directory were last written; done_at, done_by: when the task was completed, and by whom.
CREATE TABLE changed_users (
    person_id        TEXT    NOT NULL,
    account          TEXT    NOT NULL,
    given_first_name TEXT    NOT NULL,
    given_last_name  TEXT    NOT NULL,
    given_email      TEXT    NOT NULL,
    first_name       TEXT    NOT NULL,
    last_name        TEXT    NOT NULL,
    contact_email    TEXT    NOT NULL,
    since            INTEGER NOT NULL,
    found_at         INTEGER NOT NULL,
    done_at          INTEGER NOT NULL DEFAULT 0,
    done_by          TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (person_id, account),
    FOREIGN KEY (person_id, account) REFERENCES sso_users (person_id, account) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX changed_users_open ON changed_users (since, person_id, account) WHERE done_at = 0;
CREATE INDEX changed_users_done ON changed_users (since, person_id, account) WHERE done_at > 0;

-- Whoever ordered a client account, and the users that were told of with a mapping.
CREATE INDEX account_requests_person ON account_requests (person_id) WHERE person_id <> '';
-- Under which key a program has ordered a client account: a hash of its token and Idempotency-Key, as hexadecimal digits; empty: under none.
ALTER TABLE account_requests ADD COLUMN request_key TEXT NOT NULL DEFAULT '';
-- The partner's own id of the client account, by which a program asks how its order stands; empty: it gave none.
ALTER TABLE account_requests ADD COLUMN partner_id TEXT NOT NULL DEFAULT '';
CREATE INDEX account_requests_partner ON account_requests (partner_id, id) WHERE partner_id <> '';
CREATE INDEX account_requests_open ON account_requests (id) WHERE state IN ('wanted', 'sending', 'unknown', 'accepted');
CREATE INDEX account_requests_key ON account_requests (request_key) WHERE request_key <> '';
CREATE INDEX sso_users_owner ON sso_users (mapping) WHERE role = 'owner' AND attempts = 0;
-- Each column that points to another table has an index: a removal there looks for it.
CREATE INDEX sp_keys_key ON sp_keys (key_id);

-- Of what the version before counted nobody knows which attempts were answered: such a row waits a minute at most.
UPDATE sso_users SET failures = CASE WHEN attempts > 7 THEN 7 ELSE attempts END
 WHERE state IN ('wanted', 'sending', 'unknown');


-- External ids that differ in letter case only are refused. No unique index: the version before stores them.
CREATE INDEX sso_users_external_lower ON sso_users (LOWER(external_id));
-- Whoever stores an external id takes one of these rows first, by the id without its case, so that two forms of one id are never
-- checked at the same time.
INSERT INTO counters (name, value) VALUES
    ('external_ids/0', 0), ('external_ids/1', 0), ('external_ids/2', 0), ('external_ids/3', 0),
    ('external_ids/4', 0), ('external_ids/5', 0), ('external_ids/6', 0), ('external_ids/7', 0),
    ('external_ids/8', 0), ('external_ids/9', 0), ('external_ids/10', 0), ('external_ids/11', 0),
    ('external_ids/12', 0), ('external_ids/13', 0), ('external_ids/14', 0), ('external_ids/15', 0);


-- Secret keys.
-- Which ones have made something that is kept here, by their ids; the keys themselves stand in files of each replica. Each of
-- them has to be in the configuration of every replica, until it is removed (removed_at): then audit_key is the public key by which its
-- checkpoints of the audit log are still verified, and mac vouches for the row under a secret key that is known.
CREATE TABLE secret_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    first_used INTEGER NOT NULL,
    removed_at INTEGER NOT NULL DEFAULT 0,
    audit_key  BLOB   NOT NULL DEFAULT x'',
    mac        BLOB   NOT NULL DEFAULT x''
) STRICT;


-- Client accounts in one form.
-- What stands in another form is looked for by account.
CREATE INDEX manual_work_account ON manual_work (account);
CREATE INDEX manual_work_done ON manual_work (since, person_id, account, kind) WHERE done_at > 0;
CREATE INDEX sso_users_account_state ON sso_users (account, state, person_id);


-- Groups by their immutable id.
-- What the directory answered to a group's DN that somebody wrote into the configuration or at a service provider: the group's
-- id decides from then on. Without one ('') the directory shows none, and the DN as it spells it decides. gone_at: since
-- when the DN names nothing (0: it does). other_id: the group that the DN names now, which has no access until it is accepted.
CREATE TABLE named_groups (
    written     TEXT    NOT NULL PRIMARY KEY,
    group_id    TEXT    NOT NULL,
    group_dn    TEXT    NOT NULL,
    resolved_at INTEGER NOT NULL,
    gone_at     INTEGER NOT NULL DEFAULT 0,
    other_id    TEXT    NOT NULL DEFAULT '',
    other_dn    TEXT    NOT NULL DEFAULT ''
) STRICT;

-- Patterns over group names without a base, as the version before stores them: when check and the console first named one to an
-- administrator (0: not yet). Thirty days after both it gives nobody anything any more.
CREATE TABLE baseless_patterns (
    mapping    INTEGER NOT NULL PRIMARY KEY,
    check_at   INTEGER NOT NULL DEFAULT 0,
    console_at INTEGER NOT NULL DEFAULT 0
) STRICT;


-- NameIDs.
-- To whom a NameID was first issued at a service provider: it is issued to nobody else there. name is a keyed hash of service
-- provider and NameID, owner one of the person's id; both stay when a person is forgotten, person_id is emptied then.
CREATE TABLE name_ids (
    name      BLOB    NOT NULL PRIMARY KEY,
    owner     BLOB    NOT NULL,
    person_id TEXT    NOT NULL,
    entity_id TEXT    NOT NULL,
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX name_ids_person ON name_ids (person_id) WHERE person_id <> '';

-- The key of these hashes, sealed with secret_key: another secret key seals it anew, and no hash has to change.
CREATE TABLE name_id_key (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL
) STRICT;

-- What the version before issued is taken over: it writes 0.
ALTER TABLE participations ADD COLUMN registered INTEGER NOT NULL DEFAULT 0;

CREATE INDEX participations_unregistered ON participations (issued_at) WHERE registered = 0;



-- Tries.
-- What may be guessed is counted before it is judged. kind 'person': wrong passwords, subject is the person's id; 'code': wrong
-- second factors of a person, in all browsers that never proved one (browser is empty) or in one that did; 'address': judged
-- failures, subject is the block of addresses. taken counts the tries in flight too; in_flight says how many these are, and is
-- not believed past in_flight_until, since a program may die. next_at spaces the tries of an address that is past its limit.
-- The table login_failures stays for the program of the version before.
CREATE TABLE tries (
    kind            TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    browser         BLOB    NOT NULL,
    taken           INTEGER NOT NULL,
    in_flight       INTEGER NOT NULL,
    in_flight_until INTEGER NOT NULL,
    ends_at         INTEGER NOT NULL,
    next_at         INTEGER NOT NULL,
    PRIMARY KEY (kind, subject, browser)
) STRICT, WITHOUT ROWID;

CREATE INDEX tries_end ON tries (ends_at);

-- The browsers in which a person proved a second factor: a limit of their own for wrong ones hangs on it.
CREATE TABLE proved_browsers (
    person_id TEXT    NOT NULL,
    browser   BLOB    NOT NULL,
    seen_at   INTEGER NOT NULL,
    PRIMARY KEY (person_id, browser)
) STRICT, WITHOUT ROWID;

CREATE INDEX proved_browsers_seen ON proved_browsers (seen_at);

-- Wrong second factors by browser since the person last proved one: the owner sees those of other browsers at the next proof.
CREATE TABLE wrong_codes (
    person_id TEXT    NOT NULL,
    browser   BLOB    NOT NULL,
    codes     INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    PRIMARY KEY (person_id, browser)
) STRICT, WITHOUT ROWID;

CREATE INDEX wrong_codes_last ON wrong_codes (last_at);

-- Since when each browser has been used by a person, and when it was last: a factor that the password alone enrolled counts as shown to its
-- owner in the one that was used for longest. Those of the living sessions are taken over.
CREATE TABLE person_browsers (
    person_id TEXT    NOT NULL,
    browser   BLOB    NOT NULL,
    first_at  INTEGER NOT NULL,
    seen_at   INTEGER NOT NULL,
    PRIMARY KEY (person_id, browser)
) STRICT, WITHOUT ROWID;

CREATE INDEX person_browsers_seen ON person_browsers (seen_at);

INSERT INTO person_browsers (person_id, browser, first_at, seen_at)
SELECT person_id, browser, MIN(authenticated_at), MAX(authenticated_at) FROM sessions WHERE browser IS NOT NULL GROUP BY person_id, browser;



-- Sign-ins.
-- mac vouches for the row under a key that is not in the database. A row without one, as the version before writes it, is a sign-in
-- only as long as that version may have written it.
ALTER TABLE sign_ins ADD COLUMN mac BLOB NOT NULL DEFAULT x'';

-- One row: when a program of the version before was last seen, vouched for as well. Until an hour later sign-ins are stored when they are
-- started, as it does.
CREATE TABLE older_replicas (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seen_at INTEGER NOT NULL,
    mac     BLOB NOT NULL
) STRICT;


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
-- How each was enrolled ("invitation", "factor", "password", "demand", "before" this column was there), when an invitation or
-- a confirmed factor confirmed it, when the person was first shown at a login that it was added, and the person's epoch
-- then. mac vouches for these under a key that is not in the database; without one nothing of them counts, as for what the
-- version before enrols.
ALTER TABLE second_factors ADD COLUMN enrolled_by TEXT NOT NULL DEFAULT '';
ALTER TABLE second_factors ADD COLUMN confirmed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE second_factors ADD COLUMN noticed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE second_factors ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE second_factors ADD COLUMN mac BLOB NOT NULL DEFAULT x'';


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

-- One row: where this database stands (empty until it is known), where it stood before it was settled here, and since when it has kept
-- revocations.
CREATE TABLE store_place (
    id        INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    place     TEXT    NOT NULL,
    former    TEXT    NOT NULL DEFAULT '',
    began_at  INTEGER NOT NULL
) STRICT;

INSERT INTO store_place (id, place, began_at) VALUES (1, '', CAST(strftime('%s', 'now') AS INTEGER) * 1000000);


-- Audit.
-- What the writer of an event vouched for it by: a random number and a MAC over that and the event. Who writes the database without a
-- secret key can make none. Empty: by the version before, or by nobody of ours; foreign_event is 1 where the second was found.
ALTER TABLE audit_events ADD COLUMN mac BLOB    NOT NULL DEFAULT x'';
ALTER TABLE audit_chain ADD COLUMN foreign_event INTEGER NOT NULL DEFAULT 0;
CREATE INDEX audit_chain_foreign ON audit_chain (event) WHERE foreign_event = 1;

-- Of a purged event: its outcome, and a MAC that vouches for it, since outcomes may be kept for different times.
ALTER TABLE audit_chain ADD COLUMN outcome   TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_chain ADD COLUMN purge_mac BLOB NOT NULL DEFAULT x'';

-- Where the chain begins after its oldest entries were removed, all of whose events had been purged: number and hash of the last one
-- that went, and how many went, by action and outcome (JSON). The last row counts, and is signed.
CREATE TABLE audit_cuts (
    seq       INTEGER NOT NULL PRIMARY KEY,
    hash      BLOB    NOT NULL,
    at        INTEGER NOT NULL,
    counts    TEXT    NOT NULL,
    signature BLOB    NOT NULL
);


-- What is wrong with the audit log and known: verification goes on past it. digest is over what stands there and what should; one
-- acknowledgement (number) can be of several. seq and event say where it begins. The signature is over the row.
CREATE TABLE audit_acknowledged (
    digest    BLOB    NOT NULL PRIMARY KEY,
    number    INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    event     INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    actor     TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    signature BLOB    NOT NULL
) STRICT;


-- How many events of a kind there were in a quarter of an hour, so that nobody counts events. sp is empty where nobody is known: strangers
-- name any. The counter says how far the chain was summed up.
CREATE TABLE event_sums (
    at      INTEGER NOT NULL,
    action  TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason  TEXT NOT NULL,
    sp      TEXT NOT NULL,
    events  INTEGER NOT NULL,
    PRIMARY KEY (at, action, outcome, reason, sp)
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) SELECT 'events_summed', COALESCE(MAX(seq), 0) FROM audit_chain;


-- Traces.
-- The indexes that a launch writes to, and which query needs each. Of traces: sign_in the next request of the sign-in and its page; ref
-- whoever looks a reference up; at the purge, and lists of a period; person, account and sp lists that are filtered by them.
-- Of audit_events: at the purge, and lists of a period; ref a reference; actor and subject what was done by and to a person; action,
-- account and sp lists that are filtered by them. What went well is in no index of outcomes.
-- The requests of a sign-in are found by it. An index whose rows are all alike is one that SQLite without statistics may take all the
-- same, and read every trace by. The others have what somebody looks for, and no more.
DROP INDEX traces_newest;
DROP INDEX traces_stranger;
DROP INDEX traces_person;
DROP INDEX traces_account;
DROP INDEX traces_sp;
DROP INDEX traces_outcome;
CREATE INDEX traces_of_strangers ON traces (id) WHERE stranger = 1;
CREATE INDEX traces_of_person ON traces (person, id) WHERE newest = 1 AND person <> '';
CREATE INDEX traces_of_account ON traces (account, id) WHERE newest = 1 AND account <> '';
CREATE INDEX traces_of_sp ON traces (sp, id) WHERE newest = 1 AND sp <> '';
CREATE INDEX traces_not_ok ON traces (outcome, id) WHERE newest = 1 AND outcome <> 'ok';

-- How many requests of a reason were only counted in a quarter of an hour, and between which moments: past a bound they leave neither
-- trace nor log line. Their references carry reason and minute, and are answered from here.
CREATE TABLE request_counts (
    reason   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (reason, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_counts_at ON request_counts (at);


-- The console.
-- When the console was last used in a session, by navigations and forms; 0: never. Live pages and searches as one types don't count.
ALTER TABLE sessions ADD COLUMN console_at INTEGER NOT NULL DEFAULT 0;


-- Mappings.
-- 1: whom the mapping gives an account get their user there at their first sign-in, and no plan creates them. The version before creates
-- everybody by plans, and writes 0 where it changes a mapping.
ALTER TABLE mappings ADD COLUMN at_sign_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mappings_off ADD COLUMN at_sign_in INTEGER NOT NULL DEFAULT 0;


-- Plans.
-- at_sign_in: users that are left to the first sign-in. groups_read: those of the directory that were read. maker: the process that makes
-- the plan; it has the lease "plan" while it runs. fault: why the making ended without a plan, in a sentence for an administrator.
-- mapping_people: how many people each mapping gave a client account, as a JSON object by its number; '' while it is made.
ALTER TABLE plans ADD COLUMN at_sign_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE plans ADD COLUMN groups_read INTEGER NOT NULL DEFAULT 0;
ALTER TABLE plans ADD COLUMN maker TEXT NOT NULL DEFAULT '';
ALTER TABLE plans ADD COLUMN fault TEXT NOT NULL DEFAULT '';
ALTER TABLE plans ADD COLUMN mapping_people TEXT NOT NULL DEFAULT '';


-- People.
-- How somebody is called, as the directory said at their last login: lists show it beside the id. It is there for people who were refused,
-- too, who have no row in the ledger. It goes a long time after the last login, and with users forget.
CREATE TABLE people (
    person_id TEXT PRIMARY KEY,
    login     TEXT NOT NULL,
    name      TEXT NOT NULL,
    seen_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX people_seen_at ON people (seen_at);
-- An administrator names somebody by login who is not in the directory any more.
CREATE INDEX people_login ON people (lower(login));
CREATE INDEX manual_work_login ON manual_work (lower(login));


-- Health.
-- One row: the last health snapshot (JSON), which one replica makes, when somebody last signed in at a service provider on any
-- replica, and how many calls to Constant Contact have failed, why the last one did, and when. They count from budget.worked_at on.
CREATE TABLE health (
    id             INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    at             INTEGER NOT NULL,
    maker          TEXT NOT NULL,
    content        TEXT NOT NULL,
    signed_in_at   INTEGER NOT NULL,
    call_failures  INTEGER NOT NULL,
    call_failed_at INTEGER NOT NULL,
    call_why       TEXT NOT NULL
) STRICT;

INSERT INTO health (id, at, maker, content, signed_in_at, call_failures, call_failed_at, call_why) VALUES (1, 0, '', '', 0, 0, 0, '');


-- The REST API.
-- Tokens by which programs call it: hash is the SHA-256 of the whole token, and is emptied when the token is revoked. A client that proves
-- itself by a key has public_key ('': none) and its thumbprint as hash. scopes, accounts
-- (empty: all) and networks (empty: any) have blanks between. vouched_by is who gave a second factor for it. replaced_by is the token
-- that a rotation made. mac vouches for all but the last use.
-- refused counts the uses from other networks than the token's, and those of a proof that was used before, since the last event about
-- them, at refused_at.
CREATE TABLE api_tokens (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    hash        BLOB NOT NULL,
    public_key  TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    accounts    TEXT NOT NULL,
    networks    TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    vouched_by  TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER NOT NULL,
    replaced_by TEXT NOT NULL,
    used_at     INTEGER NOT NULL,
    used_from   TEXT NOT NULL,
    refused_at  INTEGER NOT NULL,
    refused     INTEGER NOT NULL,
    mac         BLOB NOT NULL
) STRICT;

-- Tokens that clients with a key got for a short while: client is a row of api_tokens, and ends them with itself. hash is the SHA-256 of the
-- whole token. mac vouches for the whole row.
CREATE TABLE access_tokens (
    id         TEXT NOT NULL PRIMARY KEY,
    client     TEXT NOT NULL,
    hash       BLOB NOT NULL,
    scopes     TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    mac        BLOB NOT NULL
) STRICT;

CREATE INDEX access_tokens_client ON access_tokens (client, expires_at);
CREATE INDEX access_tokens_expires_at ON access_tokens (expires_at);

-- Answers to requests with an Idempotency-Key, for a day: key is a hash of token and key, request one of method, path and body. Without a
-- status the request is being worked on, until taken_until at most. answer is sealed. made is written by the change that the request asks for:
-- empty before it, then what it made.
CREATE TABLE api_answers (
    key         BLOB NOT NULL PRIMARY KEY,
    request     BLOB NOT NULL,
    began_at    INTEGER NOT NULL,
    taken_until INTEGER NOT NULL,
    claim       TEXT NOT NULL,
    status      INTEGER NOT NULL,
    answer      BLOB NOT NULL,
    made        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX api_answers_began ON api_answers (began_at);


-- Sources of people beside the directory.
-- Tokens that were used, by their source (or token:ID of a client of the REST API) and a hash of their jti: none begins two sessions or
-- gets two access tokens, on whichever replica. ends_at lies behind the
-- time until when the token could be used.
CREATE TABLE used_tokens (
    source  TEXT NOT NULL,
    token   BLOB NOT NULL,
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (source, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX used_tokens_ends_at ON used_tokens (ends_at);

-- By what sources name the sessions that they have begun: person, or sub and session at an OpenID provider, by hashes. person_id is who
-- came under the name last ('': nobody yet). ended is the number of the last sign-out there, of the counter of epochs (0: none): a sign-in
-- that came before it begins no session. A sign-out and the begin of a session meet in this row, so that one of them sees the other.
CREATE TABLE source_sessions (
    source    TEXT NOT NULL,
    name      BLOB NOT NULL,
    person_id TEXT NOT NULL,
    ended     INTEGER NOT NULL,
    ends_at   INTEGER NOT NULL,
    PRIMARY KEY (source, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX source_sessions_ends_at ON source_sessions (ends_at);
CREATE INDEX source_sessions_person ON source_sessions (person_id) WHERE person_id <> '';

-- The public keys that were last fetched for a source, for when none can be fetched: also after a start. mac vouches for the row.
CREATE TABLE source_keys (
    source     TEXT NOT NULL PRIMARY KEY,
    content    BLOB NOT NULL,
    fetched_at INTEGER NOT NULL,
    mac        BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What administrators have done with a source: without a row, nothing. disabled_at: since when none of its tokens is taken; 0: it is in use.
-- revoked_at: tokens and sessions that are older are refused; 0: none.
CREATE TABLE sources (
    name        TEXT NOT NULL PRIMARY KEY,
    disabled_at INTEGER NOT NULL,
    revoked_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- People of sources, whom no directory has. claims is what the last token of their source said of them (JSON; empty: none came yet), seen_at
-- when that was, to an hour. They are searched by the find columns, which are in lower case. A row goes some time after the last token
-- (sources.NAME.keep), and with users forget.
CREATE TABLE source_people (
    person_id  TEXT NOT NULL PRIMARY KEY,
    source     TEXT NOT NULL,
    login      TEXT NOT NULL,
    claims     TEXT NOT NULL,
    seen_at    INTEGER NOT NULL,
    find_login TEXT NOT NULL,
    find_first TEXT NOT NULL,
    find_last  TEXT NOT NULL,
    find_mail  TEXT NOT NULL
) STRICT;
CREATE INDEX source_people_seen_at ON source_people (source, seen_at, person_id);
CREATE INDEX source_people_login ON source_people (find_login, source, person_id);
CREATE INDEX source_people_first ON source_people (find_first);
CREATE INDEX source_people_last ON source_people (find_last);
CREATE INDEX source_people_mail ON source_people (find_mail);

-- People of the directory whom users move-source took to a source: by the id that the directory has, and by the one that they come by from
-- now on. Nobody is created by the former one.
CREATE TABLE moved_people (
    person_id TEXT NOT NULL PRIMARY KEY,
    moved_to  TEXT NOT NULL,
    moved_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX moved_people_to ON moved_people (moved_to);


-- Notices.
-- The outbox: what happened that somebody may have asked to hear of. Each row is written in the transaction of what it reports. cause is
-- empty, or names the one thing that is reported once. not_to is the subscription that must not get it. spread is 1 once its deliveries
-- stand in the next table.
CREATE TABLE notices (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    class   TEXT NOT NULL,
    cause   TEXT NOT NULL,
    ref     TEXT NOT NULL,
    actor   TEXT NOT NULL,
    subject TEXT NOT NULL,
    account TEXT NOT NULL,
    sp      TEXT NOT NULL,
    detail  TEXT NOT NULL,
    not_to  TEXT NOT NULL,
    spread  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX notices_cause ON notices (cause) WHERE cause <> '';
CREATE INDEX notices_unspread ON notices (id) WHERE spread = 0;
CREATE INDEX notices_at ON notices (at);

-- Who gets which notices. sealed holds where they go and by which secrets. quiet_from and quiet_until are minutes of the day in UTC; the
-- same: there are no quiet hours. From holder on it is how the deliveries stand: who delivers and until when, when the next message may
-- go, failures without a success between, whether what waits goes as one message, the hour in which messages are counted and how many
-- went in it, the last success, the last answer, and how many were given up or never put in.
CREATE TABLE notice_subscriptions (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    classes     TEXT   NOT NULL,
    sealed      BLOB NOT NULL,
    names       INTEGER NOT NULL,
    quiet_from  INTEGER NOT NULL,
    quiet_until INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    holder      TEXT   NOT NULL,
    held_until  INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    failures    INTEGER NOT NULL,
    digest      INTEGER NOT NULL,
    window_at   INTEGER NOT NULL,
    window_sent INTEGER NOT NULL,
    sent_at     INTEGER NOT NULL,
    answer      TEXT   NOT NULL,
    dead        INTEGER NOT NULL,
    dead_at     INTEGER NOT NULL,
    dropped     INTEGER NOT NULL,
    dropped_at  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX notice_subscriptions_name ON notice_subscriptions (name);

-- What became of a notice at a subscription: waiting, sent, dead or dropped. message is the id that its receiver saw.
CREATE TABLE notice_deliveries (
    notice       INTEGER NOT NULL,
    subscription TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    tries        INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    tried_at     INTEGER NOT NULL,
    message      TEXT   NOT NULL,
    answer       TEXT   NOT NULL,
    PRIMARY KEY (notice, subscription)
) STRICT, WITHOUT ROWID;

CREATE INDEX notice_deliveries_waiting ON notice_deliveries (subscription, due_at, notice) WHERE state = 'waiting';
CREATE INDEX notice_deliveries_subscription ON notice_deliveries (subscription, notice);
CREATE INDEX notice_deliveries_dead ON notice_deliveries (notice, subscription) WHERE state IN ('dead', 'dropped');
CREATE INDEX notice_deliveries_dead_of ON notice_deliveries (subscription, notice) WHERE state IN ('dead', 'dropped');

-- States that were reported and have not ended, such as an unreachable directory, and administrators who were reported as new.
CREATE TABLE notice_states (
    state TEXT   NOT NULL PRIMARY KEY,
    at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('notices_spread', 0);


-- What a service provider was before its last change (removed: which removed it), so that the change can be undone for ten
-- minutes. choice: the signing key that was chosen for one that was removed, as JSON; empty: none of its own.
CREATE TABLE provider_undo (
    entity_id  TEXT   NOT NULL PRIMARY KEY,
    record     TEXT   NOT NULL,
    refresh_at INTEGER NOT NULL,
    removed    INTEGER NOT NULL,
    choice     TEXT   NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX provider_undo_at ON provider_undo (changed_at);


-- Client accounts that people order for themselves. waiting: for an administrator's approval, until expires_at; ordered: the account_requests
-- row of that number is their order; the other states are ends. epoch is the number of the person's last revocation when they ordered: after
-- another one nothing is sent. plan is set once the client account is there, as plan_state says (empty: none is to be set).
CREATE TABLE self_orders (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    person_id         TEXT NOT NULL,
    login             TEXT NOT NULL,
    login_name        TEXT NOT NULL,
    organization_name TEXT NOT NULL,
    body              TEXT NOT NULL,
    external_id       TEXT NOT NULL,
    plan              TEXT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('waiting', 'ordered', 'created', 'refused', 'expired', 'stopped', 'failed')),
    reason            TEXT NOT NULL,
    epoch             INTEGER NOT NULL,
    request           INTEGER NOT NULL,
    plan_state        TEXT NOT NULL,
    plan_at           INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    decided_at        INTEGER NOT NULL,
    decided_by        TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX self_orders_open ON self_orders (person_id) WHERE state IN ('waiting', 'ordered');
CREATE INDEX self_orders_person ON self_orders (person_id, id);
CREATE INDEX self_orders_created ON self_orders (created_at);
CREATE INDEX self_orders_waiting ON self_orders (expires_at, id) WHERE state = 'waiting';
CREATE INDEX self_orders_over ON self_orders (created_at) WHERE state IN ('refused', 'expired', 'stopped', 'failed');
CREATE INDEX self_orders_request ON self_orders (request, id) WHERE request > 0;
CREATE INDEX self_orders_plan ON self_orders (plan_at, id) WHERE plan_state = 'wanted';

-- Whoever orders takes this row first: limits are counted by one at a time.
INSERT INTO counters (name, value) VALUES ('self_orders', 0);
