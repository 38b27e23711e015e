package e2e_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
)

const mfaClass = "https://refeds.org/profile/mfa"

// withAuthenticator gives the browser a passkey device whose owner always agrees. It keeps no passkeys, as an old
// security key: the page has to name them.
func (b *browser) withAuthenticator() {
	b.t.Helper()
	b.withDevice(false)
}

// withDevice is withAuthenticator; one that keeps its passkeys can offer them by itself.
func (b *browser) withDevice(keeps bool) {
	b.t.Helper()
	b.do("add an authenticator", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		_, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator,
			webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
				Protocol: "ctap2", Transport: "internal", HasUserVerification: true, IsUserVerified: true, HasResidentKey: keeps,
				AutomaticPresenceSimulation: true,
			}})
		return err
	}))
}

var invitationLine = regexp.MustCompile(`invitation code: ([0-9A-Z-]+)`)

// invite asks for an invitation as an admin does.
func (w *world) invite(t testing.TB, login string, more ...string) string {
	t.Helper()
	out := w.command(t, append([]string{"admin", "invite", login}, more...)...)
	m := invitationLine.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("admin invite %s printed no code:\n%s", login, out)
	}
	return m[1]
}

var secretText = regexp.MustCompile(`<code>([A-Z2-7 ]{32,})</code>`)

// enrolApp sets an authenticator app up on the page that asks for it, and returns the app's secret and the page with
// the recovery codes.
func (c *client) enrolApp(p *page, values ...string) (string, *page) {
	c.t.Helper()
	p.says("Protect your sign-in")
	m := secretText.FindStringSubmatch(p.Body)
	if m == nil {
		c.t.Fatalf("no key for an app:\n%s", p.Body)
	}
	secret := strings.ReplaceAll(m[1], " ", "")
	return secret, c.submit(p, "code", append([]string{"code", appCode(c.t, secret, 0)}, values...)...)
}

// appCode is what the app shows so many steps of half a minute from now: a code is taken once, and the one of the next
// step is good a little early.
func appCode(t testing.TB, secret string, steps int) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// The admin console asks for a second factor unless it is told not to: an administrator enrols a passkey by invitation,
// and gets in with it from then on.
func TestBrowserPasskey(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{set: map[string]string{"second_factor.console": "required"}})
	b := newBrowser(t)
	b.withAuthenticator()
	b.open(w.url + "/admin/")
	b.login(consoleAdmin, password)
	b.sees("Protect your sign-in", "Invitation code", "With a passkey", "Open the app on your phone")
	b.inspect("factor-enrol")
	b.fill("invite", "00000-00000-00000-00000")
	b.press("Set up a passkey")
	b.sees("This invitation code is not right")
	b.fill("invite", w.invite(t, consoleAdmin))
	b.press("Set up a passkey")
	b.sees("Keep these codes")
	b.inspect("factor-recovery")
	b.press("I have kept them")
	b.sees("Admin console", "Calls to Constant Contact")

	b.open(w.url + "/sessions")
	b.press("How you show that it is you")
	b.sees("Passkey", "Recovery codes", "10 codes not used")
	b.inspect("factor-own")
	b.press("Remove")
	b.sees("This is your only one")

	b.open(w.url + "/logout")
	b.press("Sign out")
	b.sees("You are signed out")
	b.open(w.url + "/admin/")
	b.login(consoleAdmin, password)
	b.sees("One more step", "Use your passkey", "Recovery code")
	b.inspect("factor-ask")
	b.press("Use your passkey")
	b.sees("Admin console", "Calls to Constant Contact")

	// Another device does not hold the key.
	other := newBrowser(t)
	other.withAuthenticator()
	other.open(w.url + "/admin/")
	other.login(consoleAdmin, password)
	other.sees("Use your passkey") // it is there once the script runs
	other.press("Use your passkey")
	other.sees("The passkey was not used")

	// An admin sees it, and helps somebody who has lost theirs.
	b.press("People")
	b.fill("find", consoleOperator)
	b.sees("Bob Brandt")
	b.press("Bob Brandt")
	b.press("Sessions and factors")
	b.sees("Second factors", "None: password only.")
	b.press("Invite to set up a second factor")
	b.sees("Hand this code over")
	b.inspect("people-invite")
	w.logs(t, "second factor refused")
}

// An account that requires a second factor: nobody passes by the password alone, the assertion tells what was done, and
// a code is taken once.
func TestFactorOfAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	w.command(t, "accounts", "set-factor", club, "required")
	if out := w.command(t, "explain", "--user", "bob"); !strings.Contains(out,
		"the person has none and enrols one first") {
		t.Errorf("explain:\n%s", out)
	}
	class := func(p *page) string {
		t.Helper()
		raw, err := base64.StdEncoding.DecodeString(p.form("SAMLResponse").Fields.Get("SAMLResponse"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(raw), "AuthnContextClassRef>")
		text, _, _ := strings.Cut(rest, "<")
		return text
	}
	c := newClient(t)
	p := c.login(c.get(w.launch(club)), "bob", password)
	if p.delivers() {
		t.Fatal("a Response without the second factor")
	}
	p.says("Protect your sign-in", "For Constant Contact you need something beside your password")
	wrong := c.submit(p, "code", "code", "000000").status(http.StatusUnprocessableEntity).says("That was not right")
	secret, kept := c.enrolApp(wrong)
	kept.says("Keep these codes")
	spare := regexp.MustCompile(`<code>([0-9A-Z]{5}-[0-9A-Z]{5})</code>`).FindStringSubmatch(kept.Body)
	p = c.get(w.launch(club))
	for end := time.Now().Add(patience); !p.delivers() && time.Now().Before(end); p = c.get(w.launch(club)) {
		<-time.After(100 * time.Millisecond) // the user is being created
	}
	if got := class(p); got != mfaClass {
		t.Errorf("class %q, want %s", got, mfaClass)
	}
	c.deliver(p).says("Bob Brandt", "Northside Cycling Club")

	again := newClient(t)
	p = again.login(again.get(w.launch(club)), "bob", password).says("One more step")
	if p.delivers() {
		t.Fatal("a Response without the second factor")
	}
	p = again.submit(p, "code", "code", appCode(t, secret, 0)) // the step that enrolled it, or one that was not taken yet
	if p.delivers() {
		p.says("Signing you in")
	} else {
		p = again.submit(p.says("That was not right"), "code", "code", appCode(t, secret, 1))
	}
	again.deliver(p).says("Bob Brandt")

	// A recovery code gets in once.
	lost := newClient(t)
	p = lost.login(lost.get(w.launch(club)), "bob", password)
	lost.deliver(lost.submit(p, "code", "code", strings.ToLower(spare[1]))).says("Bob Brandt")
	twice := newClient(t)
	p = twice.login(twice.get(w.launch(club)), "bob", password)
	twice.submit(p, "code", "code", spare[1]).status(http.StatusUnprocessableEntity).says("That was not right")
	if out := w.command(t, "admin", "factors", "bob"); !strings.Contains(out, "totp") || !strings.Contains(out, "9 left") {
		t.Errorf("admin factors:\n%s", out)
	}
	// All lost: an admin removes them, the sessions end, and the next sign-in enrols anew.
	w.command(t, "admin", "reset", "bob", "--yes")
	p = c.get(w.launch(club)).says("Sign in")
	c.login(p, "bob", password).says("Protect your sign-in")
	// Another account asks nothing.
	w.command(t, "accounts", "set-factor", club, "off")
	p = c.get(w.launch(club))
	if !p.delivers() || class(p) == mfaClass {
		t.Errorf("off: %s", p.text())
	}
	for _, secret := range []string{secret, spare[1]} {
		if strings.Contains(w.out.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}
