package admin_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// A person is read with all that is known, searched for, invited and captured; somebody whom nobody knows is refused.
func TestPerson(t *testing.T) {
	w := newWorld(t)
	ctx, all, some := t.Context(), admin.Everything(), admin.Accounts(harbour)
	p := w.newIdP(t)
	people := admin.People{Store: w.db, Provisioning: w.rules, Directory: w.Directory, IdP: p}
	event := store.Event{At: time.Now(), Actor: "ann", Outcome: "ok"}
	users := admin.Users{Store: w.db, Provisioning: w.rules, Directory: w.Directory}
	if _, err := users.AdoptOne(ctx, all, admin.KnownUser{Login: "alice", Account: string(harbour), ExternalID: "theirs",
		Role: "account_manager"}, "ann"); err != nil {
		t.Fatal(err)
	}
	id, err := users.Find(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	x, err := people.Get(ctx, all, id)
	if err != nil || x.Entry.Login != "alice" || len(x.Users) != 1 || x.Gone() || x.Fault != nil {
		t.Errorf("alice: %+v, %v", x, err)
	}
	_, err = people.Get(ctx, all, "nobody")
	refused(t, "somebody whom nobody knows", err, admin.Missing, "person", admin.NoAct, `there is no person "nobody"`)

	found, more, err := people.Search(ctx, all, "ali", 10)
	if err != nil || more || len(found) != 1 || found[0].Login != "alice" {
		t.Errorf("searched: %+v, %v", found, err)
	}
	_, _, err = people.Search(ctx, all, "a", 10)
	refused(t, "a text that is too short", err, admin.Input, "find", admin.NoAct, "type 2 to 100 characters")

	factors := admin.Factors{IdP: p, URL: "https://sso.example.com/admin/"}
	if list, err := factors.List(ctx, all, id); err != nil || len(list) != 0 {
		t.Errorf("factors: %+v, %v", list, err)
	}
	_, err = factors.Invite(ctx, all, id, false, event)
	refused(t, "an invitation without a role", err, admin.Input, "person", admin.ListConsoleGroups, "has no role")
	if n, err := factors.Reset(ctx, all, id, event); err != nil || n != 0 {
		t.Errorf("reset: %d, %v", n, err)
	}

	captures := admin.Captures{Store: w.db, IdP: p}
	_, err = captures.Begin(ctx, all, id, 2*time.Hour, event)
	refused(t, "a capture that is too long", err, admin.Input, "for", admin.NoAct, "write at most 1h")
	until, err := captures.Begin(ctx, all, id, time.Minute, event)
	if err != nil || until.Before(time.Now()) {
		t.Errorf("captured until %s, %v", until, err)
	}
	if x, err = people.Get(ctx, all, id); err != nil || x.Captured.Sub(until).Abs() > time.Millisecond {
		t.Errorf("captured until %s, want %s: %v", x.Captured, until, err)
	}
	if list, err := captures.List(ctx, all); err != nil || len(list) != 1 || list[0].Person != id {
		t.Errorf("captured: %+v, %v", list, err)
	}
	if err := captures.End(ctx, all, id, event); err != nil {
		t.Error(err)
	}
	if list, err := captures.List(ctx, all); err != nil || len(list) != 0 {
		t.Errorf("captured, when it was ended: %+v, %v", list, err)
	}
	_, err = captures.Read(ctx, all, "REF", event)
	refused(t, "a reference without a capture", err, admin.Missing, "ref", admin.CaptureAssertions, "nothing was captured")
	if has, err := captures.Has(ctx, all, "REF"); err != nil || has {
		t.Errorf("captured under a reference: %v, %v", has, err)
	}

	groups, more, err := w.SearchGroups(ctx, all, "staff", 10)
	if err != nil || more || len(groups) != 1 {
		t.Errorf("groups: %+v, %v", groups, err)
	}
	g, err := w.Members(ctx, all, w.ldap.GroupDN("staff"), 2)
	if err != nil || g.Group.Name != "staff" || g.Total == 0 || len(g.Members) == 0 {
		t.Errorf("members: %+v, %v", g, err)
	}
	_, err = w.Members(ctx, all, w.ldap.GroupDN("none"), 2)
	refused(t, "a group that is not there", err, admin.Missing, "group", admin.NoAct, "read the group")

	for what, err := range map[string]error{
		"get": second(people.Get(ctx, some, id)), "factors": second(factors.List(ctx, some, id)),
		"invite": second(factors.Invite(ctx, some, id, true, event)), "reset": second(factors.Reset(ctx, some, id, event)),
		"capture":     second(captures.Begin(ctx, some, id, time.Minute, event)),
		"end capture": captures.End(ctx, some, id, event),
		"captures":    second(captures.List(ctx, some)), "has": second(captures.Has(ctx, some, "REF")),
		"captured": second(captures.Read(ctx, some, "REF", event)),
		"members":  second(w.Members(ctx, some, w.ldap.GroupDN("staff"), 2)),
		"search":   func() error { _, _, err := people.Search(ctx, some, "ali", 1); return err }(),
		"groups":   func() error { _, _, err := w.SearchGroups(ctx, some, "staff", 1); return err }(),
		"stops":    func() error { _, err := w.Stops(ctx, some, nil, false, "", ""); return err }(),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}

	// With the directory down it is what the store says.
	w.ldap.Stop(t)
	if x, err = people.Get(ctx, all, id); err != nil || x.Fault == nil || x.Fault.Kind != admin.Outside || x.Gone() ||
		len(x.Users) != 1 {
		t.Errorf("with the directory down: %+v, %v", x, err)
	}
}

// Sign-ins are listed with the names of their people; a reference of none is refused, with where to look.
func TestTraces(t *testing.T) {
	w := newWorld(t)
	ctx, all, some := t.Context(), admin.Everything(), admin.Accounts(harbour)
	traces := admin.Traces{Store: w.db}
	users := admin.Users{Store: w.db, Provisioning: w.rules, Directory: w.Directory}
	if _, err := users.AdoptOne(ctx, all, admin.KnownUser{Login: "alice", Account: string(harbour), ExternalID: "theirs",
		Role: "account_manager"}, "ann"); err != nil {
		t.Fatal(err)
	}
	id, err := users.Find(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	one := store.Trace{Ref: "KD2T2QB11D", At: time.Now(), Person: id, Outcome: "ok"}
	if err := w.db.Traces().Add(ctx, one); err != nil {
		t.Fatal(err)
	}
	list, err := traces.List(ctx, all, store.TraceFilter{Limit: 10})
	if err != nil || len(list) != 1 || list[0].Name != "Alice Anders" {
		t.Errorf("listed: %+v, %v", list, err)
	}
	_, err = traces.List(ctx, all, store.TraceFilter{})
	refused(t, "a list without an end", err, admin.Input, "limit", admin.NoAct, "write 1 to 1000")
	if list, coded, err := traces.Find(ctx, all, "kd2t2qb11d"); err != nil || coded != nil || len(list) != 1 ||
		list[0].Ref != "KD2T2QB11D" {
		t.Errorf("found: %+v, %+v, %v", list, coded, err)
	}
	_, _, err = traces.Find(ctx, all, "NOSUCHREF0")
	refused(t, "a reference of none", err, admin.Missing, "ref", admin.AuditOfReference, "older than traces.keep")
	if refusals, counted, err := traces.Refusals(ctx, all, time.Now().Add(-time.Hour), 10); err != nil ||
		len(refusals)+len(counted) != 0 {
		t.Errorf("refusals: %+v, %+v, %v", refusals, counted, err)
	}
	for what, err := range map[string]error{
		"list":     second(traces.List(ctx, some, store.TraceFilter{Limit: 1})),
		"find":     func() error { _, _, err := traces.Find(ctx, some, "X"); return err }(),
		"refusals": func() error { _, _, err := traces.Refusals(ctx, some, time.Now(), 1); return err }(),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}
}

// Events are listed with the names of their people and exported, which leaves an event.
func TestAuditList(t *testing.T) {
	w := newWorld(t)
	ctx, all, some := t.Context(), admin.Everything(), admin.Accounts(harbour)
	sealer, err := certs.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	audit := admin.Audit{Store: w.db, Sealer: sealer, Directory: w.Directory, Now: time.Now}
	id, err := audit.About(ctx, " alice ")
	if err != nil || len(id) < 20 {
		t.Fatalf("about alice: %q, %v", id, err)
	}
	for _, who := range []string{"", "admin:root", "nobody-there"} {
		if got, err := audit.About(ctx, who); err != nil || got != who {
			t.Errorf("about %q: %q, %v", who, got, err)
		}
	}
	users := admin.Users{Store: w.db, Provisioning: w.rules, Directory: w.Directory}
	if _, err := users.AdoptOne(ctx, all, admin.KnownUser{Login: "alice", Account: string(harbour), ExternalID: "theirs",
		Role: "account_manager"}, "ann"); err != nil {
		t.Fatal(err)
	}
	list, err := audit.List(ctx, all, store.Filter{About: id, Limit: 10})
	if err != nil || len(list) != 1 || list[0].SubjectName != "Alice Anders" || list[0].Actor != "ann" {
		t.Errorf("listed: %+v, %v", list, err)
	}
	_, err = audit.List(ctx, all, store.Filter{})
	refused(t, "a list without an end", err, admin.Input, "limit", admin.NoAct, "write 1 to 1000")
	var file strings.Builder
	event := store.Event{At: time.Now(), Actor: "ann", Outcome: "ok"}
	if err := audit.Export(ctx, all, &file, store.Filter{}, "jsonl", event); err != nil ||
		!strings.Contains(file.String(), `"action":"audit-export"`) {
		t.Errorf("exported: %s, %v", file.String(), err)
	}
	err = audit.Export(ctx, all, &file, store.Filter{}, "xml", event)
	refused(t, "a format that is none", err, admin.Input, "format", admin.NoAct, "csv or jsonl")
	for what, err := range map[string]error{
		"list":   second(audit.List(ctx, some, store.Filter{Limit: 1})),
		"export": audit.Export(ctx, some, &file, store.Filter{}, "csv", event),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}
}

// Our metadata, as served and to hand over; a service provider that is not registered, and a key that is not there, are
// refused.
func TestOurMetadata(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	sealer, err := certs.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	keys := admin.Keys{Store: w.db, Sealer: sealer, Engine: certs.NewEngine(certs.EngineOptions{Off: true}), Now: time.Now}
	event := store.Event{At: time.Now(), Actor: "ann"}
	if _, err := keys.MakeFirst(ctx, admin.Everything(), certs.P256, event); err != nil {
		t.Fatal(err)
	}
	ours := admin.OurMetadata{IdP: w.idpWith(t, sealer)}
	if doc, err := ours.Served(ctx, ""); err != nil || !bytes.Contains(doc, []byte("https://sso.example.com")) {
		t.Errorf("served: %s, %v", doc, err)
	}
	if doc, err := ours.File(ctx, "", false); err != nil || bytes.Contains(doc, []byte("validUntil")) {
		t.Errorf("to hand over: %s, %v", doc, err)
	}
	_, err = ours.Served(ctx, "https://nobody.example")
	refused(t, "for nobody", err, admin.Missing, "sp", admin.ListProviders, `no service provider "https://nobody.example"`)
	_, err = ours.File(ctx, "", true)
	refused(t, "signed without a key", err, admin.Input, "signed", admin.MakeMetadataKey, "no active key")
}

// Groups that give access are listed and accepted; what nothing names, and what has not changed, is refused.
func TestNamedGroups(t *testing.T) {
	w := newWorld(t)
	ctx, all, some := t.Context(), admin.Everything(), admin.Accounts(harbour)
	groups := admin.NamedGroups{IdP: w.newIdP(t), Directory: w.Directory}
	staff := w.ldap.GroupDN("staff")
	event := store.Event{At: time.Now(), Actor: "ann", Outcome: "ok"}
	_, err := groups.Waiting(ctx, all, staff)
	refused(t, "a group that nothing names", err, admin.Missing, "group", admin.ListConsoleGroups,
		"nothing names the group")
	sp := store.ServiceProvider{EntityID: "https://wiki.example", Name: "Wiki", Kind: store.PlainSAML, Enabled: true,
		ACS: []store.Endpoint{{URL: "https://wiki.example/acs",
			Binding: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"}},
		NameID: "{person_id}", NameIDFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", SignAssertion: true,
		Lifetime: 5 * time.Minute, Skew: time.Minute, Groups: []string{staff}}
	if err := w.db.ServiceProviders().Put(ctx, sp, event); err != nil {
		t.Fatal(err)
	}
	list, err := groups.List(ctx, all, true)
	if err != nil || len(list) != 1 || list[0].Written != staff || list[0].Known.ID == "" || list[0].Problem != "" ||
		list[0].Changed != nil {
		t.Fatalf("listed: %+v, %v", list, err)
	}
	_, err = groups.Waiting(ctx, all, staff)
	refused(t, "a group as it was", err, admin.Changed, "group", admin.ListConsoleGroups, "it is the group that is known")
	err = groups.Accept(ctx, all, staff, "another-id", event)
	refused(t, "another group than the one that is there", err, admin.Changed, "group", admin.LookAgain,
		"it is another group now")
	err = groups.Accept(ctx, all, w.ldap.GroupDN("none"), "another-id", event)
	refused(t, "accepted, a group that nothing names", err, admin.Missing, "group", admin.ListConsoleGroups,
		"nothing names")
	for what, err := range map[string]error{
		"list": second(groups.List(ctx, some, false)), "waiting": second(groups.Waiting(ctx, some, staff)),
		"accept": groups.Accept(ctx, some, staff, "x", event),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}
}
