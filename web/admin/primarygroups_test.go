package admin_test

import (
	"strings"
	"testing"

	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// REAL-45: a mapping of a primary group, which lists nobody, says for how many it is: in the preview, and in a check.
func TestREAL45MappingOfAPrimaryGroup(t *testing.T) {
	w, all := newWorld(t), admin.Everything()
	ctx := t.Context()
	everybody := w.ldap.GroupDN("all-of-us")
	w.ldap.Apply(t, "dn: "+everybody+"\nobjectClass: posixGroup\ncn: all-of-us\ngidNumber: 5000\n\n")
	for _, login := range []string{"alice", "carol", "heidi"} {
		w.ldap.Apply(t, "dn: "+w.ldap.PersonDN(login)+"\nchangetype: modify\nadd: objectClass\nobjectClass: posixAccount\n-\n"+
			"add: uidNumber\nuidNumber: 1\n-\nadd: gidNumber\ngidNumber: 5000\n-\nadd: homeDirectory\nhomeDirectory: /\n\n")
	}
	status := admin.Status{Store: w.db, Directory: w.Directory}
	if found := status.PrimaryGroups(ctx); len(found) != 0 {
		t.Errorf("without mappings: %+v", found)
	}
	// In this order: who has an account gains nothing by a second mapping.
	for _, c := range []struct {
		dn   string
		want int
	}{{everybody, 3}, {w.ldap.GroupDN("staff"), 0}} {
		dn, want := c.dn, c.want
		draft, err := w.Draft(ctx, all, group(dn, harbour), "ann")
		if err != nil {
			t.Fatal(err)
		}
		why := map[string]int{}
		sum, err := w.Effects(ctx, all, draft.Change, func(e provisioning.Effect) error {
			if strings.Contains(e.Why, "primary group") {
				why[e.Login]++
			}
			return nil
		})
		if err != nil || sum.Primary != want || want > 0 && sum.Gains != want || len(why) != want {
			t.Errorf("%s: %+v, %v, %v; want %d by their primary group", dn, sum, why, err, want)
		}
		m, err := w.AddDraft(ctx, all, draft)
		if err != nil {
			t.Fatal(err)
		}
		if risk := w.PrimaryRisk(ctx, m); strings.Contains(risk, "of 3 people") != (want == 3) {
			t.Errorf("%s: added with the warning %q", dn, risk)
		}
	}
	found := status.PrimaryGroups(ctx)
	if len(found) != 1 || found[0].Level != admin.Warning || !strings.Contains(found[0].Detail, "of 3 people") {
		t.Errorf("found %+v, want a warning of the one mapping", found)
	}
	// The console and a service provider by that group are named, too.
	status.ConsoleGroups = []admin.ConsoleGroup{{Key: "admin_group", DN: everybody}}
	if err := w.db.ServiceProviders().Put(ctx, store.ServiceProvider{EntityID: "https://wiki.example.test", Enabled: true,
		Kind: store.PlainSAML, Groups: []string{everybody}}, store.Event{Action: "sp-put"}); err != nil {
		t.Fatal(err)
	}
	if found = status.PrimaryGroups(ctx); len(found) != 3 || found[0].Name != "console.admin_group" ||
		!strings.Contains(found[1].Name, "https://wiki.example.test") {
		t.Errorf("found %+v, want the console, the service provider and the mapping", found)
	}
	hit, err := w.Directory.Find(ctx, "carol")
	if err != nil || len(hit.Groups) != 1 || !hit.Groups[0].Primary {
		t.Errorf("carol: %+v, %v", hit.Groups, err)
	}
}
