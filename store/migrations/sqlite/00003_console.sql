-- +goose Up

-- Forms of the console that were sent: none is taken twice.
CREATE TABLE used_forms (
    id      TEXT    NOT NULL PRIMARY KEY,
    used_at INTEGER NOT NULL
) STRICT;

CREATE INDEX used_forms_age ON used_forms (used_at);


-- Mappings: switched off ones, and what each was before.


-- Audit: chains and their seals.


-- Sign-in traces.


-- Second factors.

SELECT 1;
