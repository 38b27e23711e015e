package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// The same program in front of an Active Directory: logins in all three forms,
// a nested group, and the account states that only a right password reveals.
func TestActiveDirectory(t *testing.T) {
	ad := directorytest.SharedSamba(t)
	o := ad.Options()
	w := newWorld(t, setting{
		directory: map[string]string{
			"directory.preset": "active_directory", "directory.urls": o.URLs[0], "directory.ca_file": o.CAFile,
			"directory.bind_dn": o.BindDN, "directory.base_dn": o.BaseDN, "directory.domain": o.Domain, "bind_password": o.BindPassword,
		},
		mappings: [][]string{
			{"--group", ad.GroupDN("staff"), "--account", club, "--role", "campaign_creator"},
			{"--group-pattern", "ctct-{account}-{role}"},
		},
	})
	for name, login := range map[string]string{"short": "heidi", "UPN": "heidi@" + ad.DNSDomain, "domain": o.Domain + `\heidi`} {
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
