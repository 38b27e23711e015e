-- +goose Up

-- Forms of the console that were sent: none is taken twice.
CREATE TABLE used_forms (
    id      TEXT    NOT NULL PRIMARY KEY,
    used_at BIGINT  NOT NULL
);

CREATE INDEX used_forms_age ON used_forms (used_at);


-- What the charts of the console show, one number for a quarter of an hour.
CREATE TABLE figures (
    kind  TEXT    NOT NULL,
    at    BIGINT  NOT NULL,
    value BIGINT  NOT NULL,
    PRIMARY KEY (kind, at)
);

CREATE INDEX figures_at ON figures (at);


-- Mappings: switched off ones, and what each was before.


-- Audit: chains and their seals.


-- Sign-in traces.


-- Second factors.

SELECT 1;
