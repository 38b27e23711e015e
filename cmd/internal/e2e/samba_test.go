package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// The same program in front of an Active Directory: logins in all three forms,
// a nested group, and the account states that only a right password reveals.
func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	ad := directorytest.SharedSamba(t)
	o := ad.Options()
	w := newWorld(t, setting{
		directory: map[string]string{
			"directory.preset": "active_directory", "directory.urls": o.URLs[0], "directory.ca_file": o.CAFile,
			"directory.bind_dn": o.BindDN, "directory.base_dn": o.BaseDN, "directory.domain": o.Domain,
			"bind_password": o.BindPassword,
		},
		mappings: [][]string{
			{"--group", ad.GroupDN("staff"), "--account", club, "--role", "campaign_creator"},
			{"--group-pattern", "ctct-{account}-{role}"},
		},
	})
	for name, login := range map[string]string{"short": "heidi", "UPN": "heidi@" + ad.DNSDomain,
		"domain": o.Domain + `\heidi`} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			c.deliver(c.goOn(c.login(c.get(w.launch("")), login, password))).says("Heidi Nested", club)
		})
	}
	if n := len(w.sandbox.Created()); n != 1 {
		t.Errorf("three forms of one login made %d users, want 1", n)
	}
	out := w.command(t, "explain", "--user", "heidi")
	for _, want := range []string{"emea", "staff", club} {
		if !strings.Contains(out, want) {
			t.Errorf("explain does not tell %q:\n%s", want, out)
		}
	}
	for _, c := range []struct{ login, says string }{
		{"grace", "end date"}, {"erin", "expired"}, {"carol", "no access"},
	} {
		t.Run(c.login, func(t *testing.T) {
			client := newClient(t)
			p := client.login(client.get(w.launch("")), c.login, password)
			if p.delivers() || p.Status == http.StatusOK {
				t.Fatalf("signed in: %s", p.text())
			}
			p.says(c.says)
		})
	}
}

// ID-04: the primary group, such as Domain Users, counts wherever a group is named: in a mapping, at a service provider
// and for the console. Who is in a distribution group is not in the security group that holds it.
func TestActiveDirectoryPrimaryGroup(t *testing.T) {
	t.Parallel()
	ad := directorytest.SharedSamba(t)
	o := ad.Options()
	everybody := "CN=Domain Users,CN=Users," + ad.BaseDN
	list, secure := ad.GroupDN("news list"), ad.GroupDN("holds the news list")
	ad.Apply(t, "dn: "+list+"\nchangetype: add\nobjectClass: group\nsAMAccountName: newslist\ngroupType: 2\nmember: "+
		ad.PersonDN("carol")+"\n\n"+
		"dn: "+secure+"\nchangetype: add\nobjectClass: group\nsAMAccountName: holdsnewslist\nmember: "+list+"\n\n")
	t.Cleanup(func() {
		ad.Apply(t, "dn: "+secure+"\nchangetype: delete\n\ndn: "+list+"\nchangetype: delete\n\n")
	})
	w := newWorld(t, setting{
		directory: map[string]string{
			"directory.preset": "active_directory", "directory.urls": o.URLs[0], "directory.ca_file": o.CAFile,
			"directory.bind_dn": o.BindDN, "directory.base_dn": o.BaseDN, "directory.domain": o.Domain,
			"bind_password": o.BindPassword,
		},
		set:      map[string]string{"console.viewer_group": everybody, "second_factor.console": "off"},
		mappings: [][]string{{"--group", secure, "--account", club, "--role", "campaign_creator"}},
	})
	wiki := startSandbox(t, sandbox.Options{Profile: sandbox.Lenient})
	w.trust(wiki)
	w.command(t, "sp", "add", writeFile(t, "wiki.xml", []byte(newClient(t).get(wiki.URL()+sandbox.SPMetadata).Body)),
		"--yes", "--name", "Wiki",
		"--group", everybody, "--name-id", "{person_id}")
	mapping := []string{"mapping", "add", "--group", everybody, "--account", bakery, "--role", "campaign_creator"}
	if out := w.command(t, append(mapping, "--preview")...); !strings.Contains(out, "Carol") ||
		strings.Contains(out, " 0 gain") {
		t.Errorf("a preview of a mapping for everybody:\n%s", out)
	}
	w.command(t, mapping...)
	if out := w.command(t, "explain", "--user", "carol"); !strings.Contains(out, "Domain Users") ||
		!strings.Contains(out, bakery) {
		t.Errorf("explain:\n%s", out)
	}
	if out, _ := w.tryCommand("check"); strings.Contains(out, "tokenGroups") {
		t.Errorf("check warns of tokenGroups, which the service account can read:\n%s", out)
	}
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(bakery)), "carol", password))).says("Carol", bakery)
	c.get(w.launch(club)).status(http.StatusForbidden)
	if p := c.get(w.launchSP(wiki)); !p.delivers() {
		t.Errorf("the service provider for everybody: %d\n%s", p.Status, p.text())
	}
	if p := c.get(w.url + "/admin/mappings"); p.Status != http.StatusOK || !strings.Contains(p.text(), "Domain Users") {
		t.Errorf("the console for everybody: %d\n%s", p.Status, p.text())
	}
}
