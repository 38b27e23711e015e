package admin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// Users who exist already are looked up from a file, stored as they were shown, listed, exported and put back.
func TestAdoptions(t *testing.T) {
	w, users := newUsers(t)
	ctx, all, some := t.Context(), admin.Everything(), admin.Accounts(harbour)
	event := store.Event{At: time.Now(), Actor: "ann", Outcome: "ok"}
	const head = "login,account,external_id,role\n"
	good := "alice," + string(harbour) + ",theirs,account_manager\n"

	_, err := users.ReadAdoption(ctx, all, strings.NewReader("shoe_size\n42\n"), false)
	refused(t, "a file with another column", err, admin.Input, "line 1, header", admin.NoAct, "shoe_size")
	broken := head + good + "bob,not/an/account,x,account_manager\n"
	_, err = users.ReadAdoption(ctx, all, strings.NewReader(broken), false)
	refused(t, "a line that can't be read", err, admin.Input, "line 3, account", admin.NoAct, "account id")
	a, err := users.ReadAdoption(ctx, all, strings.NewReader(broken), true)
	if err != nil || len(a.Items) != 1 || len(a.Left) != 1 || !strings.Contains(a.Left[0].Text(), "line 3") {
		t.Errorf("left out: %+v, %v", a, err)
	}
	a, err = users.ReadAdoption(ctx, all, strings.NewReader(head+"nobody,"+string(harbour)+",x,account_manager\n"), false)
	if err != nil || a.Faults != 1 {
		t.Errorf("a person who is not there: %+v, %v", a, err)
	}
	_, err = users.Adopt(ctx, all, a, "ann")
	refused(t, "no line that can be taken", err, admin.Input, "file", admin.NoAct, "no line can be taken")

	if a, err = users.ReadAdoption(ctx, all, strings.NewReader(head+good), false); err != nil || a.Faults != 0 {
		t.Fatalf("looked up: %+v, %v", a, err)
	}
	again, err := users.ReadAdoption(ctx, all, strings.NewReader(head+good), false)
	if err != nil || again.Seen != a.Seen || a.Seen == "" {
		t.Errorf("the same file has another name: %v", err)
	}
	if list, err := users.List(ctx, all, store.UserFilter{Limit: 10}); err != nil || len(list) != 0 {
		t.Errorf("looking stored %+v, %v", list, err)
	}
	counts, err := users.Adopt(ctx, all, a, "ann")
	if err != nil || counts[store.Adopted] != 1 {
		t.Fatalf("adopted: %v, %v", counts, err)
	}
	if counts, err = users.Adopt(ctx, all, a, "ann"); err != nil || counts[store.Unchanged] != 1 {
		t.Errorf("adopted twice: %v, %v", counts, err)
	}

	list, err := users.List(ctx, some, store.UserFilter{Account: harbour, Limit: 10})
	if err != nil || len(list) != 1 || list[0].ExternalID != "theirs" || list[0].Name == "" {
		t.Errorf("listed: %+v, %v", list, err)
	}
	_, err = users.List(ctx, all, store.UserFilter{})
	refused(t, "a list without an end", err, admin.Input, "limit", admin.NoAct, "out of range")
	person := list[0].Person
	if own, err := users.OfPerson(ctx, some, person); err != nil || len(own) != 1 {
		t.Errorf("of the person: %+v, %v", own, err)
	}
	if own, err := users.OfPerson(ctx, admin.Accounts("another"), person); err != nil || len(own) != 0 {
		t.Errorf("of the person, outside of the scope: %+v, %v", own, err)
	}

	// One by one: the outcome of a user that can't be taken is a refusal, not done.
	one := admin.KnownUser{Login: "zoe", Account: string(harbour), ExternalID: "theirs", Role: "account_manager"}
	_, err = users.AdoptOne(ctx, all, one, "ann")
	refused(t, "an external id that is somebody else's", err, admin.Changed, "", admin.NoAct, "belongs to another person")
	one.ExternalID = "hers"
	if outcome, err := users.AdoptOne(ctx, some, one, "ann"); err != nil || outcome != store.Adopted {
		t.Errorf("one: %s, %v", outcome, err)
	}
	one.Login = "nobody"
	_, err = users.AdoptOne(ctx, all, one, "ann")
	refused(t, "nobody", err, admin.Input, "", admin.NoAct, "nobody in the directory has this login")

	var file strings.Builder
	if err := users.Export(ctx, all, &file, store.UserFilter{}, "csv", event); err != nil ||
		!strings.Contains(file.String(), "theirs") {
		t.Fatalf("exported: %s, %v", file.String(), err)
	}
	events, err := w.db.Audit().List(ctx, store.Filter{Action: "users-export"})
	if err != nil || len(events) != 1 || events[0].Actor != "ann" || events[0].Subject != "ledger" {
		t.Errorf("audit: %+v, %v", events, err)
	}
	err = users.Export(ctx, all, &file, store.UserFilter{}, "xml", event)
	refused(t, "a format that is none", err, admin.Input, "format", admin.NoAct, "csv or jsonl")
	if counts, err = users.Import(ctx, all, strings.NewReader(file.String()), "ann"); err != nil ||
		counts[store.Unchanged] != 2 {
		t.Errorf("imported: %v, %v", counts, err)
	}
	_, err = users.Import(ctx, all, strings.NewReader("shoe_size\n42\n"), "ann")
	refused(t, "import of another file", err, admin.Input, "line 1, header", admin.NoAct, "shoe_size")

	none := admin.Accounts("another")
	one.Login = "bob"
	for what, err := range map[string]error{
		"read":        second(users.ReadAdoption(ctx, some, strings.NewReader(head+good), false)),
		"adopt":       second(users.Adopt(ctx, some, a, "ann")),
		"adopt one":   second(users.AdoptOne(ctx, none, one, "ann")),
		"import":      second(users.Import(ctx, some, strings.NewReader(""), "ann")),
		"export":      users.Export(ctx, some, &file, store.UserFilter{}, "csv", event),
		"export one":  users.Export(ctx, none, &file, store.UserFilter{Account: harbour}, "csv", event),
		"list":        second(users.List(ctx, some, store.UserFilter{Limit: 1})),
		"list others": second(users.List(ctx, none, store.UserFilter{Account: harbour, Limit: 1})),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}
	if list, err = users.List(ctx, all, store.UserFilter{Limit: 10}); err != nil || len(list) != 2 {
		t.Errorf("at the end: %+v, %v", list, err)
	}
}

// Each state and outcome has a sentence, each once; unknown ones, of a later version, are shown as they are.
func TestUserWords(t *testing.T) {
	var said []string
	for _, s := range admin.UserStates() {
		if text := admin.UserState(s); text == string(s) || slices.Contains(said, text) {
			t.Errorf("%s is %q", s, text)
		} else {
			said = append(said, text)
		}
	}
	if got := admin.UserState("dreaming"); got != "dreaming" {
		t.Errorf("an unknown state: %q", got)
	}
	counts := map[store.Adoption]int{"of-a-later-version": 1}
	for _, o := range []store.Adoption{store.Adopted, store.Changed, store.Confirmed, store.Unchanged, store.TakenPerson,
		store.TakenID, store.TakenCase, store.MovedAway, store.NotAdoptable, provisioning.NotCreated} {
		counts[o] = 2
		if text := admin.AdoptionText(o); text == "" || strings.HasPrefix(text, "skipped") != admin.AdoptionSkips(o) {
			t.Errorf("%s is %q", o, text)
		}
	}
	if all := admin.AdoptionCounts(counts); len(all) != 11 || all[0].Outcome != store.Adopted {
		t.Errorf("in order: %+v", all)
	}
}

// What waits for an administrator is listed with the act that puts it away.
func TestAttention(t *testing.T) {
	w, accounts := newAccounts(t)
	ctx, all := t.Context(), admin.Everything()
	users := admin.Users{Store: w.db, Provisioning: w.rules, Directory: w.Directory}
	attention := admin.Attention{Plans: admin.Plans{Store: w.db, Provisioning: w.rules, Budget: w.calls}, Users: users,
		Accounts: accounts, Status: admin.Status{Store: w.db, Providers: admin.Providers{Store: w.db, Now: time.Now}}}
	needs := func() []admin.Need {
		t.Helper()
		now, err := attention.Plans.Status(ctx, all)
		if err != nil {
			t.Fatal(err)
		}
		list, err := attention.List(ctx, all, now)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	acts := func(list []admin.Need) (all []admin.Act) {
		for _, n := range list {
			if n.Finding == nil {
				all = append(all, n.Act)
			}
		}
		return all
	}
	if got := acts(needs()); !slices.Equal(got, []admin.Act{admin.AddMapping}) {
		t.Errorf("of an empty store: %v", got)
	}
	a, err := users.ReadAdoption(ctx, all, strings.NewReader("login,account,external_id,role,state\nalice,"+
		string(harbour)+",theirs,account_manager,assumed\n"), false)
	if err == nil {
		_, err = users.Adopt(ctx, all, a, "ann")
	}
	if err == nil {
		err = attention.Plans.PauseAll(ctx, all, false, "ann")
	}
	if err != nil {
		t.Fatal(err)
	}
	list := needs()
	if got := acts(list); !slices.Equal(got, []admin.Act{admin.AddMapping, admin.ResumeProvisioning, admin.ListUsersIn}) ||
		list[2].About != string(store.Assumed) || list[2].Count != 1 {
		t.Errorf("paused, with one assumed: %+v", list)
	}
	now, err := attention.Plans.Status(ctx, all)
	if err != nil || now.Pause.By != "ann" || now.Count(store.Assumed) != 1 || now.Count(store.Active) != 0 ||
		now.Budget.Limit == 0 || now.Left == 0 {
		t.Errorf("status: %+v, %v", now, err)
	}
	some := admin.Accounts(harbour)
	for what, err := range map[string]error{
		"status": second(attention.Plans.Status(ctx, some)), "calls": second(attention.Plans.Calls(ctx, some)),
		"list": second(attention.List(ctx, some, now)), "plans": second(attention.Plans.List(ctx, some, 1)),
		"making": second(attention.Plans.Making(ctx, some)), "forecast": second(attention.Plans.Forecast(ctx, some, 1)),
		"items": second(attention.Plans.Items(ctx, some, 1, store.ItemFilter{Limit: 1})),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}
}
