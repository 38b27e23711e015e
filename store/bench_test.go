package store_test

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// openBench opens a store in the temporary folder. Writes are dominated by the
// flushes of its disk: set TMPDIR to measure another one.
func openBench(b *testing.B) *store.DB {
	b.Helper()
	db, err := store.Open(b.Context(), store.Options{DSN: "sqlite:" + filepath.Join(b.TempDir(), "store.db"),
		Voucher: storetest.Voucher("bench")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

func benchSession(b *testing.B, db *store.DB, i int) []byte {
	b.Helper()
	h := sha256.Sum256([]byte(strconv.Itoa(i)))
	if err := db.Sessions().Create(b.Context(), store.Session{
		TokenHash: h[:], Person: store.PersonID(fmt.Sprintf("7a0e1a52-0000-4000-8000-%012d", i)), Login: "login" +
			strconv.Itoa(i),
		AuthenticatedAt: time.Now(), Methods: []string{"password"}, Reading: make([]byte, 800),
		ReadAt: time.Now(), EndsAt: time.Now().Add(10 * time.Hour),
	}, nil); err != nil {
		b.Fatal(err)
	}
	return h[:]
}

// BenchmarkFinish is the durable commit of a launch with a live session:
// participation and audit event. ns/op is the time between two of them.
func BenchmarkFinish(b *testing.B) {
	for _, callers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			db := openBench(b)
			var tokens [100][]byte
			for i := range tokens {
				tokens[i] = benchSession(b, db, i)
			}
			var next atomic.Int64
			work := make(chan int)
			done := make(chan error, callers)
			b.ResetTimer()
			for range callers {
				go func() {
					for i := range work {
						n := next.Add(1)
						token := tokens[i%len(tokens)]
						if err := db.SignIns().Finish(b.Context(), store.Issue{
							Participation: &store.Participation{TokenHash: token, EntityID: "https://sp.example",
								NameID: "x" + strconv.Itoa(i%len(tokens)), SessionIndex: "_" + strconv.FormatInt(n, 16), IssuedAt: time.Now()},
							Events: []store.Event{{Ref: strconv.FormatInt(n*2654435761%1000000007, 36), Actor: "person" +
								strconv.Itoa(i%len(tokens)),
								Action: "sign-in", Subject: "x" + strconv.Itoa(i%len(tokens)), Account: "a07e1lxqqqo0",
								SP: "https://sp.example", Address: "192.0.2.7", Outcome: "ok"}},
						}); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for i := range b.N {
				work <- i
			}
			close(work)
			for range callers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkSessionsGet reads one of 10,000 sessions.
func BenchmarkSessionsGet(b *testing.B) {
	db := openBench(b)
	var tokens [10000][]byte
	for i := range tokens {
		tokens[i] = benchSession(b, db, i)
	}
	b.ResetTimer()
	for i := range b.N {
		if _, err := db.Sessions().Get(b.Context(), tokens[i*7919%len(tokens)], time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChanges is the look that each sign-in's caches take.
func BenchmarkChanges(b *testing.B) {
	db := openBench(b)
	for range b.N {
		if _, err := db.Changes(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreateRefused is a flood of AuthnRequests past the cap (row WEB-09).
func BenchmarkCreateRefused(b *testing.B) {
	db := openBench(b)
	caps := store.Caps{PerAddress: 200, Total: 1000}
	in := store.SignIn{Address: "192.0.2.1", EntityID: "https://sp.example", Data: make([]byte, 600),
		ExpiresAt: time.Now().Add(time.Hour)}
	for i := range 200 {
		in.ID = strconv.Itoa(i)
		if err := db.SignIns().Create(b.Context(), in, caps); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for i := range b.N {
		in.ID, in.RequestID = "more", strconv.Itoa(i)
		if err := db.SignIns().Create(b.Context(), in, caps); err == nil {
			b.Fatal("past the cap, but stored")
		}
	}
}

// BenchmarkLedgerGet reads one of a million SSO users, and looks for a due one among them.
func BenchmarkLedgerGet(b *testing.B) {
	const rows = 1_000_000
	path := filepath.Join(b.TempDir(), "store.db")
	db, err := store.Open(b.Context(), store.Options{DSN: "sqlite:" + path})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	raw, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=5000&_synchronous=OFF")
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO sso_users (person_id, account, external_id, external_provider, login_name, contact_email,
		    first_name, last_name, role, mapping, state, maybe_sent, attempts, next_attempt, lease_until,
		    due_at, error_key, error_text, created_at, updated_at)
		SELECT 'person-' || (i * 7919 % 1000003), 'a' || (i % 3000), 'x' || i, 'partner', 'login' || i, 'm' || i || '@example.com',
		    'First', 'Last', 'account_manager', 1, 'active', 0, 1, 0, 0, 0, '', '', i, i
		  FROM n`, rows); err != nil {
		b.Fatal(err)
	}
	b.Run("Get", func(b *testing.B) {
		for i := range b.N {
			n := i*611953%rows + 1
			if _, err := db.Ledger().Get(b.Context(), store.PersonID("person-"+strconv.Itoa(n*7919%1000003)),
				store.AccountID("a"+strconv.Itoa(n%3000))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ClaimNothing", func(b *testing.B) {
		for range b.N {
			if _, err := db.Ledger().Claim(b.Context(), time.Minute, store.PlanPriority); err == nil {
				b.Fatal("something was due")
			}
		}
	})
}
