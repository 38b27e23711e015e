package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// ID-01, end to end: a client account's second factor is asked for however link, form and command spell the account.
func TestAccountIsWhatIsOnRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	w.command(t, "accounts", "list", "--refresh")
	if out := w.command(t, "accounts", "set-factor", " "+strings.ToUpper(bakery), "required"); !strings.Contains(out,
		"second factor for account "+bakery+": required") {
		t.Fatalf("set-factor in capitals: %s", out)
	}
	for _, refused := range []string{bakery + "\u00a0", "\uff41" + bakery[1:], "%61" + bakery[1:], "a07e1nosuch0"} {
		if out, err := w.tryCommand("accounts", "set-factor", refused, "off"); err == nil {
			t.Errorf("set-factor of %q: %s", refused, out)
		}
	}
	for _, c := range []struct {
		name, typed string
		means       bool
	}{
		{"as listed", bakery, true},
		{"capitals", strings.ToUpper(bakery), true},
		{"blanks around it", " " + bakery + " ", true},
		{"no-break space", bakery + "\u00a0", false},
		{"zero-width space", bakery[:4] + "\u200b" + bakery[4:], false},
		{"full width", "\uff41" + bakery[1:], false},
		{"Cyrillic", "\u0430" + bakery[1:], false},
		{"encoded twice", "%61" + bakery[1:], false},
		{"another account", club, false},
	} {
		for _, way := range []string{"link", "form"} {
			t.Run(way+" "+c.name, func(t *testing.T) {
				b := newClient(t)
				var p *page
				if way == "link" {
					if p = b.get(w.launch(url.PathEscape(c.typed))); p.Status == http.StatusOK {
						p = b.login(p, "alice", password)
					}
				} else {
					p = b.submit(b.login(b.get(w.launch("")), "alice", password), "account", "account", c.typed)
				}
				if c.means {
					p.status(http.StatusOK).says("Protect your sign-in")
				} else if p.Status < 400 {
					t.Errorf("%q: %d\n%s", c.typed, p.Status, p.text())
				}
			})
		}
	}
	// An account that asks for nothing is not held up by it, in capitals either.
	b := newClient(t)
	b.deliver(b.goOn(b.login(b.get(w.launch(strings.ToUpper(books))), "alice", password))).says("Alice Anders", books)
}

// ID-05, end to end: who had a NameID is shown, and it is released, by command and in the console alike.
func TestNameIDIsReleased(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	b := newClient(t)
	b.deliver(b.goOn(b.login(b.get(w.launch(books)), "alice", password))).says("Alice Anders", books)
	nameID := w.sandbox.Created()[0].ExternalID

	if out, err := w.tryCommand("sp", "release-name-id", w.providerID(), "nobody's"); err == nil || !strings.Contains(out,
		"nobody got the NameID") {
		t.Errorf("one that nobody got: %v\n%s", err, out)
	}
	if out, err := w.tryCommand("sp", "release-name-id", w.providerID()+"/", nameID); err == nil || !strings.Contains(out,
		"did you mean "+w.providerID()) {
		t.Errorf("another entity id: %v\n%s", err, out)
	}
	if out, err := w.tryCommand("sp", "release-name-id", w.providerID(), nameID); err == nil || !strings.Contains(out,
		"It was given to Alice Anders") {
		t.Errorf("without a yes: %v\n%s", err, out)
	}
	if out := w.command(t, "sp", "release-name-id", w.providerID(), nameID, "--yes"); !strings.Contains(out, "released") {
		t.Errorf("released: %s", out)
	}

	b.deliver(b.goOn(b.get(w.launch(books)))).says("Alice Anders")
	c := w.enter(t, consoleAdmin)
	p := c.get(w.url + "/admin/providers/one?" + url.Values{"id": {w.providerID()}}.Encode())
	if p = c.submitForm(p, "/admin/providers/name-id", "name_id", "nobody's"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("one that nobody got: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, "/admin/providers/name-id", "name_id", nameID).status(http.StatusOK)
	p.says("Alice Anders", "first issued", "Release NameID")
	c.submitForm(p, "/admin/providers/name-id").says("The NameID was released.")
	if out := w.command(t, "audit", "list", "--action", "name-id-release"); strings.Count(out, "name-id-release") != 2 {
		t.Errorf("audit:\n%s", out)
	}
}
