package storetest

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
)

// known fills every table with somebody: all that tells who they are begins with mark.
// It returns their items of a plan, for the next plan, which takes what it does not name
// off the work to be done.
func known(tb testing.TB, db *store.DB, p store.PersonID, mark string, items ...store.PlanItem) []store.PlanItem {
	tb.Helper()
	ctx := tb.Context()
	user := func(account store.AccountID) store.SSOUser {
		return store.SSOUser{
			Person: p, Account: account, ExternalID: mark + "-x-" + string(account), ExternalProvider: "partner",
			LoginName:    mark + "-l-" + string(account),
			ContactEmail: mark + "@example.com", FirstName: mark + "-first", LastName: mark + "-last",
			Role: store.AccountManager,
		}
	}
	_, _, err := db.Ledger().Enqueue(ctx, user("w1"), event("known"))
	must(tb, err)
	there := user("a1")
	there.State = store.Active
	_, err = db.Ledger().Adopt(ctx, []store.SSOUser{there}, event("known"))
	must(tb, err)

	loggedIn := time.Now()
	must(tb, db.Sessions().Create(ctx, store.Session{
		TokenHash: hash(mark), Person: p, Login: mark + "-Login", KnownAs: strings.ToLower(mark + "-Login"),
		Name:    mark + " Surname",
		Browser: hash("browser " + mark), AuthenticatedAt: loggedIn,
		Methods: []string{"password"}, Reading: []byte(`{"DN":"uid=` + mark + `,dc=example"}`), ReadAt: loggedIn,
		EndsAt: time.Now().Add(time.Hour),
	}, nil))
	must(tb, db.Sessions().Create(ctx, store.Session{
		TokenHash: hash(mark + "2"), Person: p, KnownAs: mark, Browser: hash("other browser " + mark),
		EndsAt: time.Now().Add(time.Hour),
		Proof:  store.Proof{Person: p, Browser: hash("other browser " + mark)},
		SourcePerson: &store.SourcePerson{Person: p, Source: "portal", Login: "portal:" + mark,
			FirstName: mark, LastName: mark,
			Mail: mark + "@example.com", Claims: []byte(`{"groups":["` + mark + `"]}`)},
		Uses: &store.UsedToken{Source: "portal", Token: hash("token " + mark), IssuedAt: loggedIn,
			EndsAt: loggedIn.Add(time.Minute), Names: [][]byte{hash("sub " + mark)}},
	}, nil))
	for _, refuse := range []bool{true, false} {
		placed, _, err := db.SelfOrders().Place(ctx, store.SelfOrder{Person: p, Login: mark, LoginName: mark + "-shop",
			OrganizationName: "Shop of " + mark, Body: []byte(`{"contact_email":"` + mark + `"}`), ExternalID: mark + "-shop",
			ExpiresAt: time.Now().Add(time.Hour)}, store.SelfOrderLimits{PerDay: 1000, PerPerson: 1000}, event("known"))
		must(tb, err)
		if refuse {
			_, err = db.SelfOrders().Refuse(ctx, placed.ID, "no contract with "+mark, event("known"))
			must(tb, err)
		}
	}
	in := signIn("in-" + string(p))
	in.RequestID, in.Address = "request-"+string(p), mark+" address"
	must(tb, db.SignIns().Create(ctx, in, store.Caps{}))
	in.Session, in.Data, in.Account = hash(mark), []byte(mark+" subject"), "a1"
	must(tb, db.SignIns().Update(ctx, in))
	must(tb, db.SignIns().Create(ctx, signIn("out-"+string(p)), store.Caps{}))
	must(tb, db.SignIns().Finish(ctx, store.Issue{SignIn: "out-" + string(p), Participation: &store.Participation{
		TokenHash: hash(mark), EntityID: "sp", NameID: mark + "-name-id", SessionIndex: "1",
	}, NameID: &store.NameID{Name: hash("name of " + mark), Owner: hash("owner " + mark), Person: p, EntityID: "sp"}}))
	must(tb, db.Traces().Add(ctx,
		store.Trace{SignIn: "t-" + string(p), Ref: "1" + string(p), At: time.Now(), Outcome: "pending",
			Steps: []store.TraceStep{{Name: "request", Detail: mark}}},
		store.Trace{SignIn: "t-" + string(p), Ref: "2" + string(p), At: time.Now(), Outcome: "ok", Person: p,
			Steps: []store.TraceStep{{Name: "person", Detail: mark}}}))

	changes, err := db.Changes(ctx)
	must(tb, err)
	must(tb, db.SecondFactors().Enrol(ctx, p, store.Enrolment{
		Act:     store.Act{Session: hash(mark), ReadAt: loggedIn, Changes: changes, KeepOthers: true},
		Factors: []store.SecondFactor{{ID: mark + "-factor", Person: p, Kind: "totp", Sealed: []byte(mark)}},
		By:      store.ByPassword,
	}))
	must(tb, db.SecondFactors().Delay(ctx, p))

	for _, browser := range []string{"", "browser " + mark} {
		_, err := db.Throttle().TakeGuess(ctx, store.Guess{Person: p, Browser: hash(browser), Limit: 5, Window: time.Hour})
		must(tb, err)
		must(tb, db.Throttle().WrongCode(ctx, p, hash(browser), event("known")))
	}
	_, _, err = db.Throttle().Take(ctx, store.TakeTry{Person: string(p), Limit: 5, Window: time.Hour})
	must(tb, err)

	must(tb, db.Captures().Set(ctx, store.Capture{Person: p, Until: time.Now().Add(time.Hour), By: "admin:x"},
		event("known")))
	must(tb, db.Captures().Keep(ctx, store.Captured{Person: p, Ref: "1" + string(p), At: time.Now(),
		Sealed: []byte(mark)}))

	must(tb, db.Plans().NoteChanged(ctx, []store.ChangedUser{{UserKey: store.UserKey{Person: p, Account: "a1"},
		Given: there.Data(), Now: store.UserData{FirstName: mark + "-new", ContactEmail: mark + "@example.org"}}}))

	for i, kind := range []string{store.ItemLeaver, store.ItemDrift, "blocked"} {
		item := creation(mark)
		item.Kind, item.Person, item.Account, item.Why = kind, p, store.AccountID(fmt.Sprint("a", i)), "the user "+mark
		items = append(items, item)
	}
	must(tb, db.Plans().SetManualTasks(ctx, plan(tb, db, "watch", items...).ID))
	must(tb, db.Plans().ManualTaskDone(ctx, store.UserKey{Person: p, Account: "a0"}, store.ItemLeaver, "admin:x",
		event("known")))

	r, err := db.Accounts().WantAccount(ctx, store.AccountRequest{
		LoginName: mark + "-owner", OrganizationName: "Ümlaut & Co", Body: json.RawMessage(`{"contact_email":"` + mark +
			`@example.com"}`),
		Person: p, ExternalID: mark + "-owner-id", CreatedBy: "admin:x",
	}, event("known"))
	must(tb, err)
	r.State = store.RequestCreated
	must(tb, db.Accounts().SettleAccount(ctx, r, store.RequestWanted, event("known")))
	return items
}

// dump is every row of every table, as text.
func dump(tb testing.TB, o store.Options) (rows []string) {
	tb.Helper()
	db := rawDB(tb, o) // one for all tables: a connection to PostgreSQL takes as long as many of them
	defer db.Close()   // the last one that closes brings SQLite's log into its file
	for _, table := range tables(tb, o) {
		_, all := readFrom(tb, db, `SELECT * FROM `+table)
		for _, row := range all {
			rows = append(rows, table+row)
		}
	}
	return rows
}

// read is what a query gives: its columns, and each row as text.
func read(tb testing.TB, o store.Options, query string) (columns, texts []string) {
	tb.Helper()
	db := rawDB(tb, o)
	defer db.Close() // the last one that closes brings SQLite's log into its file
	return readFrom(tb, db, query)
}

func readFrom(tb testing.TB, db *sql.DB, query string) (columns, texts []string) {
	tb.Helper()
	rows, err := db.Query(query)
	must(tb, err)
	defer func() { must(tb, rows.Close()) }()
	columns, err = rows.Columns()
	must(tb, err)
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		must(tb, rows.Scan(into...))
		text := ""
		for i, v := range values {
			text += fmt.Sprintf(" %s=%s", columns[i], v)
		}
		texts = append(texts, text)
	}
	must(tb, rows.Err())
	return columns, texts
}

// holding are the rows with this text in them.
func holding(rows []string, text string) []string {
	return slices.DeleteFunc(slices.Clone(rows),
		func(row string) bool { return !strings.Contains(strings.ToLower(row), text) })
}

func tables(tb testing.TB, o store.Options) []string {
	tb.Helper()
	query := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`
	if !strings.HasPrefix(o.DSN, "sqlite:") {
		query = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name`
	}
	_, rows := read(tb, o, query)
	for i, row := range rows {
		_, rows[i], _ = strings.Cut(row, "=")
	}
	return rows
}

// testForget: nothing tells who a forgotten person is, others are left alone, the audit
// goes on holding, and whoever may have a user at Constant Contact is not forgotten
// without a word.
func testForget(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	who := func(p store.PersonID, deleted bool) store.Forget {
		return store.Forget{Person: p, Deleted: deleted, Logins: []string{"Marker"}, Bare: strings.ToLower}
	}
	forget := store.Event{Actor: "admin:x", Action: "forget-person", Outcome: "ok"}
	t.Run("everything", func(t *testing.T) {
		o := fresh(t)
		db := open(t, o)
		known(t, db, "p2", "keeper", known(t, db, "p1", "marker")...)
		key := auditKey(1)
		key.sealed(t, db.Audit())
		before := dump(t, o)
		// The counts of the test itself: it must put somebody into all tables that have people.
		if n := len(holding(before, "marker")); n < 15 {
			t.Fatalf("only %d rows tell of the person:\n%s", n, strings.Join(holding(before, "marker"), "\n"))
		}
		done, remains, err := db.Ledger().ForgetPerson(ctx, who("p1", false), forget)
		if err != nil || !slices.Equal(remains.Users, []store.AccountID{"a1"}) || len(remains.Sending)+len(remains.Requests)+
			len(remains.Mappings) > 0 || done != (store.Forgotten{}) {
			t.Fatalf("with a user that may exist: %+v, %+v, %v", done, remains, err)
		}
		if after := dump(t, o); !slices.Equal(before, after) {
			t.Error("a refusal has changed something")
		}
		done, remains, err = db.Ledger().ForgetPerson(ctx, who("p1", true), forget)
		must(t, err)
		want := store.Forgotten{Users: 2, Sessions: 2, SignIns: 1, Browsers: 2, Traces: 2, Items: 6, Work: 2,
			Requests: 3, Factors: 1, Names: 1, Claims: 1}
		if done != want || len(remains.Users) > 0 {
			t.Errorf("forgotten %+v, %+v, want %+v", done, remains, want)
		}
		after := dump(t, o)
		if left := holding(after, "marker"); len(left) > 0 {
			t.Errorf("still told:\n%s", strings.Join(left, "\n"))
		}
		// Nobody else gets the NameID that was theirs (row ID-05): what stays is a hash.
		if n, err := db.NameIDs().Get(ctx, hash("name of marker")); err != nil || n.Person != "" {
			t.Errorf("the person's NameID: %+v, %v", n, err)
		}
		if was, is := holding(before, "keeper"), holding(after, "keeper"); !slices.Equal(was, is) {
			t.Errorf("somebody else had %d rows, has %d", len(was), len(is))
		}
		list, err := db.Audit().List(ctx, store.Filter{Action: "forget-person"})
		must(t, err)
		if len(list) != 1 || list[0].Subject != "p1" || !strings.Contains(string(list[0].Detail), `"users":2`) {
			t.Errorf("events %+v", list)
		}
		key.sealed(t, db.Audit())
		if _, err := db.Audit().Verify(ctx, nil, key.holds); err != nil {
			t.Errorf("the audit: %v", err)
		}
		again := signIn("again")
		again.RequestID = "request-p1"
		if err := db.SignIns().Create(ctx, again, store.Caps{}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the request of a forgotten sign-in came again: %v, want ErrConflict", err)
		}
		if err := db.SignIns().Finish(ctx, store.Issue{SignIn: "in-p1"}); !errors.Is(err, store.ErrFinished) {
			t.Errorf("a forgotten sign-in went on: %v, want ErrFinished", err)
		}
		if _, _, err := db.Ledger().ForgetPerson(ctx, who("p1", true), forget); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("forgotten twice: %v, want ErrNotFound", err)
		}
		back := ssoUser("x")
		back.Person = "p1"
		if _, isNew, err := db.Ledger().Enqueue(ctx, back, event("back")); err != nil || !isNew {
			t.Errorf("who comes back: new %v, %v", isNew, err)
		}
		must(t, db.Close())
		if path, is := strings.CutPrefix(o.DSN, "sqlite:"); is {
			file, err := os.ReadFile(path)
			must(t, err)
			if at := bytes.Index(bytes.ToLower(file), []byte("marker")); at >= 0 {
				t.Errorf("the file still has, in what is free: %q", file[max(at-40, 0):at+40])
			}
		}
	})
	for _, c := range []struct {
		name    string
		state   store.State
		sent    bool // an earlier attempt may have arrived
		lease   time.Duration
		before  store.State
		without bool // goes without a word
		with    bool // goes with it
	}{
		{"wanted", store.Wanted, false, 0, "", true, true},
		{"wanted, maybe sent", store.Wanted, true, 0, "", false, true},
		{"sending", store.Sending, false, time.Minute, "", false, false},
		{"sending, its worker died", store.Sending, false, -time.Minute, "", false, true},
		{"unknown", store.Unknown, true, 0, "", false, true},
		{"active", store.Active, false, 0, "", false, true},
		{"assumed", store.Assumed, false, 0, "", false, true},
		{"conflict", store.Conflict, false, 0, "", true, true},
		{"refused", store.Refused, false, 0, "", true, true},
		{"refused, maybe sent", store.Refused, true, 0, "", false, true},
		{"suspended, was active", store.Suspended, false, 0, store.Active, false, true},
		{"suspended, was wanted", store.Suspended, false, 0, store.Wanted, true, true},
		{"suspended while it was sent", store.Suspended, true, time.Minute, store.Unknown, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := fresh(t)
			db := open(t, o)
			u := ssoUser("x")
			_, _, err := db.Ledger().Enqueue(ctx, u, event("w"))
			must(t, err)
			lease := int64(0)
			if c.lease != 0 {
				lease = time.Now().Add(c.lease).UnixMicro()
			}
			_, err = rawDB(t, o).Exec(`UPDATE sso_users SET state = $1, maybe_sent = $2, lease_until = $3, before_state = $4`,
				string(c.state), c.sent, lease, string(c.before))
			must(t, err)
			for _, deleted := range []bool{false, true} {
				want := c.without
				if deleted {
					want = c.with
				}
				_, remains, err := db.Ledger().ForgetPerson(ctx, who(u.Person, deleted), forget)
				must(t, err)
				if gone := len(remains.Users)+len(remains.Sending) == 0; gone != want {
					t.Errorf("deleted %v: gone %v, %+v, want %v", deleted, gone, remains, want)
				}
				if c.lease > 0 && len(remains.Sending) != 1 {
					t.Errorf("deleted %v: %+v, want that it is being sent", deleted, remains)
				}
				if want {
					return
				}
			}
		})
	}
	t.Run("mappings and orders", func(t *testing.T) {
		db := open(t, fresh(t))
		on, err := db.Mappings().Add(ctx, store.Mapping{Kind: store.PersonMapping, Person: "p1", Account: "a1",
			Role: store.AccountManager, Priority: 10}, nil, event("m"))
		must(t, err)
		off, err := db.Mappings().Add(ctx, store.Mapping{Kind: store.PersonMapping, Person: "p1", Account: "a2",
			Role: store.AccountManager, Priority: 20}, nil, event("m"))
		must(t, err)
		all, err := db.Mappings().List(ctx)
		must(t, err)
		must(t, db.Mappings().Switch(ctx, all[slices.IndexFunc(all, func(m store.Mapping) bool { return m.ID == off })],
			event("m")))
		r, err := db.Accounts().WantAccount(ctx, store.AccountRequest{LoginName: "l", OrganizationName: "o",
			Body: json.RawMessage(`{"a":1}`), Person: "p1"}, event("r"))
		must(t, err)
		_, remains, err := db.Ledger().ForgetPerson(ctx, who("p1", true), forget)
		if err != nil || !slices.Equal(remains.Mappings, []int64{on, off}) || !slices.Equal(remains.Requests, []int64{r.ID}) {
			t.Errorf("got %+v, %v, want mappings %d and %d and request %d", remains, err, on, off, r.ID)
		}
	})
	// A new table or column with people has to be thought of.
	t.Run("all tables are known", func(t *testing.T) {
		o := fresh(t)
		open(t, o)
		var got []string
		for _, table := range tables(t, o) {
			columns, _ := read(t, o, `SELECT * FROM `+table+` LIMIT 0`)
			for _, name := range columns {
				if slices.Contains([]string{"person_id", "person", "login", "contact_email", "name_id"}, name) {
					got = append(got, table+"."+name)
				}
			}
		}
		slices.Sort(got)
		want := []string{
			"account_requests.person_id", "changed_users.contact_email", "changed_users.person_id",
			"known_browsers.login", "manual_work.login", "manual_work.person_id",
			"mappings.person_id", "mappings_off.person_id", "moved_people.person_id", "name_ids.person_id",
			// person_epochs stays: it holds an id, as the audit does, and a number without which what was revoked could come
			// back.
			"participations.name_id", "people.login", "people.person_id", "person_browsers.person_id", "person_epochs.person_id",
			"plan_items.login",
			"plan_items.person_id", "proved_browsers.person_id", "second_factor_people.person_id", "second_factors.person_id",
			"self_orders.login", "self_orders.person_id",
			"sessions.login", "sessions.person_id", "source_people.login", "source_people.person_id",
			"source_sessions.person_id", "sso_users.contact_email", "sso_users.person_id",
			"trace_captured.person", "trace_captures.person", "traces.person", "wrong_codes.person_id",
		}
		if !slices.Equal(got, want) {
			t.Errorf("columns about people: %q, want %q; what is new has to be forgotten by ForgetPerson, and stand in the "+
				"test's function known", got, want)
		}
	})
}
