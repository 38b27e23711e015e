package store_test

import (
	"bytes"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"ssobridge/store"
)

// What somebody does who can write the database file, and what verify says of it.
func TestAuditTampering(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	holds := func(s store.Seal) bool {
		return ed25519.Verify(key.Public().(ed25519.PublicKey), s.Message(), s.Signature)
	}
	for _, c := range []struct {
		name, do string
		seq      int64 // that is named
		outside  bool  // found by a seal from outside alone
	}{
		{"a field changed", "UPDATE audit_events SET outcome = 'ok' WHERE id = 40", 40, false},
		{"a time changed", "UPDATE audit_events SET at = at + 1 WHERE id = 1", 1, false},
		{"text moved to the next field", "UPDATE audit_events SET actor = 'p', action = '7test' WHERE id = 8", 8, false},
		{"an event removed", "DELETE FROM audit_events WHERE id = 50", 50, false},
		{"with its link", "DELETE FROM audit_events WHERE id = 50; DELETE FROM audit_chain WHERE seq = 50", 50, false},
		{"two swapped", "UPDATE audit_chain SET event = -event WHERE seq IN (10, 11); UPDATE audit_chain SET event = CASE seq WHEN 10 THEN 11 ELSE 10 END WHERE seq IN (10, 11)", 10, false},
		{"the end cut off", "DELETE FROM audit_events WHERE id > 90; DELETE FROM audit_chain WHERE seq > 90; DELETE FROM audit_seals", 91, true},
		{"everything removed", "DELETE FROM audit_events; DELETE FROM audit_chain; DELETE FROM audit_seals", 1, true},
		{"a hash of their own", "UPDATE audit_chain SET hash = zeroblob(32) WHERE seq = 100", 100, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "audit.db")
			db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + file})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for i := range 100 {
				if err := db.Audit().Add(t.Context(), store.Event{Actor: "p7"[:1+i%2], Action: "test", Outcome: "refused"}); err != nil {
					t.Fatal(err)
				}
			}
			head, _, err := db.Audit().Chain(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seal := store.Seal{Seq: head.Seq, Hash: head.Hash}
			seal.Signature = ed25519.Sign(key, seal.Message())
			if err := db.Audit().AddSeal(t.Context(), seal); err != nil {
				t.Fatal(err)
			}
			raw, err := sql.Open("sqlite3", "file:"+file)
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			if _, err := raw.Exec(c.do); err != nil {
				t.Fatal(err)
			}
			var broken *store.ChainError
			if _, err := db.Audit().Verify(t.Context(), nil, holds); errors.As(err, &broken) == c.outside {
				t.Errorf("without seals from outside: got %v", err)
			}
			if _, err := db.Audit().Verify(t.Context(), []store.Seal{seal}, holds); !errors.As(err, &broken) || broken.Seq != c.seq {
				t.Errorf("with a seal from outside: got %v, want entry %d", err, c.seq)
			}
		})
	}
}

// An event that is written into the past, further back than a late commit can be.
func TestAuditSlippedIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.db")
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	raw, err := sql.Open("sqlite3", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	write := func(id int64) {
		t.Helper()
		if _, err := raw.Exec(`INSERT INTO audit_events (id, at, ref, actor, action, subject, account, sp, address, outcome, reason, detail)
			VALUES (?, 1, '', 'system', 'test', '', '', '', '', 'ok', '', '')`, id); err != nil {
			t.Fatal(err)
		}
		if _, _, err := db.Audit().Chain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(store.Seal) bool { return true }
	write(1)
	write(20_000)
	write(15_000) // committed late: it is chained behind the newer one
	if v, err := db.Audit().Verify(t.Context(), nil, holds); err != nil || v.Chained != 3 {
		t.Errorf("a late event: got %+v, %v, want 3 chained", v, err)
	}
	write(10_000)
	var broken *store.ChainError
	if _, err := db.Audit().Verify(t.Context(), nil, holds); !errors.As(err, &broken) || broken.Event != 10_000 {
		t.Errorf("an event written into the past: got %v, want event 10000", err)
	}
}
