package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// pictures are those of the README; SSOBRIDGE_SCREENSHOTS=readme writes them anew.
const pictures = "../../../docs/pictures"

// TestConsoleFirstSteps is the way of somebody who has never seen it: from an empty
// store to a mapped group and a first person signed in, by the console alone.
func TestConsoleFirstSteps(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{bare: true, set: map[string]string{"second_factor.console": "required"}})
	b := newBrowser(t)
	b.withAuthenticator()
	b.open(w.url + "/admin/")
	b.login(consoleAdmin, password)
	b.fill("invite", w.invite(t, consoleAdmin))
	b.sees("With a passkey") // it is there once the script runs
	b.press("Set up a passkey")
	b.press("I have kept them")
	picture := func(name string) {
		t.Helper()
		b.shot("first-" + name)
		if os.Getenv("SSOBRIDGE_SCREENSHOTS") != "readme" {
			return
		}
		jpeg, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(60))
		if err == nil {
			err = os.MkdirAll(pictures, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(pictures, name+".jpg"), jpeg, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	b.sees("Set-up is not finished", "Action needed", "Constant Contact is not registered")
	picture("overview")
	b.press("Register Constant Contact")
	b.sees("Register Constant Contact")
	b.fill("cc_entity_id", w.sandbox.EntityID())
	b.fill("cc_acs", w.sandbox.ACS())
	picture("constant-contact")
	b.press("Register Constant Contact")
	b.sees("Saved.", "Launch link")

	b.press("Service providers")
	b.press("Hand-over sheet")
	b.sees("BEGIN CERTIFICATE")
	picture("handover")
	w.trust(w.sandbox) // what the support engineer does with the sheet

	b.press("Client accounts")
	b.press("Refresh list")
	b.sees("Juniper Bakery")

	b.press("Mappings")
	b.sees("Nobody can sign in to Constant Contact until you add one")
	b.press("Add a mapping")
	b.fill("find", "ring")
	b.sees("Choose ring-a")
	b.press("Choose ring-a")
	if !eventually(func() bool { return strings.Contains(b.location(), "group=") }) {
		t.Fatalf("the group was not taken: %s", b.location())
	}
	b.fill("account", club)
	b.choose("role", "campaign_creator")
	b.press("Preview changes")
	b.sees("What would change", "Bob Brandt", "1 gains access")
	picture("mapping")
	b.press("Save mapping")
	b.sees("Mapping added. It applies from the next sign-in on")

	bob := newBrowser(t)
	bob.open(w.launch(""))
	bob.login("bob", password)
	bob.sees("Bob Brandt", "Northside Cycling Club", "campaign_creator")

	b.press("People")
	b.fill("find", "bob")
	b.sees("Bob Brandt")
	b.press("Bob Brandt")
	b.sees("Bob Brandt can sign in to Northside Cycling Club.", "active")
	picture("person")
	b.press("Groups and mappings")
	b.sees("is a direct member of the group")
}
