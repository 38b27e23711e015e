package e2e_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// enrolPasskey signs somebody in at an account that requires a factor, and sets a passkey up on the way.
func (b *browser) enrolPasskey(w *world, account, login string) {
	b.t.Helper()
	b.open(w.launch(account))
	b.login(login, password)
	b.sees("Protect your sign-in")
	b.press("Set up a passkey")
	b.sees("Keep these codes")
	b.press("I have kept them")
	b.sees(account)
}

// signOut ends the session of the browser.
func (b *browser) signOut(w *world) {
	b.t.Helper()
	b.open(w.url + "/logout")
	b.press("Sign out")
	b.sees("You are signed out")
}

// holdAnswer keeps what a page would send of a passkey, in place of sending it, and returns it.
func (b *browser) holdAnswer() (state, credential string) {
	b.t.Helper()
	b.run(`window.realSubmit = HTMLFormElement.prototype.submit;
		HTMLFormElement.prototype.submit = function () {
		window.held = [this.elements.state.value, this.elements.credential.value] }`)
	b.press("Use your passkey")
	if !eventually(func() bool { return b.is(`!!window.held`) }) {
		b.t.Fatal("the passkey gave no answer")
	}
	held, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`window.held`))
	if err != nil {
		b.t.Fatal(err)
	}
	return held[0], held[1]
}

// sendAnswer sends an answer with the page that is open; state "" is the page's own.
func (b *browser) sendAnswer(state, credential string) {
	b.t.Helper()
	b.run(fmt.Sprintf(`const form = document.querySelector("form[data-passkey]"), state = %q;
		if (state) form.elements.state.value = state;
		form.elements.credential.value = %q;
		(window.realSubmit || HTMLFormElement.prototype.submit).call(form)`, state, credential))
}

func (b *browser) run(js string) {
	b.t.Helper()
	if !b.is("(() => { " + js + "; return true })()") {
		b.t.Fatalf("the script did nothing: %s", js)
	}
}

// TestBrowserPasskeyByItself: a passkey that the device keeps is offered in the field of the code, without a button; it
// is taken after the password alone, of the person who typed that, and once (row ID-07).
func TestBrowserPasskeyByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	w.command(t, "accounts", "set-factor", club, "required")
	b := newBrowser(t)
	b.withDevice(true)
	b.enrolPasskey(w, club, "bob")
	b.signOut(w)

	// The page before the password asks for nothing, so that nobody learns there who has a passkey.
	b.open(w.launch(club))
	b.sees("Login name")
	if b.is(`document.documentElement.outerHTML.includes("webauthn") || document.documentElement.outerHTML.includes("passkey")`) {
		t.Error("the login page speaks of passkeys")
	}
	b.login("bob", password)
	b.sees(club, mfaClass) // its owner has pressed nothing
}

// TestBrowserPasskeyOfOthers: an answer of a passkey is taken once, on the page that asked for it, in the browser that
// has the page, and of the person whose password was typed (row ID-07).
func TestBrowserPasskeyOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	w.command(t, "accounts", "set-factor", books, "required")
	asked := func(b *browser, login string) {
		t.Helper()
		b.open(w.launch(books))
		b.login(login, password)
		b.sees("Use your passkey")
	}
	const over, wrong = "This page was open for too long", "That was not right"

	eve := newBrowser(t)
	eve.withAuthenticator()
	eve.enrolPasskey(w, books, "eve")
	eve.signOut(w)
	asked(eve, "eve")
	state, credential := eve.holdAnswer()
	thief := newBrowser(t) // has the password, and has read what went out of the other browser
	thief.withAuthenticator()
	asked(thief, "eve")
	thief.sendAnswer(state, credential)
	thief.sees(over)
	thief.sendAnswer("", credential)
	thief.sees(wrong)

	eve.sendAnswer("", credential) // what nobody has taken yet is good where it belongs
	eve.sees("Somebody tried to sign in as you")
	eve.press("Continue to")
	eve.sees(books)
	eve.signOut(w)
	asked(eve, "eve")
	eve.sendAnswer(state, credential)
	eve.sees(over)
	eve.sendAnswer("", credential)
	eve.sees(wrong)

	// A passkey of somebody else signs the challenge of this page.
	alice := newBrowser(t)
	alice.withAuthenticator()
	alice.enrolPasskey(w, books, "alice")
	alice.signOut(w)
	asked(alice, "alice")
	_, credential = alice.holdAnswer()
	var hers struct{ ID string }
	if err := json.Unmarshal([]byte(credential), &hers); err != nil {
		t.Fatal(err)
	}
	alice.signOut(w) // waits until it is done
	asked(alice, "eve")
	alice.run(fmt.Sprintf(`const form = document.querySelector("form[data-passkey]"), o = JSON.parse(form.dataset.options);
		o.allowCredentials = [{type: "public-key", id: %q}]; form.dataset.options = JSON.stringify(o)`, hers.ID))
	alice.press("Use your passkey")
	alice.sees(wrong)
}
