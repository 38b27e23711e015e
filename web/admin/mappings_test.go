package admin_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/store/storetest"
	"ssobridge/web/admin"
)

const harbour store.AccountID = "a07e1lxqqqo0" // of the sandbox

// world is a store, a directory server and the sandbox, with the rules over them.
type world struct {
	db    *store.DB
	ldap  *directorytest.Slapd
	rules *provisioning.Service
	peer  *sandbox.Sandbox
	calls *store.Budget

	options provisioning.Options // of the rules
	admin.Mappings
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{db: storetest.Open(t), ldap: directorytest.StartSlapd(t)}
	options := w.ldap.Options()
	options.GroupMode, options.Nested = "member_of", true
	d, err := directory.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	peer, err := sandbox.Start("127.0.0.1:0", sandbox.Options{
		Accounts: sandbox.SampleAccounts(), PerSecond: sandbox.Unlimited, TokensPerSecond: sandbox.Unlimited,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	w.peer = peer
	tokens, err := partnerapi.NewTokenSource(peer.TokenOptions())
	if err != nil {
		t.Fatal(err)
	}
	budget := w.db.Budget(store.BudgetLimits{PerSecond: 1000, PerDay: 100_000, Reserve: 0.2})
	w.calls = budget
	client, err := partnerapi.New(partnerapi.Options{
		BaseURL: peer.BaseURL(), APIKey: sandbox.DefaultAPIKey, Tokens: tokens, Budget: budget, Timeout: 10 * time.Second,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.options = provisioning.Options{
		Mappings: w.db.Mappings(), Ledger: w.db.Ledger(), Accounts: w.db.Accounts(), Plans: w.db.Plans(), Budget: budget,
		Breaker: w.db.Breaker(), Leases: w.db.Leases(), Clock: w.db.Clock(), Audit: w.db.Audit(), Changes: w.db.Changes,
		Client: client, Directory: d,
		ExternalProvider: sandbox.DefaultExternalProvider, Logger: slog.New(slog.DiscardHandler),
		Operations: []provisioning.OperationRule{{Method: "GET", Path: "/contacts"}, {Method: "POST", Path: "/contacts"}},
	}
	w.rules, err = provisioning.New(w.options)
	if err != nil {
		t.Fatal(err)
	}
	w.Mappings = admin.Mappings{Rules: w.rules, Directory: d,
		Reads: func(attribute string) bool { return attribute == "title" }}
	return w
}

func group(dn string, account store.AccountID) admin.MappingInput {
	return admin.MappingInput{Input: mapping.Input{Group: dn, Account: string(account), Role: "account_manager"}}
}

// refused holds an error against what an administrator is to read of it.
func refused(t *testing.T, what string, err error, kind admin.Kind, field string, act admin.Act, text string) {
	t.Helper()
	e, ok := errors.AsType[*admin.Error](err)
	if !ok || e.Kind != kind || e.Field != field || e.Act != act || !strings.Contains(e.Line(), text) {
		t.Errorf("%s: got %+v (%v), want kind %d, field %q, act %q and %q", what, e, err, kind, field, act, text)
	}
}

// A mapping is drafted, looked at, stored as it was shown, changed and removed; what was shown before and is otherwise
// now is refused.
func TestMappings(t *testing.T) {
	w, all := newWorld(t), admin.Everything()
	ctx := t.Context()
	staff := w.ldap.GroupDN("staff")
	draft, err := w.Draft(ctx, all, group(staff, harbour), "ann")
	if err != nil || len(draft.Change.Add) != 1 || draft.Seen == "" {
		t.Fatalf("draft: %+v, %v", draft, err)
	}
	if again, err := w.Draft(ctx, all, group(staff, harbour), "bob"); err != nil || again.Seen != draft.Seen {
		t.Errorf("the same draft has another name: %v", err)
	}
	if other, err := w.Draft(ctx, all, group(w.ldap.GroupDN("emea"), harbour), "ann"); err != nil ||
		other.Seen == draft.Seen {
		t.Errorf("another draft has the same name: %v", err)
	}
	if list, err := w.List(ctx, all); err != nil || len(list) != 0 {
		t.Fatalf("a draft was stored: %v, %v", list, err)
	}
	sum, err := w.Effects(ctx, all, draft.Change, nil)
	if err != nil || sum.Gains == 0 || sum.Losses != 0 {
		t.Errorf("effects: %+v, %v", sum, err)
	}
	m, err := w.AddDraft(ctx, all, draft)
	if err != nil || m.Account != harbour || m.GroupID == "" || m.CreatedBy != "ann" {
		t.Fatalf("added %+v, %v", m, err)
	}

	role := "campaign_creator"
	edit, err := w.Set(ctx, all, m.ID, admin.MappingChanges{Role: &role})
	if err != nil || edit.Now.Role != store.CampaignCreator || edit.Now.Priority != m.Priority {
		t.Fatalf("set: %+v, %v", edit, err)
	}
	off, err := w.Switch(ctx, all, m.ID, true)
	if err != nil || off.Seen == edit.Seen {
		t.Fatalf("switch: %+v, %v", off, err)
	}
	if err := w.Save(ctx, all, edit, "ann"); err != nil {
		t.Fatal(err)
	}
	refused(t, "saved over another change", w.Save(ctx, all, off, "ann"), admin.Changed, "", admin.ListMappings,
		"somebody else has changed")

	history, err := w.History(ctx, all, m.ID, 0, 10)
	if err != nil || len(history) != 2 {
		t.Fatalf("history: %+v, %v", history, err)
	}
	back, err := w.Return(ctx, all, history[1].ID)
	if err != nil || back.Now.Role != store.AccountManager {
		t.Errorf("return: %+v, %v", back, err)
	}
	_, err = w.Return(ctx, all, 999)
	refused(t, "an entry that is not there", err, admin.Missing, "entry", admin.ShowMappingHistory,
		"there is no entry 999")

	gone, err := w.Remove(ctx, all, m.ID)
	if err == nil {
		err = w.Save(ctx, all, gone, "ann")
	}
	if err != nil {
		t.Fatalf("remove: %v", err)
	}
	_, err = w.Get(ctx, all, m.ID)
	refused(t, "a mapping that is gone", err, admin.Missing, "id", admin.ListMappings, "there is no mapping")
	events, err := w.db.Audit().List(ctx, store.Filter{Actor: "ann", Limit: 10})
	if err != nil || len(events) != 3 {
		t.Errorf("%d events, %v; want one each for add, set and remove", len(events), err)
	}
}

// What is wrong with a mapping comes with the input at fault and what fixes it, and names no flag.
func TestMappingFaults(t *testing.T) {
	w := newWorld(t)
	staff := w.ldap.GroupDN("staff")
	for _, c := range []struct {
		name  string
		in    mapping.Input
		kind  admin.Kind
		field string
		act   admin.Act
		text  string
	}{
		{"nobody", mapping.Input{Account: string(harbour), Role: "account_manager"}, admin.Input, "group", admin.NoAct,
			"exactly one of"},
		{"two", mapping.Input{Group: staff, Person: "alice", Account: string(harbour), Role: "account_manager"}, admin.Input,
			"group", admin.NoAct, "exactly one of"},
		{"no DN", mapping.Input{Group: "staff", Account: string(harbour), Role: "account_manager"}, admin.Input, "group",
			admin.NoAct, "copy the group's DN"},
		{"no group", mapping.Input{Group: w.ldap.GroupDN("none"), Account: string(harbour), Role: "account_manager"},
			admin.Missing, "group", admin.NoAct, "no entry of that name"},
		{"no person", mapping.Input{Person: "nobody", Account: string(harbour), Role: "account_manager"}, admin.Missing,
			"person", admin.NoAct, "as the person types it"},
		{"no pattern", mapping.Input{AttributePattern: "foo", Role: "account_manager"}, admin.Input, "attribute_pattern",
			admin.NoAct, "want ATTR=PATTERN"},
		{"not read", mapping.Input{AttributePattern: "mobile={account}", Role: "account_manager"}, admin.Input,
			"attribute_pattern", admin.NoAct, "is not read"},
		{"no base", mapping.Input{GroupPattern: "ctct-{account}-{role}"}, admin.Input, "group_base", admin.GiveGroupBase,
			"has no group base"},
		{"wide base", mapping.Input{GroupPattern: "ctct-{account}-{role}", GroupBase: w.ldap.BaseDN}, admin.Input,
			"group_base", admin.NoAct, "holds all of"},
		{"base of a group", mapping.Input{Group: staff, GroupBase: staff, Account: string(harbour), Role: "account_manager"},
			admin.Input, "group_base", admin.NoAct, "patterns of group names only"},
		{"when", mapping.Input{Group: staff, Account: string(harbour), Role: "account_manager", Create: "never"}, admin.Input,
			"create", admin.NoAct, "in-advance"},
		{"role", mapping.Input{Group: staff, Account: string(harbour), Role: "boss"}, admin.Input, "role", admin.NoAct,
			"give account_manager"},
		{"account", mapping.Input{Group: staff, Account: "a07enosuch", Role: "account_manager"}, admin.Input, "account",
			admin.NoAct, "is not among"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.Add(t.Context(), admin.Everything(), admin.MappingInput{Input: c.in}, "ann")
			refused(t, "add", err, c.kind, c.field, c.act, c.text)
			_, drafted := w.Draft(t.Context(), admin.Everything(), admin.MappingInput{Input: c.in}, "ann")
			if drafted == nil || drafted.Error() != err.Error() {
				t.Errorf("a draft says %v, storing it %v", drafted, err)
			}
			if ofFaces.MatchString(err.Error()) {
				t.Errorf("%s: a flag or a command is for a face to say", err)
			}
		})
	}
	if list, err := w.List(t.Context(), admin.Everything()); err != nil || len(list) != 0 {
		t.Errorf("something was stored: %v, %v", list, err)
	}
}

// A pattern keeps its base or gets another one that holds few groups; no other mapping has one.
func TestGroupBaseOfMapping(t *testing.T) {
	w, all := newWorld(t), admin.Everything()
	ctx := t.Context()
	groups, narrow, none := "ou=groups,"+w.ldap.BaseDN, w.ldap.GroupDN("staff"), ""
	pattern, err := w.Add(ctx, all, admin.MappingInput{Input: mapping.Input{GroupPattern: "ctct-{account}-{role}",
		GroupBase: groups}}, "ann")
	if err != nil {
		t.Fatal(err)
	}
	one, err := w.Add(ctx, all, group(w.ldap.GroupDN("staff"), harbour), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if edit, err := w.Set(ctx, all, pattern.ID, admin.MappingChanges{GroupBase: &groups}); err != nil ||
		!edit.Change.Empty() {
		t.Errorf("the same base: %+v, %v; want no change", edit, err)
	}
	if edit, err := w.Set(ctx, all, pattern.ID, admin.MappingChanges{GroupBase: &narrow}); err != nil ||
		edit.Now.GroupDN != narrow {
		t.Errorf("another base: %+v, %v", edit, err)
	}
	_, err = w.Set(ctx, all, pattern.ID, admin.MappingChanges{GroupBase: &none})
	refused(t, "no base any more", err, admin.Input, "group_base", admin.GiveGroupBase, "needs a group base")
	_, err = w.Set(ctx, all, pattern.ID, admin.MappingChanges{GroupBase: &w.ldap.BaseDN})
	refused(t, "a wide base", err, admin.Input, "group_base", admin.NoAct, "holds all of")
	_, err = w.Set(ctx, all, one.ID, admin.MappingChanges{GroupBase: &groups})
	refused(t, "the base of one group", err, admin.Input, "group_base", admin.NoAct, "patterns of group names only")
	if _, err := w.Set(ctx, all, one.ID, admin.MappingChanges{GroupBase: &none}); err != nil {
		t.Errorf("none where there is none: %v", err)
	}
}

// A file is compared, applied as it was shown and exported as it was read; all its faults come together.
func TestMappingFile(t *testing.T) {
	w, all := newWorld(t), admin.Everything()
	ctx := t.Context()
	file := []byte("mappings:\n  - group: " + w.ldap.GroupDN("staff") +
		"\n    account: a07e1lxqqqo0\n    role: account_manager\n    priority: 10\n")
	set, err := w.ReadFile(ctx, all, file, false, "ann")
	if err != nil || len(set.Add) != 1 || set.Empty() {
		t.Fatalf("%+v, %v", set, err)
	}
	if err := w.Apply(ctx, all, set, "ann"); err != nil {
		t.Fatal(err)
	}
	refused(t, "applied twice", w.Apply(ctx, all, set, "ann"), admin.Changed, "", admin.ListMappings, "nothing was saved")
	var out bytes.Buffer
	if err := w.Export(ctx, all, &out); err != nil || out.String() != string(file) {
		t.Errorf("exported %q, %v; want %q", out.String(), err, file)
	}
	if same, err := w.ReadFile(ctx, all, out.Bytes(), false, "ann"); err != nil || !same.Empty() {
		t.Errorf("what was exported differs: %+v, %v", same, err)
	}
	_, err = w.ReadFile(ctx, all, []byte("mappings:\n  - person: nobody\n    account: a1\n  - group: x\n    person: y\n"),
		false, "ann")
	e, ok := errors.AsType[*admin.Error](err)
	if !ok || len(e.Parts) != 2 || !strings.Contains(e.Text(), "mapping 1: find the person") || !strings.Contains(e.Text(),
		"mapping 2: want exactly one of") {
		t.Errorf("faults of a file: %+v, %v", e, err)
	}
	// REAL-70: an owner stands in the file with the external_id, and is not changed by it.
	mina := admin.MappingInput{Input: mapping.Input{Person: "alice", Account: "a07e1lxqqqo0", Role: "owner"},
		ExternalID: "owner-1", Unlisted: true}
	if _, err := w.Add(ctx, all, mina, "ann"); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := w.Export(ctx, all, &out); err != nil || !strings.Contains(out.String(), "external_id: owner-1") {
		t.Errorf("exported %q, %v; want the owner", out.String(), err)
	}
	if same, err := w.ReadFile(ctx, all, out.Bytes(), false, "ann"); err != nil || !same.Empty() {
		t.Errorf("what was exported with an owner differs: %+v, %v", same, err)
	}
	_, err = w.ReadFile(ctx, all, bytes.ReplaceAll(out.Bytes(), []byte("owner-1"), []byte("owner-2")), false, "ann")
	if e, ok := admin.AsError(err); !ok || !strings.Contains(e.Text(), "line 6, mapping 2: external_id: it differs") {
		t.Errorf("another external_id: %v", err)
	}
	// What is exported is read into another store.
	empty := newWorld(t)
	moved := bytes.ReplaceAll(out.Bytes(), []byte(w.ldap.BaseDN), []byte(empty.ldap.BaseDN))
	set, err = empty.ReadFile(ctx, all, moved, true, "ann")
	if err != nil || len(set.Add) != 2 || len(set.Owners) != 1 {
		t.Fatalf("read into an empty store: %+v, %v", set, err)
	}
	if other, err := empty.ReadFile(ctx, all, bytes.ReplaceAll(moved, []byte("owner-1"), []byte("owner-2")), true,
		"ann"); err != nil || other.Seen == set.Seen {
		t.Errorf("another external_id counts as the set that was shown: %v", err)
	}
	if err := empty.Apply(ctx, all, set, "ann"); err != nil {
		t.Fatal(err)
	}
	var second bytes.Buffer
	if err := empty.Export(ctx, all, &second); err != nil || second.String() != string(moved) {
		t.Errorf("exported from there %q, %v; want %q", second.String(), err, moved)
	}
	_, err = w.ReadFile(ctx, all, []byte("mapping: []\n"), false, "ann")
	refused(t, "an unknown key", err, admin.Input, "file", admin.NoAct, "no file of mappings")
}

// Default deny: whoever may see some client accounts sees and changes the mappings of these alone.
func TestMappingScope(t *testing.T) {
	w := newWorld(t)
	ctx, mine, others := t.Context(), admin.Accounts(harbour), admin.Accounts("a07e1lxqqqp1")
	if _, err := w.Add(ctx, others, group(w.ldap.GroupDN("staff"), harbour), "ann"); err == nil {
		t.Error("a mapping outside the scope was stored")
	}
	m, err := w.Add(ctx, mine, group(w.ldap.GroupDN("staff"), harbour), "ann")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Add(ctx, others, group(w.ldap.GroupDN("staff"), harbour), "ann")
	refused(t, "added once more", err, admin.Forbidden, "account", admin.NoAct, "you may not see")
	_, err = w.Draft(ctx, others, group(w.ldap.GroupDN("staff"), harbour), "ann")
	refused(t, "drafted once more", err, admin.Forbidden, "account", admin.NoAct, "you may not see")
	pattern := mapping.Input{AttributePattern: "title=ctct:{account}", Role: "account_manager"}
	_, err = w.Add(ctx, mine, admin.MappingInput{Input: pattern}, "ann")
	refused(t, "a pattern over any account", err, admin.Forbidden, "", admin.NoAct, "all client accounts")
	if list, err := w.List(ctx, others); err != nil || len(list) != 0 {
		t.Errorf("another scope sees %v, %v", list, err)
	}
	later := w.options
	later.Now = func() time.Time { return time.Now().Add(time.Hour) } // when nothing can be undone any more
	rules, err := provisioning.New(later)
	if err != nil {
		t.Fatal(err)
	}
	old := w.Mappings
	old.Rules = rules
	for what, act := range map[string]func(admin.Scope) error{
		"undo":                    func(s admin.Scope) error { return w.Undo(ctx, s, m.ID, 1, "ann") },
		"undo of what is too old": func(s admin.Scope) error { return old.Undo(ctx, s, m.ID, 999, "ann") },
		"get":                     func(s admin.Scope) error { _, err := w.Get(ctx, s, m.ID); return err },
		"switch":                  func(s admin.Scope) error { _, err := w.Switch(ctx, s, m.ID, true); return err },
		"remove":                  func(s admin.Scope) error { _, err := w.Remove(ctx, s, m.ID); return err },
		"history":                 func(s admin.Scope) error { _, err := w.History(ctx, s, m.ID, 0, 10); return err },
		"move": func(s admin.Scope) error {
			other := "a07e1lxqqqr2"
			edit, err := w.Set(ctx, admin.Everything(), m.ID, admin.MappingChanges{Account: &other})
			if err != nil {
				t.Fatal(err)
			}
			return w.Save(ctx, s, edit, "ann")
		},
	} {
		if e, ok := errors.AsType[*admin.Error](act(others)); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s in another scope: %v", what, e)
		}
	}
	off, err := w.Switch(ctx, mine, m.ID, true)
	if err == nil {
		err = w.Save(ctx, mine, off, "ann")
	}
	if err == nil {
		_, err = w.Add(ctx, mine, group(w.ldap.GroupDN("staff"), harbour), "ann")
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Switch(ctx, mine, m.ID, false)
	refused(t, "switched on beside another one", err, admin.Input, "group", admin.NoAct, "says the same already")
	_, err = w.Switch(ctx, others, m.ID, false)
	refused(t, "switched on beside another one, in another scope", err, admin.Forbidden, "account", admin.NoAct,
		"you may not see")
	if err := w.Export(ctx, mine, &bytes.Buffer{}); err == nil {
		t.Error("a part of the scope exported all mappings")
	}
	if _, err := w.ReadFile(ctx, mine, nil, false, "ann"); err == nil {
		t.Error("a part of the scope compared all mappings")
	}
}

// A group that was deleted and made again under its DN has no access until it is accepted, and only the one that was
// looked at is.
func TestAcceptGroup(t *testing.T) {
	w, all := newWorld(t), admin.Everything()
	ctx := t.Context()
	m, err := w.Add(ctx, all, group(w.ldap.GroupDN("staff"), harbour), "ann")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.OtherGroup(ctx, all, m.ID)
	refused(t, "nothing to accept", err, admin.Changed, "", admin.NoAct, "belongs to the group that is mapped")
	before := m
	m.GroupID = "00000000-0000-0000-0000-000000000000"
	if err := w.db.Mappings().Set(ctx, before, m, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	list, err := w.List(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	if replaced, err := w.Replaced(ctx, list); err != nil || replaced[m.ID].ID != before.GroupID {
		t.Errorf("replaced: %+v, %v", replaced, err)
	}
	err = w.AcceptGroup(ctx, all, m.ID, "another", "ann")
	refused(t, "another than was looked at", err, admin.Changed, "", admin.LookAgain, "another one now")
	if !errors.Is(err, idp.ErrGroupChanged) {
		t.Errorf("the cause is lost: %v", err)
	}
	if err := w.AcceptGroup(ctx, all, m.ID, before.GroupID, "ann"); err != nil {
		t.Fatal(err)
	}
	if now, err := w.Get(ctx, all, m.ID); err != nil || now.GroupID != before.GroupID {
		t.Errorf("accepted: %+v, %v", now, err)
	}
}

// TestMappingOfSource: a mapping over a source's groups is written in one form, for a source that there is, and is
// changed like others; the directory is asked about none of it.
func TestMappingOfSource(t *testing.T) {
	w, all := newWorld(t), admin.Everything()
	ctx := t.Context()
	w.Mappings.Sources = []string{"portal"}
	m, err := w.Add(ctx, all, group("claim:portal:editors", harbour), "ann")
	if err != nil || m.GroupID != "claim:portal:editors" || m.GroupDN != m.GroupID || !m.AtSignIn {
		t.Fatalf("added %+v, %v", m, err)
	}
	pattern, err := w.Add(ctx, all, admin.MappingInput{Input: mapping.Input{GroupPattern: "ctct-{account}-{role}",
		GroupBase: "claim:portal"}}, "ann")
	if err != nil || pattern.GroupDN != "claim:portal" || !pattern.AtSignIn {
		t.Fatalf("added %+v, %v", pattern, err)
	}
	_, err = w.Add(ctx, all, group("claim:portal:editors", harbour), "ann")
	refused(t, "again", err, admin.Input, "group", admin.NoAct, "says the same already")
	_, err = w.Add(ctx, all, group("claim:other:editors", harbour), "ann")
	refused(t, "of no source", err, admin.Input, "group", admin.NoAct, "there is no source")
	_, err = w.Add(ctx, all, group("claim:portal", harbour), "ann")
	refused(t, "of no form", err, admin.Input, "group", admin.NoAct, "is no group of a source's tokens")
	_, err = w.Add(ctx, all, admin.MappingInput{Input: mapping.Input{GroupPattern: "x-{account}-{role}",
		GroupBase: "claim:other"}}, "ann")
	refused(t, "a base of no source", err, admin.Input, "group_base", admin.NoAct, "there is no source")
	list, err := w.List(ctx, all)
	if err != nil || len(list) != 2 {
		t.Fatalf("list: %v, %v", list, err)
	}
	if replaced, err := w.Replaced(ctx, list); err != nil || len(replaced) != 0 {
		t.Errorf("replaced: %v, %v", replaced, err)
	}
	if risk := w.PrimaryRisk(ctx, m); risk != "" {
		t.Errorf("primary group: %s", risk)
	}
}
