package mfa_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"ssobridge/certs"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

var start = time.Date(2027, 1, 5, 10, 0, 0, 0, time.UTC)

// factors are second factors by one secret key, without a store: what is checked here are records in hand.
func factors(t *testing.T) *mfa.Factors {
	t.Helper()
	sealer, err := certs.NewSealer([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	return mfa.New(nil, sealer, rand.Reader)
}

// TestCodeOfAnApp: a code is taken once, within a step to either side, and from the person that it is sealed for.
func TestCodeOfAnApp(t *testing.T) {
	f := factors(t)
	secret, err := mfa.NewSecret(rand.Reader, "Partner: sign-in", "alice")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := mfa.Again(secret.Text, "Partner: sign-in", "alice"); err != nil || again != secret {
		t.Errorf("the same secret again: %v, %t", err, again == secret)
	}
	code := func(at time.Time) string {
		t.Helper()
		c, err := totp.GenerateCode(secret.Text, at)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, right, err := mfa.CheckNewCode(secret.Text, code(start.Add(-2*time.Minute)), start); err != nil || right {
		t.Errorf("an old code: %t %v", right, err)
	}
	proof, right, err := mfa.CheckNewCode(secret.Text, " "+code(start)[:3]+"-"+code(start)[3:], start)
	if err != nil || !right {
		t.Fatalf("a code with a blank and a hyphen: %t %v", right, err)
	}
	r := store.SecondFactor{ID: "a", Person: "alice", Kind: mfa.TOTP}
	if err := f.Seal(&r, proof); err != nil {
		t.Fatal(err)
	}
	check := func(what string, r store.SecondFactor, typed string, at time.Time, want bool) store.SecondFactor {
		t.Helper()
		proved, refused, err := f.CheckCode(r.Person, []store.SecondFactor{r}, typed, at)
		if err != nil || want != (refused == nil) || want != (proved.ID == r.ID) {
			t.Errorf("%s: %+v, refused %v, %v", what, proved, refused, err)
		}
		return proved
	}
	check("the code that enrolled it", r, code(start), start, false)
	used := check("the next one", r, code(start.Add(30*time.Second)), start.Add(30*time.Second), true)
	check("the same once more", used, code(start.Add(30*time.Second)), start.Add(30*time.Second), false)
	check("none", used, "", start.Add(time.Minute), false)
	check("too long", used, strings.Repeat("1", mfa.MaxCode+1), start.Add(time.Minute), false)
	moved := used
	moved.Person = "mallory"
	check("in another person's row", moved, code(start.Add(time.Minute)), start.Add(time.Minute), false)
	foreign := used
	foreign.Foreign = true
	check("in a row that was changed", foreign, code(start.Add(time.Minute)), start.Add(time.Minute), false)
}

// TestRecoveryCodes: each is good for once, however it is typed, and for its person alone.
func TestRecoveryCodes(t *testing.T) {
	f := factors(t)
	r, codes, err := f.NewRecoveryCodes("alice", "r")
	if err != nil || len(codes) != 10 {
		t.Fatalf("%d codes, %v", len(codes), err)
	}
	typed := strings.ToLower(strings.ReplaceAll(codes[3], "-", " "))
	proved, refused, err := f.CheckCode("alice", []store.SecondFactor{r}, typed, start)
	if err != nil || refused != nil || proved.Spent == "" {
		t.Fatalf("refused %v, %v, spent %q", refused, err, proved.Spent)
	}
	if _, refused, err := f.CheckCode("alice", []store.SecondFactor{proved}, typed, start); err != nil || refused == nil {
		t.Errorf("a code is taken twice: %v", err)
	}
	if _, refused, err := f.CheckCode("alice", []store.SecondFactor{proved}, codes[4], start); err != nil ||
		refused != nil {
		t.Errorf("another code: %v %v", refused, err)
	}
	if _, refused, err := f.CheckCode("mallory", []store.SecondFactor{r}, codes[4], start); err != nil || refused == nil {
		t.Errorf("another person's code is taken: %v", err)
	}
	if left, changed, ok := f.Spend(r, func(object string) bool { return object == proved.Spent }); !changed || !ok ||
		left.Spent != "" {
		t.Errorf("a code that was spent elsewhere stays: %t %t", changed, ok)
	}
}

// TestInviteHashes: an invitation's code is the same however it is typed; another code, or the same for another person,
// is another.
func TestInviteHashes(t *testing.T) {
	f := factors(t)
	is := func(a, b [][]byte) bool { return string(a[0]) == string(b[0]) }
	first := f.InviteHashes("alice", "ABCDE-01234-ABCDE-01234")
	if !is(first, f.InviteHashes("alice", "abcde o1234 abcdeol234")) {
		t.Error("letters that stand for digits make another code")
	}
	if is(first, f.InviteHashes("alice", "ABCDE-01234-ABCDE-01235")) ||
		is(first, f.InviteHashes("mallory", "ABCDE-01234-ABCDE-01234")) ||
		is(first, f.InviteHashes("alice", "")) || is(first, f.InviteHashes("alice", strings.Repeat("A", 100))) {
		t.Error("two codes have one hash")
	}
}

func TestPolicies(t *testing.T) {
	for _, c := range []struct{ a, b, want mfa.Policy }{
		{"", "", ""}, {"", mfa.Off, mfa.Off}, {mfa.Off, mfa.Offered, mfa.Offered}, {mfa.Required, mfa.Offered, mfa.Required},
		{mfa.Off, mfa.Required, mfa.Required},
	} {
		if got := mfa.Stricter(c.a, c.b); got != c.want {
			t.Errorf("of %q and %q %q", c.a, c.b, got)
		}
	}
	for _, text := range []string{"", "on", "OFF", "required "} {
		if _, err := mfa.ParsePolicy(text); err == nil {
			t.Errorf("%q is a policy", text)
		}
	}
	if mfa.Policy("").Asks() || mfa.Off.Asks() || !mfa.Offered.Asks() || !mfa.Required.Asks() {
		t.Error("the wrong policies ask for a factor")
	}
	if mfa.IsKind("password") || !mfa.IsKind(mfa.TOTP) || !mfa.IsKind(mfa.Passkey) || !mfa.IsKind(mfa.RecoveryCode) {
		t.Error("the wrong methods are second factors")
	}
}
