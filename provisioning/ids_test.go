package provisioning_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// spelled are ways to write the client account harbour where an admin or Constant Contact names it.
var spelled = []struct {
	name, typed string
	means       bool
}{
	{"as listed", "a07e1lxqqqo0", true},
	{"capitals", "A07E1LXQQQO0", true},
	{"one capital", "a07E1lxqqqo0", true},
	{"blanks around it", " a07e1lxqqqo0 \t", true},
	{"no-break space", "\u00a0a07e1lxqqqo0", false},
	{"ideographic space", "a07e1lxqqqo0\u3000", false},
	{"zero-width space", "a07e\u200b1lxqqqo0", false},
	{"full width", "\uff4107e1lxqqqo0", false},
	{"Cyrillic", "\u043007e1lxqqqo0", false},
	{"percent-encoded", "%6107e1lxqqqo0", false},
	{"blank in it", "a07e 1lxqqqo0", false},
	{"no list knows it", "a07e1lxqqqz9", false},
}

// ID-01: whatever takes a client account takes the listed one, or refuses.
func TestAccountsAreTheListedOnes(t *testing.T) {
	w := newWorld(t, settings{})
	ctx := t.Context()
	if err := w.RefreshAccounts(ctx); err != nil {
		t.Fatal(err)
	}
	w.people.set(person("jane", group("sales")), person("joe"))
	places := []struct {
		name string
		take func(typed string) (store.AccountID, error)
	}{
		{"a webhook, a command, the console", func(typed string) (store.AccountID, error) { return w.Account(ctx, typed) }},
		{"one mapping", func(typed string) (store.AccountID, error) {
			m, err := w.DraftMapping(ctx, mapping.Spec{Group: group("sales"), Account: typed, Role: "account_manager"})
			return m.Account, err
		}},
		{"a file of mappings", func(typed string) (store.AccountID, error) {
			c, err := w.CompareMappings(ctx, []mapping.Spec{{Group: group("sales"), Account: typed, Role: "account_manager"}})
			if err != nil {
				return "", err
			}
			return c.Add[0].Account, nil
		}},
		{"a file of users to adopt", func(typed string) (store.AccountID, error) {
			file := "login,account,role\njane,\"" + typed + "\",account_manager\n"
			told, err := provisioning.ReadKnownUsers(strings.NewReader(file))
			if err != nil {
				return "", err
			}
			tellings, err := w.PreviewAdoption(ctx, told)
			if err != nil || tellings[0].Fault != "" || tellings[0].Note != "" && strings.Contains(tellings[0].Note,
				"not among those") {
				return "", errors.Join(err, errors.New(tellings[0].Fault+tellings[0].Note))
			}
			return tellings[0].User.Account, nil
		}},
		{"a file of users to import", func(typed string) (store.AccountID, error) {
			// One that no list knows is imported as it stands: what is exact is no other account's.
			if _, err := w.ImportUsers(ctx, strings.NewReader("person_id,account,external_id,role,state\njoe,\""+typed+
				"\",joe-x,account_manager,active\n"), "admin:test"); err != nil {
				return "", err
			}
			rows, err := w.db.Ledger().Person(ctx, "joe")
			if err != nil || len(rows) != 1 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			return rows[0].Account, w.forget("joe")
		}},
	}
	for _, place := range places {
		for _, c := range spelled {
			t.Run(place.name+" "+c.name, func(t *testing.T) {
				got, err := place.take(c.typed)
				if c.means && (got != harbour || err != nil) {
					t.Errorf("%q is %q, %v; want %s", c.typed, got, err, harbour)
				}
				if !c.means && err == nil && string(got) != c.typed || !c.means && got == harbour {
					t.Errorf("%q is %q, %v; want it refused", c.typed, got, err)
				}
			})
		}
	}
}

func (w *world) forget(id store.PersonID) error {
	_, remains, err := w.db.Ledger().ForgetPerson(w.tb.Context(), store.Forget{Person: id, Deleted: true,
		Bare: strings.ToLower}, store.Event{Actor: "admin:test", Action: "forget"})
	if len(remains.Users) > 0 {
		return errors.New("still there")
	}
	return err
}

// ID-01: a mapping that was stored in another case gives the listed account, in the ledger too; two accounts that
// differ in case are never taken for each other.
func TestMappingsInAnotherCase(t *testing.T) {
	w := newWorld(t, settings{})
	ctx := t.Context()
	store1 := func(group string, account store.AccountID, priority int) {
		t.Helper()
		m := store.Mapping{Kind: store.GroupMapping, GroupID: "id-of-" + group, GroupDN: "cn=" + group + ",dc=example",
			Account: account, Role: store.AccountManager, Priority: priority}
		if _, err := w.db.Mappings().Add(ctx, m, nil, store.Event{Action: "mapping-add"}); err != nil {
			t.Fatal(err)
		}
	}
	store1("sales", "A07E1LXQQQO0", 1)
	store1("third", "twin", 2)
	store1("first", "Twin", 3)
	all := []store.Account{{ID: harbour, BillingStatus: "Open"}, {ID: "Twin", BillingStatus: "Open"},
		{ID: "TWIN", BillingStatus: "Open"}}
	if err := w.db.Accounts().ReplaceAll(ctx, all, store.Event{Actor: "test", Action: "accounts-refresh"}); err != nil {
		t.Fatal(err)
	}
	w.add(mapping.Spec{Pattern: "ctct-{account}", Role: "campaign_creator"})
	given := func(groups ...string) (accounts []store.AccountID) {
		t.Helper()
		p := person("jane")
		for _, g := range groups {
			p.Groups = append(p.Groups, group(g))
		}
		assignments, err := w.Assignments(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range assignments {
			accounts = append(accounts, a.Account)
		}
		return accounts
	}
	for _, c := range []struct {
		groups []string
		want   []store.AccountID
	}{
		{[]string{"sales"}, []store.AccountID{harbour}},
		{[]string{"sales", "ctct-A07e1lxqqqo0"}, []store.AccountID{harbour}},
		{[]string{"third"}, nil},
		{[]string{"first"}, []store.AccountID{"Twin"}},
		{[]string{"ctct-Twin"}, []store.AccountID{"Twin"}},
		{[]string{"ctct-TWIN"}, []store.AccountID{"TWIN"}},
		{[]string{"ctct-twin"}, nil},
		{[]string{"ctct-a07e1lxqqqz9"}, nil},
		{[]string{"ctct- a07e1lxqqqo0"}, nil},
		{[]string{"ctct-\uff4107e1lxqqqo0"}, nil},
	} {
		if got := given(c.groups...); !slices.Equal(got, c.want) {
			t.Errorf("groups %q give %q, want %q", c.groups, got, c.want)
		}
	}
	// The gate compares byte for byte: what comes to it was resolved.
	jane := person("jane", group("sales"))
	expect(t, w.decide(jane, wanting("A07E1LXQQQO0")), provisioning.Denied, provisioning.NotThisAccount)
	expect(t, w.decide(person("ann", group("first")), wanting("TWIN")), provisioning.Denied, provisioning.NotThisAccount)
	if d := w.decide(jane, wanting(harbour)); d.Outcome == provisioning.Denied || d.User.Account != harbour {
		t.Errorf("decision %+v", d)
	}
}

// ID-01: before the list was ever read, mappings are the record, and patterns spell accounts as they do.
func TestUnlistedAccountsAreAsMappingsSpellThem(t *testing.T) {
	w := newWorld(t, settings{})
	w.offline.Store(true)
	w.add(mapping.Spec{Group: group("sales"), Account: "NewOne", Role: "account_manager", Unchecked: true})
	w.add(mapping.Spec{Pattern: "ctct-{account}", Role: "campaign_creator"})
	m := w.add(mapping.Spec{Group: group("riders"), Account: "NEWONE", Role: "account_manager"})
	if m.Account != "NewOne" {
		t.Errorf("a mapping's account is %q", m.Account)
	}
	assignments, err := w.Assignments(t.Context(), person("jane", group("ctct-newone")))
	if err != nil || len(assignments) != 1 || assignments[0].Account != "NewOne" {
		t.Errorf("assignments %+v, %v", assignments, err)
	}
	if id, err := w.Account(t.Context(), "other"); id != "other" || !errors.Is(err, store.ErrUnlistedAccount) {
		t.Errorf("%q, %v", id, err)
	}
}

// ID-02: a person id has one form, whatever a file says.
func TestPersonIDsHaveOneForm(t *testing.T) {
	w := newWorld(t, settings{})
	if err := w.RefreshAccounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	const id = "5f2c9a1e-0000-1111-2222-33334444555f"
	w.people.set(person(id))
	told, err := provisioning.ReadKnownUsers(strings.NewReader("person_id,account,role\n\" " + strings.ToUpper(id) +
		" \",a07e1lxqqqo0,account_manager\n"))
	if err != nil {
		t.Fatal(err)
	}
	tellings, err := w.PreviewAdoption(t.Context(), told)
	if err != nil || tellings[0].Fault != "" || tellings[0].User.Person != id {
		t.Errorf("adopted as %+v, %v", tellings, err)
	}
	if _, err := w.ImportUsers(t.Context(), strings.NewReader("person_id,account,external_id,role,state\n"+
		strings.ToUpper(id)+",a07e1lxqqqo0,x1,account_manager,active\n"), "admin:test"); err != nil {
		t.Fatal(err)
	}
	if rows, err := w.db.Ledger().Person(t.Context(), id); err != nil || len(rows) != 1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	m, err := w.DraftMapping(t.Context(), mapping.Spec{Person: store.PersonID(strings.ToUpper(id)),
		Account: "a07e1lxqqqo0", Role: "account_manager"})
	if err != nil || m.Person != id {
		t.Errorf("mapping of %q, %v", m.Person, err)
	}
}
