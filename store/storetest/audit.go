package storetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
)

func testAudit(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	a := db.Audit()
	at := time.Now().UTC().Truncate(time.Microsecond)
	e := store.Event{At: at, Ref: "r1", Actor: "p1", Action: "sign-in", Subject: "x1", Account: "a1", SP: "sp",
		Address: "192.0.2.1", Outcome: "ok", Reason: "fine", Detail: json.RawMessage(`{"a":"<b>"}`)}
	must(t, a.Add(ctx, e))
	list, err := a.List(ctx, store.Filter{Ref: "r1"})
	must(t, err)
	if len(list) != 1 || list[0].ID == 0 {
		t.Fatalf("list %+v, want the event with an id", list)
	}
	e.ID = list[0].ID
	if diff := cmp.Diff(e, list[0]); diff != "" {
		t.Errorf("stored and read back (-want +got):\n%s", diff)
	}
	for i := range 1200 {
		must(t, a.Add(ctx, store.Event{At: at.Add(time.Duration(i) * time.Second), Ref: fmt.Sprint("n", i),
			Actor: fmt.Sprint("p", i%3), Action: "login", Subject: fmt.Sprint("s", i%5)}))
		if i == 20 && testing.Short() {
			t.Skip("short")
		}
	}
	t.Run("filters and pages", func(t *testing.T) {
		for _, c := range []struct {
			name   string
			filter store.Filter
			want   int
		}{
			{"all", store.Filter{Limit: 1000}, 1000},
			{"default limit", store.Filter{}, 100},
			{"actor", store.Filter{Actor: "p2", Limit: 1000}, 400},
			{"action", store.Filter{Action: "sign-in"}, 1},
			{"subject", store.Filter{Subject: "s4", Limit: 1000}, 240},
			{"actor and subject", store.Filter{Actor: "p0", Subject: "s0", Limit: 1000}, 80},
			{"unknown", store.Filter{Ref: "' OR 1=1 --"}, 0},
			{"before", store.Filter{Before: list[0].ID + 1, Limit: 1000}, 1},
		} {
			got, err := a.List(ctx, c.filter)
			must(t, err)
			if len(got) != c.want {
				t.Errorf("%s: %d events, want %d", c.name, len(got), c.want)
			}
			for i := 1; i < len(got); i++ {
				if got[i].ID >= got[i-1].ID {
					t.Fatalf("%s: not newest first", c.name)
				}
			}
		}
		for _, f := range []store.Filter{{Limit: -1}, {Limit: 1001}, {Before: -1}} {
			if _, err := a.List(ctx, f); err == nil {
				t.Errorf("filter %+v was accepted", f)
			}
		}
	})
	t.Run("export", func(t *testing.T) {
		var out bytes.Buffer
		must(t, a.Export(ctx, &out, store.Filter{Since: at.Add(100 * time.Second)}, "jsonl"))
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 1101 {
			t.Errorf("%d lines, want 1100 and the end", len(lines))
		}
		// The end tells that it is whole.
		var end struct {
			Action string
			Detail struct {
				Events int
				SHA256 string
			}
		}
		must(t, json.Unmarshal([]byte(lines[len(lines)-1]), &end))
		sum := sha256.Sum256([]byte(strings.Join(lines[:len(lines)-1], "\n") + "\n"))
		if end.Action != store.ExportEnd || end.Detail.Events != 1100 || end.Detail.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("the end is %+v, want 1100 events and %x", end, sum)
		}
		var first store.Event
		must(t, json.Unmarshal([]byte(lines[0]), &first))
		if first.Ref != "n100" {
			t.Errorf("first line %s, want n100", lines[0])
		}
		out.Reset()
		must(t, a.Add(ctx, store.Event{Ref: "formula", Actor: "=HYPERLINK(\"x\")", Action: "test", Subject: "+1",
			SP: "'quoted"}))
		must(t, a.Export(ctx, &out, store.Filter{Ref: "formula"}, "csv"))
		rows, err := csv.NewReader(&out).ReadAll()
		must(t, err)
		if len(rows) != 3 || rows[2][4] != store.ExportEnd || rows[0][0] != "id" || rows[1][3] != "'=HYPERLINK(\"x\")" ||
			rows[1][5] != "'+1" || rows[1][7] != "''quoted" {
			t.Errorf("CSV: %q, want no cell that is a formula", rows)
		}
		if err := a.Export(ctx, &out, store.Filter{}, "xml"); err == nil {
			t.Error("an unknown format was taken")
		}
		if err := a.Export(ctx, broken{}, store.Filter{}, "jsonl"); !errors.Is(err, errBroken) {
			t.Errorf("export to a broken writer: %v", err)
		}
	})
	t.Run("what strangers send", func(t *testing.T) {
		must(t, a.Add(ctx, store.Event{Ref: "odd", Actor: "a\x00b", Action: "refusal", Subject: "\xff" +
			strings.Repeat("é", 5000)}))
		got, err := a.List(ctx, store.Filter{Ref: "odd"})
		must(t, err)
		if len(got) != 1 || got[0].Actor != "a\uFFFDb" || len(got[0].Subject) > 1010 {
			t.Errorf("event %+v", got)
		}
		must(t, a.Add(ctx, store.Event{Ref: "big", Action: "refusal", Detail: json.RawMessage(`"` + strings.Repeat("x",
			1<<20) + `"`)}))
		if err := a.Add(ctx, store.Event{Ref: "bad", Action: "refusal", Detail: json.RawMessage(`{`)}); err == nil {
			t.Error("a detail that is no JSON was stored")
		}
	})
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

// testIsolation: changes that are made at once do not fail one another, and
// each that was answered is stored, with its event.
func testIsolation(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	must(t, db.SignIns().Create(ctx, signIn("taken"), store.Caps{}))
	must(t, db.SignIns().Create(ctx, signIn("finished"), store.Caps{}))
	must(t, db.SignIns().Finish(ctx, store.Issue{SignIn: "finished"}))
	for i, err := range all(200, func(i int) error {
		ref := []store.Event{event(fmt.Sprint("e", i))}
		switch i % 4 {
		case 0:
			return db.SignIns().Create(ctx, signIn("taken"), store.Caps{})
		case 1:
			return db.SignIns().Finish(ctx, store.Issue{SignIn: "finished", Events: ref})
		case 2:
			return db.SignIns().Finish(ctx,
				store.Issue{Participation: &store.Participation{TokenHash: hash("none")}, Events: ref})
		}
		return db.Sessions().Create(ctx, store.Session{TokenHash: hash(fmt.Sprint(i)), EndsAt: time.Now().Add(time.Hour)},
			nil, ref...)
	}) {
		want := []error{store.ErrConflict, store.ErrFinished, store.ErrNotFound, nil}[i%4]
		if !errors.Is(err, want) {
			t.Errorf("call %d: %v, want %v", i, err, want)
		}
		n := 0
		if want == nil {
			n = 1
		}
		if got := events(t, db, fmt.Sprint("e", i)); got != n {
			t.Errorf("call %d left %d events, want %d", i, got, n)
		}
	}
	if n, err := db.Sessions().Count(ctx); err != nil || n != 50 {
		t.Errorf("%d sessions, %v, want 50", n, err)
	}
}
