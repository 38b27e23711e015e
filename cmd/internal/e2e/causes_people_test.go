package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"ssobridge/idp/directory/directorytest"
)

// What Active Directory says of an account after the right password (rows REAL-96, REAL-97).
func TestCausesInActiveDirectory(t *testing.T) {
	t.Parallel()
	ad := directorytest.SharedSamba(t)
	o := ad.Options()
	group := ad.GroupDN("staff")
	s := newCauses(t, setting{
		directory: map[string]string{
			"directory.preset": "active_directory", "directory.urls": o.URLs[0], "directory.ca_file": o.CAFile,
			"directory.bind_dn": o.BindDN, "directory.base_dn": o.BaseDN, "directory.domain": o.Domain,
			"bind_password": o.BindPassword,
		},
		set:      map[string]string{"console.viewer_group": group, "console.operator_group": "", "console.admin_group": ""},
		mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}},
	})
	state := map[string]string{}
	for _, p := range directorytest.People() {
		state[p.State] = p.Login
	}
	for _, c := range []struct{ reason, state, part string }{
		{"disabled", "disabled", "Enable"}, {"expired", "expired", "Extend the account"},
		{"must_change", "must_change", "password"},
	} {
		visitor := newClient(t)
		p := visitor.login(visitor.get(s.launch("")), state[c.state], password)
		s.explained(t, p, c.reason, c.part)
	}
}

// A new password that the person, or the directory, does not take.
func TestCausesOfNewPasswords(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	slapd.Apply(t, "dn: cn=default,ou=policies,"+slapd.BaseDN+"\nchangetype: modify\nadd: pwdCheckQuality\n"+
		"pwdCheckQuality: 2\n-\nadd: pwdMinLength\npwdMinLength: 10\n-\nadd: pwdInHistory\npwdInHistory: 3\n")
	s := newCauses(t, setting{directory: slapdSettings(slapd),
		set: map[string]string{"directory.password_change": "true"}})
	c := newClient(t)
	p := c.login(c.get(s.launch("")), "frank", password)
	change := func(first, second string) *page {
		t.Helper()
		return c.submit(p, "new", "login", "frank", "password", password, "new", first, "again", second)
	}
	s.explained(t, change("short", "short"), "password_simple", "password policy")
	s.explained(t, change(password, password), "password_used", "before")
	change("another-Passw0rd", "another-Passw0rd").status(http.StatusForbidden)
	s.explained(t, c.get(s.launch("")), "no_assignment")
	// Without the setting nobody changes anything here.
	s.stop(t)
	s.env = append(s.env, "SSOBRIDGE_DIRECTORY_PASSWORD_CHANGE=false")
	s.start(t)
	slapd.Apply(t, "dn: "+slapd.PersonDN("frank")+"\nchangetype: modify\nreplace: pwdReset\npwdReset: TRUE\n")
	c = newClient(t)
	s.explained(t, c.login(c.get(s.launch("")), "frank", "another-Passw0rd"), "must_change", "set a new password")
}

// Second factors for the console: an invitation that is wrong, a factor that no invitation confirmed, the last one, a
// page that was left open, and more of them than anybody can have.
func TestCausesOfConsoleFactors(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	s := &causes{world: newConsoleWorld(t, setting{directory: slapdSettings(slapd),
		set:      map[string]string{"second_factor.console": "required", "directory_cache.ttl": "1s"},
		mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})}
	s.console = newClient(t)
	viewer, p := s.console.enrolApp(s.console.login(s.console.get(s.url+"/admin/"), consoleViewer, password), "invite",
		s.invite(t, consoleViewer))
	p.says("Keep these codes")

	c := newClient(t)
	p = c.login(c.get(s.url+"/admin/"), consoleOperator, password)
	_, p = c.enrolApp(p, "invite", "AAAAA-BBBBB-CCCCC-DDDDD")
	s.explained(t, p, "second_factor_invite", "admin invite")

	// For a client account the password alone enrols one, which opens no console that they may use from then on.
	s.command(t, "accounts", "set-factor", books, "required")
	c = newClient(t)
	_, p = c.enrolApp(c.login(c.get(s.launch(books)), "eve", password))
	p.says("Keep these codes")
	slapd.Apply(t, "dn: "+slapd.GroupDN("emea")+"\nchangetype: modify\nadd: member\nmember: "+slapd.PersonDN("eve")+"\n")
	if !eventually(func() bool { p = c.get(s.url + "/admin/"); return strings.Contains(p.text(), "invitation") }) {
		t.Fatalf("no invitation is asked for:\n%s", p.text())
	}
	s.explained(t, p, "second_factor_unconfirmed", "admin invite")

	// The last one of somebody who needs one.
	own := s.console.get(s.url + "/factors").says("Authenticator app")
	p = s.console.submit(own, "remove", "remove", removable(t, own))
	s.explained(t, p, "second_factor_last", "another one first")

	// A page of before.
	again := newClient(t)
	p = again.login(again.get(s.url+"/admin/"), consoleViewer, password).says("One more step")
	used := again.submit(p, "code", "code", appCode(t, viewer, 1))
	if !strings.HasPrefix(used.URL.Path, "/admin/") {
		t.Fatalf("not in: %s\n%s", used.URL, used.text())
	}
}

// removable is the value of the first button that removes a factor.
func removable(t testing.TB, p *page) string {
	t.Helper()
	for _, f := range p.Forms {
		for _, b := range f.Buttons {
			if b.Name == "remove" {
				return b.Value
			}
		}
	}
	t.Fatalf("no factor can be removed:\n%s", p.text())
	return ""
}

// Forms of the console that come twice, too late, or from a role that does not reach.
func TestCausesInTheConsole(t *testing.T) {
	t.Parallel()
	s := newCauses(t, setting{})
	s.refusedInConsole(t, s.console.get(s.url+"/admin/tokens/new"), "console_role", "higher role")
	admin := s.enter(t, consoleAdmin)
	form := admin.get(s.url + "/admin/providers/one?id=" + url.QueryEscape(s.providerID()))
	f := form.form("name")
	f.Fields.Set("name", "Constant Contact of ours")
	admin.post(form.resolve(f.Action), f.Fields)
	s.refusedInConsole(t, admin.post(form.resolve(f.Action), f.Fields), "console_twice",
		"look whether the change was made")
}

// refusedInConsole fails unless the log says this reason, with cause and fix, under the reference of a page of the
// console, which is no sign-in and has no trace.
func (s *causes) refusedInConsole(t *testing.T, p *page, reason, part string) {
	t.Helper()
	var l line
	if !eventually(func() (ok bool) { l, ok = s.logged(reference(t, p)); return ok }) {
		t.Fatalf("%s: the log has no cause:\n%s", reason, p.text())
	}
	if l.Reason != reason || !strings.Contains(l.Cause+" "+l.Fix, part) {
		t.Errorf("the log says %+v, want %s and %q", l, reason, part)
	}
}

// A request that allows no creation, and one that is about somebody else.
func TestCausesOfSubjects(t *testing.T) {
	t.Parallel()
	s := newCauses(t, setting{mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	r := newRequest(s.world)
	r.children = []*etree.Element{element("samlp:NameIDPolicy", "AllowCreate", "false")}
	c := newClient(t)
	p := c.goOn(c.login(c.authnRequest(s.world, r, "redirect", ""), "eve", password))
	s.explained(t, byHeader(p), "may_not_create", "launch link")
	r = newRequest(s.world)
	subject := element("saml:Subject")
	subject.CreateElement("saml:NameID").SetText("somebody-else")
	r.children = []*etree.Element{subject}
	c.deliver(c.goOn(c.get(s.launch(books)))).says("Eve")
	s.explained(t, byHeader(c.authnRequest(s.world, r, "redirect", "")), "other_subject", "not the NameID of the person")
}

// A password that was changed in the directory ends sessions of before.
func TestCausesOfChangedPasswords(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	s := newCauses(t, setting{directory: slapdSettings(slapd), set: map[string]string{"directory_cache.ttl": "1s"},
		mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(s.launch(bakery)), "alice", password))).says("Alice Anders")
	<-time.After(1100 * time.Millisecond) // the directory's times have whole seconds
	of := "dn: " + slapd.PersonDN("alice") + "\nchangetype: modify\n"
	slapd.Apply(t, of+"replace: userPassword\nuserPassword: another-Passw0rd\n\n"+
		of+"replace: pwdReset\npwdReset: FALSE\n") // as if she had changed it herself
	var p *page
	if !eventually(func() bool { p = c.get(s.launch(bakery)); return strings.Contains(p.text(), "Login name") }) {
		t.Fatalf("the session goes on:\n%s", p.text())
	}
	s.explained(t, p, "password_changed", "signs in again")
}

// Somebody without the right to order a client account.
func TestCausesOfOrders(t *testing.T) {
	t.Parallel()
	s := newCauses(t, selfService(t))
	c := newClient(t)
	s.explained(t, c.login(c.get(s.url+"/order"), "alice", password), "may_not_order", "self_service.groups")
}
