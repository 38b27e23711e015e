package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// causes is somebody who supports people: by the reference on a page they find cause and fix in the log, by command and
// in the console.
type causes struct {
	*world
	console *client // of a viewer
}

// newCauses makes a world with a console, and its support.
func newCauses(t testing.TB, s setting) *causes {
	t.Helper()
	w := newConsoleWorld(t, s)
	return &causes{w, w.enter(t, consoleViewer)}
}

// line is what the log says of a refused request.
type line struct{ Ref, Reason, Cause, Fix string }

// logged is the line of the log under this reference that has a cause; ok is false as long as there is none.
func (w *world) logged(ref string) (l line, ok bool) {
	for text := range strings.Lines(w.out.String()) {
		var one line
		if json.Unmarshal([]byte(text), &one) == nil && one.Ref == ref && one.Cause != "" {
			l, ok = one, true
		}
	}
	return l, ok
}

// explained fails unless the page has a reference under which log, trace show and the console say the same: this
// reason, a cause and a fix with these parts in them, and the way to do it.
func (s *causes) explained(t *testing.T, p *page, reason string, parts ...string) {
	t.Helper()
	ref := reference(t, p)
	var l line
	if !eventually(func() (ok bool) { l, ok = s.logged(ref); return ok }) {
		t.Fatalf("%s: the log has no cause under %s", reason, ref)
	}
	if l.Reason != reason || l.Fix == "" {
		t.Errorf("the log says %+v, want the reason %s", l, reason)
	}
	for _, part := range parts {
		if !strings.Contains(l.Cause+" "+l.Fix, part) {
			t.Errorf("%s: cause and fix have no %q: %s %s", reason, part, l.Cause, l.Fix)
		}
	}
	for _, text := range []string{p.text(), l.Cause, l.Fix} {
		if strings.Contains(text, password) || strings.Contains(text, "not-the-password") ||
			strings.Contains(text, "LDAP Result") {
			t.Errorf("%s: a password, or an error's chain, stands in %s", reason, text)
		}
	}
	// The trace is written a moment later.
	var out string
	if !eventually(func() bool {
		var err error
		out, err = s.tryCommand("trace", "show", strings.ToLower(ref))
		return err == nil
	}) {
		t.Fatalf("%s: trace show %s:\n%s", reason, ref, out)
	}
	for _, want := range []string{"reason: " + reason + "\n", "cause:  " + l.Cause + "\n", "fix:    " + l.Fix + "\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s: trace show has no %q:\n%s", reason, want, out)
		}
	}
	shown := s.console.get(s.url + "/admin/trace/of/" + ref)
	fix, _, acted := strings.Cut(l.Fix, " (command: ")
	folded := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	for _, want := range []string{reason, folded(l.Cause), folded(fix)} {
		if !strings.Contains(shown.text(), want) {
			t.Errorf("%s: the console has no %q:\n%s", reason, want, shown.text())
		}
	}
	if _, path, ok := strings.Cut(l.Fix, "console: "); acted && ok {
		path = strings.TrimSuffix(path, ")")
		if !strings.Contains(strings.ReplaceAll(shown.Body, "&amp;", "&"), `href="`+path+`"`) {
			t.Errorf("%s: the console has no link to %s", reason, path)
		}
	}
}

// What goes wrong at the login: the page says as much as it may, and its reference leads to the very cause (rows
// REAL-96, REAL-97).
func TestCausesOfLogins(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	twin := func(ou string) string {
		return "dn: uid=twin,ou=" + ou + "," + slapd.BaseDN + "\nchangetype: add\nobjectClass: inetOrgPerson\nuid: twin\n" +
			"sn: Twin\ncn: Twin\nuserPassword: " + password + "\n\n"
	}
	slapd.Apply(t, twin("people")+twin("services"))
	s := newCauses(t, setting{directory: slapdSettings(slapd), set: map[string]string{"sign_in.login_failures": "4",
		"directory_cache.ttl": "1s", "directory.cooldown": "1s"},
		mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	login := func(name, word string) *page {
		t.Helper()
		c := newClient(t)
		return c.login(c.get(s.launch("")), name, word)
	}
	s.explained(t, login("bob", "not-the-password"), "bad_credentials", "refused the password", "explain --user")
	s.explained(t, login("nobody-at-all", "not-the-password"), "bad_credentials", "No entry of the directory matches")
	s.explained(t, login("twin", password), "ambiguous", "login_filter")
	s.explained(t, login("dave", password), "locked", "lockouts list")
	s.explained(t, login("erin", password), "password_expired", "new password")
	p := login("carol", password)
	s.explained(t, p, "no_assignment", "0 groups", "explain --user")
	// The command is one that can be given as it stands.
	l, _ := s.logged(reference(t, p))
	if person := personID.FindStringSubmatch(l.Fix); person == nil {
		t.Errorf("the fix names nobody: %s", l.Fix)
	} else if out := s.command(t, "explain", "--user", person[1]); !strings.Contains(out, "carol@example.test") {
		t.Errorf("explain of %s:\n%s", person[1], out)
	}
	var last *page
	for range 4 { // the last two tries are for browsers that the person used before
		last = login("zoe", "not-the-password")
	}
	s.explained(t, last, "too_many_attempts", "2 logins of this person failed", "lockouts lift")
	for range 4 {
		last = login("mallory", "not-the-password")
	}
	s.explained(t, last, "too_many_attempts", "lockouts lift")

	// Who goes back is not the cause.
	c := newClient(t)
	p = c.login(c.authnRequest(s.world, newRequest(s.world), "redirect", ""), "carol", password)
	first := reference(t, p)
	c.submit(p, "Back to").wantStatus(s.world, "Responder", "RequestDenied")
	var out string
	if !eventually(func() bool {
		out, _ = s.tryCommand("trace", "show", first)
		return strings.Contains(out, "status in place of an assertion")
	}) || !strings.HasPrefix(out, "reason: no_assignment\n") {
		t.Errorf("after going back:\n%s", out)
	}
	if out := s.command(t, "trace", "list", "--person", "carol"); strings.Contains(out, "cancelled") {
		t.Errorf("the list says how it ended, and not why:\n%s", out)
	}

	// A mail address that is missing.
	slapd.Apply(t, "dn: "+slapd.PersonDN("eve")+"\nchangetype: modify\ndelete: mail\n")
	s.explained(t, login("eve", password), "person_data", "{mail} is empty", "explain --user")

	// The directory itself.
	slapd.Stop(t)
	s.explained(t, login("bob", password), "directory_down", "Nothing listens at the directory's address",
		"ssobridge check")
	slapd.Start(t)
	if err := os.WriteFile(filepath.Join(s.dir, "bind_password"), []byte("not-it\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.stop(t)
	s.start(t)
	s.explained(t, login("bob", password), "directory_down", "refuses the name or the password of the service account",
		"Set bind_dn and bind_password")
	if err := os.WriteFile(filepath.Join(s.dir, "bind_password"), []byte(slapd.BindPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.stop(t)
	s.env = append(s.env, "SSOBRIDGE_DIRECTORY_BASE_DN=ou=poeple,"+slapd.BaseDN)
	s.start(t)
	s.explained(t, login("bob", password), "directory_down", "ou=poeple", "does not exist", "Set base_dn")
}

// What a service provider asks for, and what is on record: both stand in the cause.
func TestCausesOfRequests(t *testing.T) {
	t.Parallel()
	s := newCauses(t, setting{sandbox: sandbox.Options{SignRequests: sandbox.SigningAsked}})
	change := func(f func(*request)) request { r := newRequest(s.world); f(&r); return r }
	for reason, c := range map[string]struct {
		request request
		parts   []string
	}{
		"unknown_provider": {change(func(r *request) { r.issuer = s.providerID() + "x" }),
			[]string{s.providerID() + `x" is registered`, s.providerID() + `" is.`}},
		"unknown_acs": {change(func(r *request) { r.acs = "https://thief.example.test/acs" }),
			[]string{"https://thief.example.test/acs", s.acs(), "sp add FILE --replace"}},
		"wrong_destination": {change(func(r *request) { r.destination = "https://other.example.test/saml/sso" }),
			[]string{"https://other.example.test/saml/sso", s.url + "/saml/sso", "ssobridge metadata"}},
		"request_time": {change(func(r *request) { r.issued = r.issued.Add(-7 * time.Minute) }), []string{"7m", "5m"}},
		"bad_request":  {change(func(r *request) { r.xml = "hello" }), nil},
	} {
		c.request.id = "_" + randomHex()
		s.explained(t, newClient(t).authnRequest(s.world, c.request, "redirect", ""), reason, c.parts...)
	}
	status := func(reason string, r request, parts ...string) {
		t.Helper()
		p := newClient(t).authnRequest(s.world, r, "redirect", "")
		if !p.delivers() {
			t.Fatalf("%s: no status:\n%s", reason, p.text())
		}
		s.explained(t, byHeader(p), reason, parts...)
	}
	status("name_id_policy", change(func(r *request) {
		r.children = []*etree.Element{element("samlp:NameIDPolicy", "Format",
			"urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos")}
	}), "kerberos", "persistent", "sp show")
	status("unsupported_binding", change(func(r *request) {
		r.attributes = map[string]string{"ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"}
	}), "HTTP-Artifact", "HTTP-POST", "sp show")
	status("authn_context", change(func(r *request) {
		context := element("samlp:RequestedAuthnContext", "Comparison", "exact")
		context.CreateElement("saml:AuthnContextClassRef").SetText("urn:oasis:names:tc:SAML:2.0:ac:classes:X509")
		r.children = []*etree.Element{context}
	}), "X509", "a login by password reaches")
	status("passive", change(func(r *request) { r.attributes = map[string]string{"IsPassive": "true"} }))

	// Signatures, replays, records.
	c := newClient(t)
	r := newRequest(s.world)
	c.goOn(c.login(c.authnRequest(s.world, r, "redirect", ""), "bob", password))
	s.explained(t, c.authnRequest(s.world, r, "redirect", ""), "replayed_request")
	signed := func() string {
		c := newClient(t)
		c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		return c.get(s.sandbox.URL() + "/sso/start?binding=redirect&sign=1&relay_state=there").Header.Get("Location")
	}
	s.explained(t, newClient(t).get(signed()), "no_signing_certificate", "no certificate on record",
		"sp add FILE --replace")
	s.command(t, "sp", "set", s.providerID(), "certificates="+signingCertificate(t, s.sandbox),
		"request_signatures=required")
	s.explained(t, newClient(t).get(strings.Replace(signed(), "RelayState=there", "RelayState=elsewhere", 1)),
		"bad_signature", "sp add FILE --replace")
	s.explained(t, newClient(t).authnRequest(s.world, newRequest(s.world), "redirect", ""), "unsigned_request",
		"sp set "+s.providerID())
	s.command(t, "sp", "set", s.providerID(), "enabled=false", "request_signatures=if-present")
	s.explained(t, newClient(t).get(s.launch(club)), "no_provider", "add-constant-contact")
	s.explained(t, newClient(t).get(s.url+"/launch/sp?entity_id="+url.QueryEscape(s.providerID())), "provider_disabled",
		"Set enabled to true")
	s.command(t, "sp", "set", s.providerID(), "enabled=true")
	s.explained(t, newClient(t).get(s.url+"/launch/sp?relay_state=elsewhere&entity_id="+url.QueryEscape(s.providerID())),
		"unknown_relay_state", `"elsewhere"`, "on record: ")

	// Metadata that was valid for a time that is over.
	wiki := startSandbox(t, sandbox.Options{AnyUser: true, EntityID: "https://wiki.example.test/metadata"})
	data, err := wiki.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(5 * time.Second).UTC().Format(time.RFC3339)
	doc.Root().CreateAttr("validUntil", until)
	file := filepath.Join(t.TempDir(), "wiki.xml")
	if err := doc.WriteToFile(file); err != nil {
		t.Fatal(err)
	}
	s.command(t, "sp", "add", file, "--yes")
	var p *page
	if !eventually(func() bool {
		p = newClient(t).get(s.launchSP(wiki))
		return strings.Contains(p.text(), "out of date")
	}) {
		t.Fatalf("still valid:\n%s", p.text())
	}
	s.explained(t, p, "metadata_expired", until, "sp refresh "+wiki.EntityID())

	// Pages that never came as far as a sign-in.
	s.explained(t, newClient(t).get(s.url+"/launch/sp"), "bad_link")
	s.explained(t, newClient(t).get(s.url+"/nothing"), "not_found")
	s.explained(t, newClient(t).get(s.url+"/login?s=unknown"), "unknown_sign_in")
	s.explained(t, newClient(t).post(s.url+"/login", url.Values{"s": {"unknown"}, "login": {"bob"}}), "no_cookies")
}

// An account that is cancelled at Constant Contact, a user who is suspended, and a link to somebody else's account.
func TestCausesOfAccounts(t *testing.T) {
	t.Parallel()
	s := newCauses(t, setting{sandbox: sandbox.Options{Accounts: []sandbox.Account{
		{ID: books, OrganizationName: "Books", BillingStatus: "Canceled"}, {ID: bakery, OrganizationName: "Bakery"},
		{ID: club, OrganizationName: "Club"},
	}}})
	s.command(t, "accounts", "list", "--refresh")
	c := newClient(t)
	s.explained(t, c.login(c.get(s.launch(books)), "eve", password), "account_closed", books, "Canceled", "accounts list")
	c = newClient(t)
	s.explained(t, c.login(c.get(s.launch(bakery)), "bob", password), "not_this_account", bakery, "explain --user")
	c.deliver(c.goOn(c.get(s.launch(club)))).says("Bob Brandt")
	s.command(t, "users", "suspend", "bob", club)
	s.explained(t, c.login(c.get(s.launch(club)), "bob", password), "user_suspended", "suspended", "users show")
}

var personID = regexp.MustCompile(`explain --user ([0-9a-f-]{36}) `)

// What Constant Contact answers: on the page that waits, and where it refused.
func TestCausesAtConstantContact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason string
		fault  sandbox.Fault
		set    map[string]string
		parts  []string
	}{
		{reason: "credentials", fault: sandbox.Fault{Kind: sandbox.FaultGateway, Path: "users/sso", Status: 401,
			Body: `{"error_key":"unauthorized","error_message":"Unauthorized"}`},
			parts: []string{"does not accept the partner's credentials", "partner_secret", "ssobridge check"}},
		{reason: "refused_by_partner", fault: sandbox.Fault{Kind: sandbox.FaultGateway, Path: "users/sso", Status: 403,
			Body: `[{"error_key":"forbidden","error_message":"bob@example.test is odd"}]`},
			parts: []string{"forbids to create users", "error key forbidden", "users show"}},
		{reason: "held_conflict", fault: sandbox.Fault{Kind: sandbox.FaultGateway, Path: "users/sso", Status: 409,
			Body: `[{"error_key":"users.sso.mail","error_message":"bob@example.test is used"}]`},
			parts: []string{"belong to another Constant Contact user", "error key users.sso.mail", "users show"}},
		{reason: "unknown_outcome", fault: sandbox.Fault{Kind: sandbox.FaultFailBefore, Path: "users/sso"},
			parts: []string{"no clear answer", "after attempt ", club}},
		{reason: "throttled", fault: sandbox.Fault{Kind: sandbox.FaultThrottle, Path: "users/sso"},
			parts: []string{"slower pace", "provision status"}},
		{reason: "quota", fault: sandbox.Fault{Kind: sandbox.FaultQuota, Path: "users/sso"},
			parts: []string{"Constant Contact itself says that the day's calls are used up", "the next attempt is at",
				"00:00 UTC"}},
		{reason: "unreachable", fault: sandbox.Fault{Kind: sandbox.FaultDownToken},
			parts: []string{"can't be reached", "ssobridge check"}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			s := newCauses(t, setting{set: c.set})
			s.sandbox.Fault(c.fault)
			visitor := newClient(t)
			p := visitor.login(visitor.get(s.launch(club)), "bob", password)
			// The first page may come before the answer does.
			if !eventually(func() bool {
				l, ok := s.logged(reference(t, p))
				if ok && l.Reason == c.reason {
					return true
				}
				p = visitor.get(s.launch(club))
				return false
			}) {
				l, _ := s.logged(reference(t, p))
				t.Fatalf("the log says %+v of the page:\n%s", l, p.text())
			}
			s.explained(t, p, c.reason, c.parts...)
			if out := s.command(t, "trace", "show", reference(t, p)); strings.Contains(out, "bob@example.test") {
				t.Errorf("a text of Constant Contact stands in the trace:\n%s", out)
			}
		})
	}
}
