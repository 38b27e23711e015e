package provisioning_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ssobridge/provisioning"
	"ssobridge/store"
)

// exported writes a ledger to memory.
func (w *planWorld) exported(format string, f store.UserFilter) string {
	w.tb.Helper()
	var out bytes.Buffer
	if err := w.ExportUsers(w.tb.Context(), &out, f, format); err != nil {
		w.tb.Fatalf("ExportUsers: %v", err)
	}
	return out.String()
}

// nasty are names that a spreadsheet would take for more than text.
var nasty = []string{"=HYPERLINK(\"http://evil\")", "+1", "-1", "@sum", "\ttab", "\rreturn", "'quoted", "''=x", "＝wide",
	"a;b,c\"d", "line\nbreak", " space ", ""}

func TestExportAndImport(t *testing.T) {
	w := newPlanWorld(t, nil)
	mapping := w.maps("sales", harbour, store.AccountManager)
	states := []store.State{store.Active, store.Assumed, store.Unknown, store.Sending, store.Conflict, store.Refused,
		store.Suspended, store.Wanted}
	for i, state := range states {
		w.row("p-"+string(state), harbour, state, func(u *store.SSOUser) {
			u.FirstName, u.LastName, u.Mapping = nasty[i%len(nasty)], nasty[(i+5)%len(nasty)], mapping.ID
		})
	}
	for i, name := range nasty {
		w.row("nasty"+string(rune('a'+i)), juniper, store.Active, func(u *store.SSOUser) { u.FirstName = name })
	}
	file := w.exported("csv", store.UserFilter{})
	rows, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil || len(rows) != 1+len(states)+len(nasty) {
		t.Fatalf("the export has %d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") || strings.HasPrefix(cell, "＝") {
				t.Errorf("a spreadsheet takes %q for a formula", cell)
			}
		}
	}
	if all, err := provisioning.ReadKnownUsers(strings.NewReader(file)); err != nil || len(all) != len(states)+len(nasty) {
		t.Errorf("ReadKnownUsers of the export: got %d, %v", len(all), err)
	}

	fresh := newPlanWorld(t, nil)
	counts, err := fresh.ImportUsers(t.Context(), strings.NewReader(file), "admin:test")
	if err != nil || counts[store.Adopted] != 5+len(nasty) || counts[provisioning.NotCreated] != 3 {
		t.Fatalf("ImportUsers: got %v, %v", counts, err)
	}
	became := map[store.State]store.State{
		store.Active: store.Active, store.Assumed: store.Assumed, store.Unknown: store.Assumed, store.Sending: store.Assumed,
		store.Suspended: store.Suspended,
	}
	old := must(w.db.Ledger().List(t.Context(), store.UserFilter{Limit: 1000}))(t)
	for _, o := range old {
		got, err := fresh.db.Ledger().Get(t.Context(), o.Person, o.Account)
		want, there := became[o.State]
		if !there {
			if err == nil {
				t.Errorf("%s, never created, came back as %s", o.Person, got.State)
			}
			continue
		}
		if err != nil || got.State != want || got.ExternalID != o.ExternalID || got.ExternalProvider != o.ExternalProvider ||
			got.LoginName != o.LoginName || got.Role != o.Role ||
			got.FirstName != o.FirstName || got.LastName != o.LastName || got.ContactEmail != o.ContactEmail ||
			!got.CreatedAt.Equal(o.CreatedAt) {
			t.Errorf("%s: got  %+v, %v\nwant %+v as %s", o.Person, got, err, o, want)
		}
		if o.State == store.Suspended && got.Before != store.Active {
			t.Errorf("%s: goes back to %s, want active", o.Person, got.Before)
		}
		if got.Mapping != 0 {
			t.Errorf("%s: mapping %d is of another database", o.Person, got.Mapping)
		}
	}
	again, err := fresh.ImportUsers(t.Context(), strings.NewReader(file), "admin:test")
	if err != nil || again[store.Unchanged] != 5+len(nasty) || again[store.Adopted] != 0 {
		t.Errorf("once more: got %v, %v, want all unchanged", again, err)
	}
	// What an admin has done since counts: the suspended one stays resumed.
	key := store.UserKey{Person: "p-suspended", Account: harbour}
	if err := fresh.ResumeUser(t.Context(), key, "admin:test"); err != nil {
		t.Fatal(err)
	}
	must(fresh.ImportUsers(t.Context(), strings.NewReader(file), "admin:test"))(t)
	if row := must(fresh.db.Ledger().Get(t.Context(), key.Person, key.Account))(t); row.State != store.Active {
		t.Errorf("resumed and imported again: got %s, want active", row.State)
	}
	// The second export says the same of whom it knows.
	if a, b := len(strings.Split(fresh.exported("csv", store.UserFilter{}), "\n")), 1+5+len(nasty)+1; a < b {
		t.Errorf("export of the import: got %d lines, want %d", a, b)
	}
}

// Mappings of the same database keep their number; others could take the user along when they are removed.
func TestImportKeepsMappings(t *testing.T) {
	w := newPlanWorld(t, nil)
	m := w.maps("sales", harbour, store.AccountManager)
	w.row("jane", harbour, store.Active, func(u *store.SSOUser) { u.Mapping = m.ID })
	w.row("mary", juniper, store.Active, func(u *store.SSOUser) { u.Mapping = m.ID })
	file := w.exported("csv", store.UserFilter{})
	for _, p := range []store.UserKey{{Person: "jane", Account: harbour}, {Person: "mary", Account: juniper}} {
		if err := w.db.Ledger().Forget(t.Context(), p, store.Event{Action: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	must(w.ImportUsers(t.Context(), strings.NewReader(file), "admin:test"))(t)
	if got := must(w.db.Ledger().Get(t.Context(), "jane", harbour))(t).Mapping; got != m.ID {
		t.Errorf("jane: got mapping %d, want %d", got, m.ID)
	}
	if got := must(w.db.Ledger().Get(t.Context(), "mary", juniper))(t).Mapping; got != 0 {
		t.Errorf("mary, whom that mapping can't concern: got mapping %d, want none", got)
	}
}

func TestImportRefusals(t *testing.T) {
	const head = "person_id,account,external_id,role,state,maybe_sent,attempts,created_at\n"
	const h = string(harbour)
	for name, c := range map[string]struct {
		line, field string
	}{
		"no person":       {"," + h + ",x,account_manager,active,false,1,", "line 3, person_id"},
		"bad account":     {"p,a b,x,account_manager,active,false,1,", "line 3, account"},
		"no external_id":  {"p," + h + ",,account_manager,active,false,1,", "line 3, external_id"},
		"role":            {"p," + h + ",x,,active,false,1,", "line 3, role"},
		"state":           {"p," + h + ",x,account_manager,there,false,1,", "line 3, state"},
		"truth":           {"p," + h + ",x,account_manager,active,maybe,1,", "line 3, maybe_sent"},
		"number":          {"p," + h + ",x,account_manager,active,false,-1,", "line 3, attempts"},
		"time":            {"p," + h + ",x,account_manager,active,false,1,today", "line 3, created_at"},
		"too few cells":   {"p," + h, "line 3, cells"},
		"an open quote":   {`"p,`, "line 5, quotes"},
		"line with a NUL": {"p\x00," + h + ",x,account_manager,active,false,1,", "line 3, person_id"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPlanWorld(t, nil)
			file := head + "first," + h + ",x1,account_manager,ACTIVE,FALSE,1,\n" + c.line + "\nlast," + h +
				",x2,account_manager,active,false,1,\n\n"
			counts, err := w.ImportUsers(t.Context(), strings.NewReader(file), "admin:test")
			if got := faultFields(err); strings.Join(got, "|") != c.field {
				t.Errorf("faults: got %v (%v), want %s", got, err, c.field)
			}
			want := 2
			if name == "an open quote" {
				want = 1 // nothing can be read behind it
			}
			if counts[store.Adopted] != want {
				t.Errorf("good lines: got %v, want %d stored", counts, want)
			}
		})
	}
	w := newPlanWorld(t, nil)
	if _, err := w.ImportUsers(t.Context(), strings.NewReader(`{"person_id":"p"}`),
		"admin:test"); len(faultFields(err)) == 0 {
		t.Errorf("JSON for CSV: got %v", err)
	}
}

func TestExportAsJSONLines(t *testing.T) {
	w := newPlanWorld(t, nil)
	w.row("jane", harbour, store.Active, func(u *store.SSOUser) { u.FirstName = "<b>=1" })
	w.row("mary", juniper, store.Wanted)
	lines := strings.Split(strings.TrimSpace(w.exported("jsonl", store.UserFilter{})), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines, want 2", len(lines))
	}
	var jane map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &jane); err != nil || jane["person_id"] != "jane" ||
		jane["first_name"] != "<b>=1" || jane["state"] != "active" {
		t.Errorf("got %v, %v", jane, err)
	}
	if at, err := time.Parse(time.RFC3339Nano, jane["created_at"].(string)); err != nil || at.IsZero() {
		t.Errorf("created_at: got %v, %v", at, err)
	}
	if got := w.exported("jsonl", store.UserFilter{Account: juniper}); strings.Contains(got, "jane") ||
		!strings.Contains(got, "mary") {
		t.Errorf("one account: got %s", got)
	}
	if err := w.ExportUsers(t.Context(), &bytes.Buffer{}, store.UserFilter{}, "xml"); strings.Join(faultFields(err),
		"") != "format" {
		t.Errorf("xml: got %v", err)
	}
	if err := w.ExportUsers(t.Context(), full{}, store.UserFilter{}, "csv"); err == nil {
		t.Error("a full disk: got no error")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errDown }
