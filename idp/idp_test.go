package idp_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// TestNewChecksOptions: all faults at once, each with its field.
func TestNewChecksOptions(t *testing.T) {
	_, err := idp.New(idp.Options{})
	if err == nil {
		t.Fatal("empty options are taken")
	}
	for _, field := range []string{"EntityID", "PublicURL", "SignIns", "Sessions", "Providers", "Keys", "Throttle",
		"Audit", "Changes", "Sealer", "Directory", "Gate", "Now", "Random", "Logger"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("the error does not name %s", field)
		}
	}
	f := newFixture(t, "rsa-2048", nil)
	good := func() idp.Options {
		return idp.Options{
			EntityID: entityID, PublicURL: publicURL,
			SignIns: f.db.SignIns(), Sessions: f.db.Sessions(), Logouts: f.db.Logouts(), Providers: f.db.ServiceProviders(),
			Groups: f.db.NamedGroups(), Accounts: f.db.Accounts(), NameIDs: f.db.NameIDs(), Keys: f.db.Keys(),
			Throttle: f.db.Throttle(), Forms: f.db.Forms(), Captures: f.db.Captures(), SecondFactors: f.db.SecondFactors(),
			Audit: f.db.Audit(), Changes: f.db.Changes, Sealer: f.sealer,
			Directory: f.directory, Gate: f.gate, Now: now.Now, Random: rand.Reader, Logger: discard(),
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(*idp.Options)
		want  string // "": taken
	}{
		{"good", func(*idp.Options) {}, ""},
		{"trailing slash", func(o *idp.Options) { o.PublicURL += "/" }, ""},
		{"http on loopback", func(o *idp.Options) { o.PublicURL = "http://127.0.0.1:8080" }, ""},
		{"http on IPv6 loopback", func(o *idp.Options) { o.PublicURL = "http://[::1]:8080" }, ""},
		{"http elsewhere", func(o *idp.Options) { o.PublicURL = "http://sso.partner.test" }, "PublicURL"},
		{"no URL", func(o *idp.Options) { o.PublicURL = "sso.partner.test" }, "PublicURL"},
		{"path", func(o *idp.Options) { o.PublicURL += "/sso" }, "PublicURL"},
		{"entityID with a blank", func(o *idp.Options) { o.EntityID = "a b" }, "EntityID"},
		{"long entityID", func(o *idp.Options) { o.EntityID = strings.Repeat("a", 257) }, "EntityID"},
		{"short sign-in life", func(o *idp.Options) { o.SignInLife = 14 * time.Minute }, "SignInLife"},
		{"negative", func(o *idp.Options) { o.SessionIdle = -1 }, "SessionIdle"},
		{"negative limit", func(o *idp.Options) { o.LoginFailures = -1 }, "LoginFailures"},
	} {
		o := good()
		c.spoil(&o)
		_, err := idp.New(o)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one about %q", c.name, err, c.want)
		}
	}
}

// TestReasons: each is there once and is a fixed word.
func TestReasons(t *testing.T) {
	all := idp.Reasons()
	for i, r := range all {
		if r == "" || strings.ContainsFunc(r, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }) {
			t.Errorf("reason %q", r)
		}
		if slices.Contains(all[:i], r) {
			t.Errorf("reason %s is there twice", r)
		}
	}
}

type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("no randomness") }

// TestNoRandomness: without it nothing is issued, rather than something that can
// be guessed.
func TestNoRandomness(t *testing.T) {
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.Random = noRandomness{} })
	ctx := context.Background()
	if a, err := f.Launch(ctx, idp.LaunchRequest{}, visitor("b")); err == nil {
		t.Errorf("page %T", a.Page)
	}
	if a, err := f.SSO(ctx, byRedirect(t, newRequest(plain).xml()), visitor("b")); err == nil {
		t.Errorf("page %T", a.Page)
	}
}

// TestConfigurationChanges: what an admin changes holds with the next sign-in,
// and a record that can't be used harms no other.
func TestConfigurationChanges(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	broken := plainSP()
	broken.EntityID, broken.NameID = "https://broken.test", "{nonsense}"
	f.put(t, broken)
	if a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: "https://broken.test"}, v); err == nil {
		t.Errorf("page %T", a.Page)
	}
	sp := plainSP()
	sp.ACS = []store.Endpoint{{URL: "https://wiki.partner.test/new", Binding: sp.ACS[0].Binding}}
	f.put(t, sp)
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
	if d := must[idp.Deliver](t, a, err); d.Action != "https://wiki.partner.test/new" {
		t.Errorf("goes to %s", d.Action)
	}
}

// TestStoreDown: a store that fails is an error of ours, not a page.
func TestStoreDown(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, do := range map[string]func() (idp.Answer, error){
		"launch": func() (idp.Answer, error) { return f.Launch(ctx, idp.LaunchRequest{}, v) },
		"resume": func() (idp.Answer, error) { return f.Resume(ctx, "x", v) },
		"logout": func() (idp.Answer, error) { return f.Logout(ctx, v) },
		"sso":    func() (idp.Answer, error) { return f.SSO(ctx, byRedirect(t, newRequest(plain).xml()), v) },
	} {
		if a, err := do(); err == nil {
			t.Errorf("%s: page %T", name, a.Page)
		}
	}
}
