-- +goose Up

-- Mappings: switched off ones, and what each was before.


-- Audit: chains and their seals.


-- Sign-in traces.


-- Second factors.

SELECT 1;
