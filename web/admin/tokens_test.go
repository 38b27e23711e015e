package admin_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

// newTokens is what can be done with tokens over a world, at a time that the test moves.
func newTokens(t *testing.T) (w *world, tokens admin.Tokens, pass func(time.Duration)) {
	w, now := newWorld(t), time.Now()
	return w, admin.Tokens{Store: w.db, Provisioning: w.rules, Now: func() time.Time { return now }},
		func(d time.Duration) { now = now.Add(d) }
}

func admined() store.Event { return store.Event{Actor: "admin:ann"} }

// A token is taken as it was made: whole, in its time, from its networks; what is no token, was cut, is over or was
// revoked is refused in one way. REST-01
func TestTokenIsProved(t *testing.T) {
	_, tokens, pass := newTokens(t)
	ctx, all := t.Context(), admin.Everything()
	in := admin.TokenInput{Name: "billing", Scopes: []string{admin.AccountsRead, admin.AccountsRead}, Life: time.Hour,
		Networks: []string{"192.0.2.7", "2001:db8::/32"}}
	made, err := tokens.Create(ctx, all, in, admined())
	if err != nil {
		t.Fatal(err)
	}
	c, err := tokens.Prove(ctx, made.Text, "192.0.2.7")
	if err != nil || !c.May(admin.AccountsRead) || c.May(admin.AccountsWrite) || c.May("accounts:") ||
		c.Actor() != "token:"+made.ID || !c.Scope.Includes("any") || len(c.Token.Scopes) != 1 {
		t.Fatalf("proved: %+v, %v", c, err)
	}
	if _, err := tokens.Prove(ctx, made.Text, "2001:db8::1"); err != nil {
		t.Errorf("from its other network: %v", err)
	}
	for name, address := range map[string]string{"another": "192.0.2.8", "none": "", "a mapped": "::ffff:192.0.2.8"} {
		if _, err := tokens.Prove(ctx, made.Text, address); !errors.Is(err, admin.ErrTokenNetwork) {
			t.Errorf("from %s address: %v", name, err)
		}
	}
	flip := func(text string, i int) string {
		b := []byte(text)
		if b[i]++; b[i] > 'z' {
			b[i] = 'a'
		}
		return string(b)
	}
	for name, text := range map[string]string{
		"nothing": "", "the id alone": made.ID, "a part": made.Text[:40], "more": made.Text + "a",
		"in capitals": strings.ToUpper(made.Text), "another secret": flip(made.Text, 30), "another id": flip(made.Text, 6),
		"with a blank": made.Text + " ", "very long": strings.Repeat("ssob_", 1<<16),
	} {
		if _, err := tokens.Prove(ctx, text, "192.0.2.7"); !errors.Is(err, admin.ErrNoToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := tokens.Get(ctx, all, made.ID); err != nil || got.State != admin.TokenLive || got.UsedAt.IsZero() ||
		got.UsedFrom != "192.0.2.7" {
		t.Errorf("its last use: %+v, %v", got, err)
	}

	next, err := tokens.Rotate(ctx, all, made.ID, admin.Rotation{Overlap: 10 * time.Minute}, admined())
	if err != nil || next.ID == made.ID || len(next.Networks) != 2 ||
		!next.ExpiresAt.After(time.Now().Add(59*time.Minute)) {
		t.Fatalf("rotated: %+v, %v", next, err)
	}
	for _, text := range []string{made.Text, next.Text} {
		if _, err := tokens.Prove(ctx, text, "192.0.2.7"); err != nil {
			t.Errorf("in the overlap: %v", err)
		}
	}
	pass(10 * time.Minute)
	if _, err := tokens.Prove(ctx, made.Text, "192.0.2.7"); !errors.Is(err, admin.ErrNoToken) {
		t.Errorf("the old one after the overlap: %v", err)
	}
	if err := tokens.Revoke(ctx, all, next.ID, admined()); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Prove(ctx, next.Text, "192.0.2.7"); !errors.Is(err, admin.ErrNoToken) {
		t.Errorf("a revoked one: %v", err)
	}
	for action, want := range map[string]int{"token-create": 1, "token-rotate": 1, "token-revoke": 1} {
		found, err := tokens.Store.Audit().List(ctx, store.Filter{Action: action})
		if err != nil || len(found) != want || found[0].Actor != "admin:ann" {
			t.Errorf("%s: %+v, %v", action, found, err)
		}
		for _, e := range found {
			if strings.Contains(string(e.Detail), "ssob_") {
				t.Errorf("an event has a token: %s", e.Detail)
			}
		}
	}
}

// A token of some client accounts sees these alone, and none is made by who may not see all. REST-02
func TestTokenIsConfined(t *testing.T) {
	w, tokens, _ := newTokens(t)
	ctx, all := t.Context(), admin.Everything()
	if err := w.db.Accounts().ReplaceAll(ctx, []store.Account{{ID: harbour, Name: "Harbour"}}, store.Event{}); err != nil {
		t.Fatal(err)
	}
	in := admin.TokenInput{Name: "shop", Scopes: []string{admin.UsersRead}, Life: time.Hour,
		Accounts: []string{strings.ToUpper(string(harbour))}}
	made, err := tokens.Create(ctx, all, in, admined())
	if err != nil {
		t.Fatal(err)
	}
	c, err := tokens.Prove(ctx, made.Text, "192.0.2.7")
	if err != nil || !c.Scope.Includes(harbour) || c.Scope.Includes("another") {
		t.Errorf("confined: %+v, %v", c, err)
	}
	for name, err := range map[string]error{
		"create": func() error { _, err := tokens.Create(ctx, c.Scope, in, admined()); return err }(),
		"rotate": func() error { _, err := tokens.Rotate(ctx, c.Scope, made.ID, admin.Rotation{}, admined()); return err }(),
		"revoke": tokens.Revoke(ctx, c.Scope, made.ID, admined()),
		"list":   func() error { _, err := tokens.List(ctx, c.Scope); return err }(),
	} {
		if e, ok := admin.AsError(err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s by who may see one account: %v", name, err)
		}
	}
}

// What a token may be is bounded, and a privileged scope needs somebody who vouches, and ends within 30 days. REST-03
func TestTokenFaults(t *testing.T) {
	_, tokens, _ := newTokens(t)
	ctx, all := t.Context(), admin.Everything()
	good := admin.TokenInput{Name: "x", Scopes: []string{admin.StatusRead}, Life: time.Hour}
	for name, c := range map[string]struct {
		change func(*admin.TokenInput)
		field  string
	}{
		"no name":      {func(in *admin.TokenInput) { in.Name = " " }, "name"},
		"a long name":  {func(in *admin.TokenInput) { in.Name = strings.Repeat("x", 101) }, "name"},
		"two lines":    {func(in *admin.TokenInput) { in.Name = "a\nb" }, "name"},
		"no scope":     {func(in *admin.TokenInput) { in.Scopes = nil }, "scope"},
		"a wild scope": {func(in *admin.TokenInput) { in.Scopes = []string{"*"} }, "scope"},
		"no end":       {func(in *admin.TokenInput) { in.Life = 0 }, "expires"},
		"too long":     {func(in *admin.TokenInput) { in.Life = admin.LongestToken + 1 }, "expires"},
		"a network":    {func(in *admin.TokenInput) { in.Networks = []string{"::ffff:10.0.0.0/104"} }, "from"},
		"an account": {func(in *admin.TokenInput) {
			in.Scopes, in.Accounts = []string{admin.UsersRead}, []string{"unlisted1"}
		}, "account"},
		"privileged, and nobody vouches": {func(in *admin.TokenInput) { in.Scopes = []string{admin.ProvidersWrite} }, "login"},
		"privileged, for long": {func(in *admin.TokenInput) {
			in.Scopes, in.VouchedBy, in.Life = []string{admin.ProvidersWrite}, "p", admin.PrivilegedToken+1
		}, "expires"},
	} {
		in := good
		c.change(&in)
		_, err := tokens.Create(ctx, all, in, admined())
		if e, ok := admin.AsError(err); !ok || e.Field != c.field {
			t.Errorf("%s: %v, want a fault of %s", name, err, c.field)
		}
	}
	in := good
	in.Scopes, in.VouchedBy, in.Life = []string{admin.ProvidersWrite}, "p", admin.PrivilegedToken
	made, err := tokens.Create(ctx, all, in, admined())
	if err != nil || made.VouchedBy != "p" {
		t.Fatalf("vouched for: %+v, %v", made, err)
	}
	if _, err := tokens.Rotate(ctx, all, made.ID, admin.Rotation{}, admined()); err == nil {
		t.Error("a privileged token was rotated with nobody who vouches")
	}
}

// Tokens that end within 30, 7 and 1 days are found, and those that ended; what was rotated, revoked or made for a
// short time is not. REST-04
func TestTokenFindings(t *testing.T) {
	_, tokens, pass := newTokens(t)
	ctx, all := t.Context(), admin.Everything()
	days := func(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
	make := func(name string, life time.Duration) admin.NewToken {
		t.Helper()
		made, err := tokens.Create(ctx, all, admin.TokenInput{Name: name, Scopes: []string{admin.StatusRead}, Life: life},
			admined())
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	if got := tokens.Findings(ctx); len(got) != 0 {
		t.Errorf("without a token: %+v", got)
	}
	long := make("long", days(200))
	make("short", days(20))
	if err := tokens.Revoke(ctx, all, make("revoked", days(200)).ID, admined()); err != nil {
		t.Fatal(err)
	}
	expect := func(passed time.Duration, want ...string) {
		t.Helper()
		pass(passed)
		ending, err := tokens.Ending(ctx) // of which notices are sent
		if err != nil {
			t.Fatal(err)
		}
		soon := 0
		for _, text := range want {
			if !strings.Contains(text, "expired") {
				soon++
			}
		}
		if len(ending) != soon {
			t.Errorf("ending %+v, want %d of %q", ending, soon, want)
		}
		var got []string
		for _, f := range tokens.Findings(ctx) {
			if f.Level != admin.OK {
				got = append(got, f.Name+" "+f.Detail)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("found %q, want %q", got, want)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("found %q, want %q", got[i], want[i])
			}
		}
	}
	expect(0)
	expect(days(16), "within 7 days") // the short one
	expect(days(5), "expired on")
	expect(days(20))
	expect(days(130), "(long) expires on")
	expect(days(22), "within 7 days")
	expect(days(6), "within 1 day")
	if _, err := tokens.Rotate(ctx, all, long.ID, admin.Rotation{Overlap: time.Hour}, admined()); err != nil {
		t.Fatal(err)
	}
	expect(0)
}
