package idp_test

import (
	"context"
	"testing"

	"ssobridge/idp"
	"ssobridge/idp/mfa"
	"ssobridge/provisioning"
	"ssobridge/store"
)

const harbour = store.AccountID("a07e1lxqqqo0")

// newIDFixture has two client accounts that bob may use. The gate compares byte for byte, as provisioning does, and the
// one account asks for a second factor.
func newIDFixture(t *testing.T, stored store.AccountID) *fixture {
	t.Helper()
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Off})
	all := []store.Account{{ID: harbour, Name: "Harbour"}, {ID: "Twin"}, {ID: "TWIN"}}
	if err := f.db.Accounts().ReplaceAll(ctx, all, store.Event{Actor: "test", Action: "accounts-refresh"}); err != nil {
		t.Fatal(err)
	}
	if err := f.db.SecondFactors().SetPolicy(ctx, stored, "required", store.Event{Actor: "test",
		Action: "set"}); err != nil {
		t.Fatal(err)
	}
	f.gate.set(func(q provisioning.Question) (provisioning.Decision, error) {
		switch q.Account {
		case harbour, "Twin":
			return granted(q), nil
		case "":
			return provisioning.Decision{Outcome: provisioning.Choose, Choices: []provisioning.Assignment{{Account: harbour},
				{Account: "Twin"}}}, nil
		}
		return provisioning.Decision{Outcome: provisioning.Denied, Reason: provisioning.NotThisAccount}, nil
	})
	return f
}

// spelled are ways to write harbour in an address or a form, and whether they mean it.
var spelled = []struct {
	name, typed string
	means       bool
}{
	{"as listed", "a07e1lxqqqo0", true},
	{"capitals", "A07E1LXQQQO0", true},
	{"one capital", "A07e1lxqqqo0", true},
	{"blanks around it", " a07e1lxqqqo0\t", true},
	{"no-break space", "a07e1lxqqqo0\u00a0", false},
	{"zero-width space", "a07e\u200b1lxqqqo0", false},
	{"full width", "\uff4107e1lxqqqo0", false},
	{"Cyrillic", "\u043007e1lxqqqo0", false},
	{"percent-encoded", "%6107e1lxqqqo0", false},
	{"another one", "a07e1lxqqqo1", false},
	{"neither of two", "twin", false},
}

// ID-01: an account's second factor is asked for however the launch or the form spells the account, and however the
// policy was stored by a version before this one.
func TestAccountIsTheRecordedOne(t *testing.T) {
	ctx := context.Background()
	for _, stored := range []store.AccountID{harbour, "A07E1LXQQQO0"} {
		f := newIDFixture(t, stored)
		for _, way := range []string{"launch", "form"} {
			for _, c := range spelled {
				t.Run(string(stored)+" "+way+" "+c.name, func(t *testing.T) {
					v := visitor("browser " + string(stored) + way + c.name)
					link := idp.LaunchRequest{}
					if way == "launch" {
						link.Account = c.typed
					}
					a, err := f.Launch(ctx, link, v)
					if err != nil && !c.means {
						return // refused at the door
					}
					id := begun(t, a, err).SignIn
					a, err = f.Login(ctx, id, "bob", "battery staple", v)
					id = must[idp.GoOn](t, a, err).SignIn // the password stores the sign-in
					v.Session = a.NewSession
					if way == "form" {
						a, err = f.Choose(ctx, id, c.typed, v)
						if err != nil && !c.means {
							return
						}
					} else {
						a, err = f.Resume(ctx, id, v)
					}
					if err != nil {
						t.Fatal(err)
					}
					switch page := a.Page.(type) {
					case idp.EnrolFactor:
						if !c.means {
							t.Errorf("%q was taken for %s", c.typed, harbour)
						}
					case idp.Refusal:
						if c.means || page.Reason != string(provisioning.NotThisAccount) {
							t.Errorf("refused: %+v", page)
						}
					default:
						t.Errorf("%q led to %#v: neither refused nor asked for the second factor", c.typed, a.Page)
					}
					in, err := f.db.SignIns().Get(ctx, id)
					if err != nil {
						t.Fatal(err)
					}
					if c.means && in.Account != harbour {
						t.Errorf("the sign-in is stored for %q", in.Account)
					}
				})
			}
		}
	}
}

// ID-01: of a policy that can mean two accounts, both get the strictest; one under another spelling never asks for less
// than the common policy.
func TestPolicyUnderAnotherSpelling(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name   string
		common mfa.Policy
		stored map[store.AccountID]string
		want   map[store.AccountID]mfa.Policy
	}{
		{"another case alone", mfa.Off, map[store.AccountID]string{"A07E1LXQQQO0": "offered"},
			map[store.AccountID]mfa.Policy{harbour: mfa.Offered}},
		{"weaker than the common one", mfa.Required, map[store.AccountID]string{"A07E1LXQQQO0": "off"},
			map[store.AccountID]mfa.Policy{harbour: mfa.Required}},
		{"its own, off", mfa.Required, map[store.AccountID]string{harbour: "off"},
			map[store.AccountID]mfa.Policy{harbour: mfa.Off}},
		{"two, the stricter under the other", mfa.Off, map[store.AccountID]string{harbour: "off", "A07E1LXQQQO0": "required"},
			map[store.AccountID]mfa.Policy{harbour: mfa.Required}},
		{"two, the stricter its own", mfa.Off, map[store.AccountID]string{harbour: "required", "A07E1LXQQQO0": "off"},
			map[store.AccountID]mfa.Policy{harbour: mfa.Required}},
		{"neither of two", mfa.Off, map[store.AccountID]string{"twin": "required"},
			map[store.AccountID]mfa.Policy{"Twin": mfa.Required, "TWIN": mfa.Required, harbour: mfa.Off}},
		{"one of two", mfa.Off, map[store.AccountID]string{"Twin": "required"},
			map[store.AccountID]mfa.Policy{"Twin": mfa.Required, "TWIN": mfa.Off}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFactorFixture(t, idp.FactorOptions{People: c.common})
			// As the version before stored them: before the list of accounts was read, so that none is taken for another.
			for account, policy := range c.stored {
				if err := f.db.SecondFactors().SetPolicy(ctx, account, policy, store.Event{Actor: "test",
					Action: "set"}); err != nil {
					t.Fatal(err)
				}
			}
			all := []store.Account{{ID: harbour}, {ID: "Twin"}, {ID: "TWIN"}}
			if err := f.db.Accounts().ReplaceAll(ctx, all, store.Event{Actor: "test", Action: "accounts-refresh"}); err != nil {
				t.Fatal(err)
			}
			for account, want := range c.want {
				if got, _, err := f.FactorPolicy(ctx, account); got != want || err != nil {
					t.Errorf("%s asks for %s, %v; want %s", account, got, err, want)
				}
			}
		})
	}
}

// ID-01: a policy that is set takes away what stood under other spellings, so that it can be lowered again.
func TestPolicyIsSetForAllSpellings(t *testing.T) {
	ctx := context.Background()
	f := newIDFixture(t, "A07E1LXQQQO0")
	if got, _, err := f.FactorPolicy(ctx, harbour); got != mfa.Required || err != nil {
		t.Fatalf("%s, %v", got, err)
	}
	if err := f.Factors().SetPolicy(ctx, harbour, mfa.Off, store.Event{Actor: "admin:test"}); err != nil {
		t.Fatal(err)
	}
	if got, own, err := f.FactorPolicy(ctx, harbour); got != mfa.Off || !own || err != nil {
		t.Errorf("%s, own %t, %v", got, own, err)
	}
	// The policy of a twin is another one.
	for _, twin := range []store.AccountID{"Twin", "TWIN"} {
		if err := f.Factors().SetPolicy(ctx, twin, mfa.Required, store.Event{Actor: "admin:test"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Factors().SetPolicy(ctx, "Twin", "", store.Event{Actor: "admin:test"}); err != nil {
		t.Fatal(err)
	}
	if got, own, err := f.FactorPolicy(ctx, "TWIN"); got != mfa.Required || !own || err != nil {
		t.Errorf("%s, own %t, %v", got, own, err)
	}
}

// Only administrators are told which entityID somebody may have meant.
func TestNearestProvider(t *testing.T) {
	all := []store.ServiceProvider{{EntityID: "https://wiki.example.com/saml"},
		{EntityID: "https://mail.example.com/saml"}, {EntityID: "urn:a"}}
	for typed, want := range map[string]string{
		"https://wiki.example.com/saml/":      "https://wiki.example.com/saml",
		"https://WIKI.example.com/saml":       "https://wiki.example.com/saml",
		"https://wiki.example.com/saml\u00a0": "https://wiki.example.com/saml",
		"http://wiki.example.com/saml":        "https://wiki.example.com/saml",
		"https://w\u200biki.example.com/saml": "https://wiki.example.com/saml",
		"https://shop.example.com/saml":       "",
		"":                                    "",
	} {
		if got, ok := idp.NearestProvider(all, typed); got != want && ok || ok != (want != "") {
			t.Errorf("nearest to %q: %q, %t; want %q", typed, got, ok, want)
		}
	}
}
