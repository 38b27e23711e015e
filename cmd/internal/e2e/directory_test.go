package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// REAL-36, REAL-38: with the preset of a server that keeps an account's state in an attribute, disabling somebody ends
// their live session and refuses the next login, and neither is an outage. slapd with the attributes of 389 Directory
// Server stands for that server.
func TestAccountDisabledByAttribute(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{Foreign: true})
	settings := slapdSettings(slapd)
	settings["directory.preset"] = "389ds"
	w := newWorld(t, setting{
		directory: settings, mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}},
		set: map[string]string{"directory_cache.ttl": "1s", "directory.id_attribute": "entryUUID",
			"directory.group_id_attribute": "entryUUID"},
	})
	known := newClient(t)
	known.deliver(known.goOn(known.login(known.get(w.launch(books)), "alice", password))).says("Alice Anders")

	slapd.Apply(t, "dn: "+slapd.PersonDN("alice")+"\nchangetype: modify\nadd: objectClass\nobjectClass: foreignEntry\n-\n"+
		"add: nsAccountLock\nnsAccountLock: true\n")
	var refused *page
	if !eventually(func() bool { refused = known.get(w.launch(books)); return !refused.delivers() }) {
		t.Fatal("the live session goes on")
	}
	refused.status(http.StatusForbidden).says("disabled")
	known.get(w.launch(books)).says("Password") // the session is over
	fresh := newClient(t)
	fresh.login(fresh.get(w.launch(books)), "alice", password).says("disabled")
	fresh.login(fresh.get(w.launch(books)), "alice", "not-it").says("is not right")
	if out := w.command(t, "explain", "--user", "alice"); !strings.Contains(out, "disabled") {
		t.Errorf("explain:\n%s", out)
	}
	w.logs(t, `"reason":"disabled"`)
	if strings.Contains(w.out.String(), `"reason":"directory_down"`) {
		t.Error("the log calls it an outage")
	}
	slapd.Apply(t, "dn: "+slapd.PersonDN("alice")+"\nchangetype: modify\nreplace: nsAccountLock\nnsAccountLock: FALSE\n")
	known.deliver(known.goOn(known.login(known.get(w.launch(books)), "alice", password))).says("Alice Anders")
}

// REAL-47, REAL-49, REAL-50: what is wrong with the directory's settings is found by check, to which the log points;
// and that groups in groups are not followed is said where it matters.
func TestDirectorySettingsAreNamed(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	w := newWorld(t, setting{directory: slapdSettings(slapd), mappings: [][]string{
		{"--group", slapd.GroupDN("staff"), "--account", club, "--role", "campaign_creator"}}})
	c := newClient(t)
	c.login(c.get(w.launch(club)), "heidi", password).status(http.StatusForbidden)
	for _, want := range []string{"through " + slapd.GroupDN("emea"), "Set directory.nested"} {
		w.logs(t, want)
	}
	if out := w.command(t, "explain", "--user", "heidi"); !strings.Contains(out, "would hit: is in") {
		t.Errorf("explain:\n%s", out)
	}
	own := w.env
	for setting, want := range map[string]string{
		"BASE_DN=ou=poeple," + slapd.BaseDN:             `base_dn "ou=poeple,` + slapd.BaseDN + `" does not exist`,
		"BIND_DN=cn=raeder,ou=services," + slapd.BaseDN: "refuses the name or the password of the service account",
	} {
		w.env = append(own[:len(own):len(own)], "SSOBRIDGE_DIRECTORY_"+setting)
		if out, err := w.tryCommand("check"); err == nil || !strings.Contains(out, want) {
			t.Errorf("check with %s: %v\n%s", setting, err, out)
		}
	}
	w.env = own
	slapd.Stop(t)
	c = newClient(t)
	c.login(c.get(w.launch(club)), "bob", password).status(http.StatusServiceUnavailable)
	w.logs(t, "ssobridge check shows what is wrong")
	w.logs(t, "Nothing listens at the directory's address")
}
