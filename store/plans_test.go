package store_test

import (
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// TestPlanIndexes: what is done for each item is a search of a small index on SQLite, whose planner could also walk
// along the key of the table, past all that a plan has. The statements have the conditions of those in use.
func TestPlanIndexes(t *testing.T) {
	o := storetest.Migrated(t)
	openStore(t, o)
	raw, err := sql.Open("sqlite3", "file:"+strings.TrimPrefix(o.DSN, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for _, c := range []struct{ name, statement, want string }{
		{"claim", store.NextItemQuery, "plan_items_open (plan=? AND due_at<?)"},
		{"anything open", `SELECT 1 FROM plan_items WHERE plan = 1 AND kind = 'create' AND state IN ('open', 'claimed')`,
			"plan_items_open (plan=?)"},
		{"anything sending", `SELECT 1 FROM plan_items WHERE plan = 1 AND state = 'sending'`, "plan_items_sending (plan=?)"},
		{"settle", `UPDATE plan_items SET state = 'done' WHERE person_id = 'a' AND account = 'b' AND plan = 1 AND kind = 'create' AND state = 'sending'`,
			"plan_items_sending (plan=? AND person_id=? AND account=?)"},
		{"named work", `SELECT 1 FROM plan_items i WHERE i.person_id = 'a' AND i.account = 'b' AND i.plan = 1 AND i.kind = 'leaver'
			AND i.kind IN ('leaver', 'drift') AND (i.person_id, i.account) > ('a', 'b') AND (i.person_id, i.account) <= ('c', 'd')`, "plan_items_work (plan=? AND person_id=? AND account=?)"},
		{"batch of work", `SELECT login FROM plan_items WHERE plan = 1 AND kind IN ('leaver', 'drift')
			AND (person_id, account) > ('a', 'b') AND (person_id, account) <= ('c', 'd')`, "plan_items_work (plan=? AND (person_id,account)>(?,?)"},
		{"open work", `SELECT since FROM manual_work WHERE done_at = 0 AND (since, person_id, account, kind) > (1, 'a', 'b', 'c')
			ORDER BY since, person_id, account, kind LIMIT 1`, "manual_work_open ("},
	} {
		all := explainPlan(t, raw, c.statement)
		if got := strings.Join(all, "; "); !strings.Contains(got, c.want) || strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%s: %q, want a search of %s", c.name, got, c.want)
		}
	}
}

// explainPlan returns the lines by which SQLite says how it would run a statement.
func explainPlan(t *testing.T, raw *sql.DB, statement string) (all []string) {
	t.Helper()
	rows, err := raw.Query("EXPLAIN QUERY PLAN "+statement, make([]any, strings.Count(statement, "$"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			id, parent, unused int
			detail             string
		)
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		all = append(all, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

const benchItems = 100_000

// benchPlan stores a plan of 100,000 items, or as many as there are people, and returns its id.
func benchPlan(b *testing.B, db *store.DB, kind string) int64 {
	b.Helper()
	id, err := db.Plans().Create(b.Context(), store.Plan{Kind: "admin", Mappings: "digest"})
	if err != nil {
		b.Fatal(err)
	}
	items := make([]store.PlanItem, 1000)
	for first := 0; first < benchItems; first += len(items) {
		for i := range items {
			items[i] = store.PlanItem{Kind: kind, Person: store.PersonID(fmt.Sprintf("7a0e1a52-0000-4000-8000-%012d",
				(first+i)*7919%1000003)),
				Login: fmt.Sprint("login", first+i), Name: fmt.Sprint("First Last ", first+i),
				Account: store.AccountID(fmt.Sprint("a07e1lxqqq", i%300)),
				Role:    store.AccountManager, Current: store.CampaignCreator, Mapping: 7,
				Why: "cn=ctct-a07e1lxqqq0-manager,ou=groups,dc=example,dc=com, through cn=staff"}
		}
		if err := db.Plans().Add(b.Context(), id, items); err != nil {
			b.Fatal(err)
		}
	}
	return id
}

// stall runs f while a small write is made again and again, and tells the longest that one of these took.
func stall(b *testing.B, db *store.DB, f func() error) time.Duration {
	b.Helper()
	var (
		longest time.Duration
		stop    = make(chan struct{})
		wait    sync.WaitGroup
	)
	wait.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			if err := db.Audit().Add(b.Context(), store.Event{Actor: "bench", Action: "test"}); err != nil {
				b.Error(err)
				return
			}
			longest = max(longest, time.Since(began))
		}
	})
	err := f()
	close(stop)
	wait.Wait()
	if err != nil {
		b.Fatal(err)
	}
	return longest
}

// BenchmarkPlans is what happens to a plan of 100,000 items, with what other writers wait meanwhile.
func BenchmarkPlans(b *testing.B) {
	benchPlans(b, openBench(b))
}

// BenchmarkPlansPostgres is the same on PostgreSQL.
func BenchmarkPlansPostgres(b *testing.B) {
	db, err := store.Open(b.Context(), storetest.Postgres(b)(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	benchPlans(b, db)
}

func benchPlans(b *testing.B, db *store.DB) {
	ctx := b.Context()
	s := db.Plans()
	step := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				longest := stall(b, db, f)
				b.ReportMetric(longest.Seconds()*1000, "longest-wait-ms")
			}
		})
	}
	var creations int64
	step("Add", func() error { creations = benchPlan(b, db, store.ItemCreate); return nil })
	step("Ready", func() error {
		if p, err := s.Get(ctx, creations); err != nil || p.State != store.PlanMaking {
			return err // made ready before
		}
		_, err := s.Ready(ctx, creations, benchItems, store.Event{})
		return err
	})
	if err := s.SetState(ctx, creations, store.PlanReady, store.PlanApplying, store.PlanChange{},
		store.Event{}); err != nil {
		b.Fatal(err)
	}
	item := 0
	take := func() {
		i, err := s.Claim(ctx, time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		item++
		if err := s.Skip(ctx, i, "changed"); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("ClaimAndSkip", func(b *testing.B) {
		for range b.N {
			take()
		}
	})
	for range 5000 {
		take()
	}
	b.Run("ClaimAndSkipBehindThousands", func(b *testing.B) {
		for range b.N {
			take()
		}
	})
	if err := s.SetState(ctx, creations, store.PlanApplying, store.PlanPaused, store.PlanChange{},
		store.Event{}); err != nil {
		b.Fatal(err)
	}
	if err := s.SetState(ctx, creations, store.PlanPaused, store.PlanDropped, store.PlanChange{},
		store.Event{}); err != nil {
		b.Fatal(err)
	}
	leavers := benchPlan(b, db, store.ItemLeaver)
	if _, err := s.Ready(ctx, leavers, benchItems, store.Event{}); err != nil {
		b.Fatal(err)
	}
	step("SetManualTasks", func() error { return s.SetManualTasks(ctx, leavers) })
	step("SetWorkAgain", func() error { return s.SetManualTasks(ctx, leavers) })
	empty := func() int64 {
		id, err := s.Create(ctx, store.Plan{Kind: "watch"})
		if err != nil {
			b.Fatal(err)
		}
		return id
	}
	none := empty()
	if _, err := s.Ready(ctx, none, 0, store.Event{}); err != nil {
		b.Fatal(err)
	}
	step("SetWorkNone", func() error { return s.SetManualTasks(ctx, none) })
	for range 19 {
		empty()
	}
	last := empty()
	step("ReadyDeletesOld", func() error {
		if p, err := s.Get(ctx, last); err != nil || p.State != store.PlanMaking {
			return err
		}
		_, err := s.Ready(ctx, last, 0, store.Event{})
		return err
	})
	if _, err := s.Get(ctx, creations); err == nil {
		b.Error("the old plan is still there")
	}
}
