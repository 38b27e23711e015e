package idp_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

// roleOf is the console role of somebody who signs in anew.
func (f *fixture) roleOf(t *testing.T, login, password string) idp.ConsoleRole {
	t.Helper()
	who, _, err := f.Administrator(context.Background(), f.signIn(t, login, password))
	if err != nil {
		t.Fatal(err)
	}
	return who.Role
}

func (f *fixture) member(login string, groups ...directory.Group) {
	f.directory.change(login, func(p *person) { p.entry.Groups = groups })
}

func (f *fixture) known(groups ...directory.Group) {
	f.directory.mu.Lock()
	defer f.directory.mu.Unlock()
	f.directory.groups = groups
}

// ID-03: a group is its id. A name that is like the named one, or is the named one without the id, gives nothing; the
// id under any other name gives what it gave.
func TestID03GroupsAreTheirID(t *testing.T) {
	ctx := context.Background()
	f := newConsoleFixture(t, idp.ConsoleGroups{Admin: staffGroup})
	with := func(dn, id string) directory.Group { return directory.Group{DN: dn, ID: id, Name: "staff"} }
	for _, c := range []struct {
		name  string
		group directory.Group
		want  idp.ConsoleRole
	}{
		{"the group", staffEntry, idp.Admin},
		{"renamed and moved", with("cn=new name,dc=elsewhere", staffEntry.ID), idp.Admin},
		{"same DN, other id", with(staffEntry.DN, "99999999-aaaa-4bbb-8ccc-00000000000f"), idp.NoConsole},
		{"same DN, no id", with(staffEntry.DN, ""), idp.NoConsole},
		{"a Unicode space behind it", with("cn=staff\u1680,ou=groups,dc=partner,dc=test",
			"99999999-aaaa-4bbb-8ccc-00000000000e"), idp.NoConsole},
		{"no name and no id", with("", ""), idp.NoConsole},
		// the directory room writes each in one form
		{"the id in capitals", with(staffEntry.DN, strings.ToUpper(staffEntry.ID)), idp.NoConsole},
	} {
		f.member("alice", c.group)
		if got := f.roleOf(t, "alice", "correct horse"); got != c.want {
			t.Errorf("console, %s: got %s, want %s", c.name, got, c.want)
		}
		a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, f.signIn(t, "alice", "correct horse"))
		if err != nil {
			t.Fatal(err)
		}
		if _, in := a.Page.(idp.Deliver); in != (c.want == idp.Admin) {
			t.Errorf("service provider, %s: got %T", c.name, a.Page)
		}
		if in, err := f.InGroups(ctx, directory.Entry{Groups: []directory.Group{c.group}}, []string{staff}); err != nil ||
			in != (c.want == idp.Admin) {
			t.Errorf("explain, %s: got %v, %v", c.name, in, err)
		}
	}
}

// ID-03: where the directory shows no ids, the DN counts exactly as it spells it, and it is said.
func TestID03GroupsWithoutID(t *testing.T) {
	bare := staffEntry
	bare.ID = ""
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Directory.(*people).groups = []directory.Group{bare}
		o.Console = idp.ConsoleGroups{Admin: staffGroup}
	})
	for _, u := range f.resolve(t) {
		if !strings.Contains(u.Action(), "shows no id") {
			t.Errorf("%s: %q", u.Written, u.Action())
		}
	}
	otherwise := bare
	otherwise.DN = staffGroup
	for _, c := range []struct {
		group directory.Group
		want  idp.ConsoleRole
	}{{bare, idp.Admin}, {otherwise, idp.NoConsole}, {staffEntry, idp.NoConsole}} {
		f.member("alice", c.group)
		if got := f.roleOf(t, "alice", "correct horse"); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.group, got, c.want)
		}
	}
	// From the moment at which the directory shows ids, they count.
	f.known(staffEntry)
	f.resolve(t)
	f.member("alice", staffEntry)
	if got := f.roleOf(t, "alice", "correct horse"); got != idp.Admin {
		t.Errorf("with its id: got %s", got)
	}
	f.member("alice", bare)
	if got := f.roleOf(t, "alice", "correct horse"); got != idp.NoConsole {
		t.Errorf("without its id, once it is known: got %s", got)
	}
}

// ID-03: a directory that is down, a group that goes, one that takes its name, another DN in the configuration.
func TestID03ResolvedLater(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Directory.(*people).setDown(true)
		o.Console = idp.ConsoleGroups{Admin: staffGroup}
	})
	uses := f.resolve(t)
	if len(uses) != 1 || uses[0].Resolved || uses[0].Fault == "" {
		t.Fatalf("with the directory down: %+v", uses)
	}
	f.directory.setDown(false)
	if got := f.roleOf(t, "alice", "correct horse"); got != idp.NoConsole {
		t.Errorf("not resolved: got %s", got)
	}
	f.resolve(t)
	if got := f.roleOf(t, "alice", "correct horse"); got != idp.Admin {
		t.Errorf("resolved by itself: got %s", got)
	}

	// Down again: who is known goes on, and nothing is forgotten.
	f.directory.setDown(true)
	f.resolve(t)
	f.directory.setDown(false)
	if got := f.roleOf(t, "alice", "correct horse"); got != idp.Admin {
		t.Errorf("after an outage: got %s", got)
	}

	// The DN is gone: the id goes on, and it is reported.
	f.known()
	if uses := f.resolve(t); uses[0].Known.GoneAt.IsZero() || !strings.Contains(uses[0].Action(), "no group has this DN") {
		t.Errorf("gone: %+v", uses[0])
	}
	if got := f.roleOf(t, "alice", "correct horse"); got != idp.Admin {
		t.Errorf("gone: got %s", got)
	}

	// Another group has the DN: it gets nothing until it is accepted, and the first goes on.
	rebuilt := staffEntry
	rebuilt.ID = "99999999-aaaa-4bbb-8ccc-00000000000b"
	f.known(rebuilt)
	f.member("bob", rebuilt)
	uses = f.resolve(t)
	if uses[0].Known.OtherID != rebuilt.ID || uses[0].Known.ID != staffEntry.ID || !strings.Contains(uses[0].Action(),
		"refused until it is accepted") {
		t.Errorf("another group: %+v", uses[0])
	}
	if got := f.roleOf(t, "bob", "battery staple"); got != idp.NoConsole {
		t.Errorf("another group: got %s", got)
	}
	for _, wrong := range []string{"", staffEntry.ID, "x"} {
		if err := f.AcceptGroup(ctx, staffGroup, wrong, store.Event{Actor: "admin:t"}); !errors.Is(err, idp.ErrGroupChanged) {
			t.Errorf("accept %q: %v", wrong, err)
		}
	}
	if err := f.AcceptGroup(ctx, "cn=never,dc=named", rebuilt.ID, store.Event{Actor: "admin:t"}); !errors.Is(err,
		store.ErrNotFound) {
		t.Errorf("accept what nothing names: %v", err)
	}
	if err := f.AcceptGroup(ctx, staffGroup, rebuilt.ID, store.Event{Actor: "admin:t"}); err != nil {
		t.Fatal(err)
	}
	if got := f.roleOf(t, "bob", "battery staple"); got != idp.Admin {
		t.Errorf("accepted: got %s", got)
	}
	if got := f.roleOf(t, "alice", "correct horse"); got != idp.NoConsole {
		t.Errorf("accepted, the one before: got %s", got)
	}
	if e := f.events(t); !hasEvent(e, "group-accept", "admin:t") || !hasEvent(e, "group-replaced", "worker") ||
		!hasEvent(e, "group-gone", "worker") {
		t.Error("an audit event is missing")
	}

	// Another DN in the record of a service provider is asked for anew, and gives nothing before.
	sp := plainSP()
	sp.Groups = []string{"cn=others,dc=test"}
	f.put(t, sp)
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, f.signIn(t, "bob", "battery staple"))
	must[idp.Refusal](t, a, err)
	others := directory.Group{DN: "cn=Others,dc=test", ID: rebuilt.ID + "9", Name: "Others"}
	f.known(rebuilt, others)
	f.member("bob", others)
	f.resolve(t)
	a, err = f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, f.signIn(t, "bob", "battery staple"))
	must[idp.Deliver](t, a, err)
}

func hasEvent(all []store.Event, action, actor string) bool {
	for _, e := range all {
		if e.Action == action && e.Actor == actor {
			return true
		}
	}
	return false
}
