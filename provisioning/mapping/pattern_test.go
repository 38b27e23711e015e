package mapping_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

func parse(tb testing.TB, text string) mapping.Pattern {
	tb.Helper()
	p, err := mapping.ParsePattern(text)
	if err != nil {
		tb.Fatalf("ParsePattern(%q): %v", text, err)
	}
	return p
}

func TestPatternMatch(t *testing.T) {
	const none, both = "", "both ways"
	cases := []struct {
		pattern, text string
		account       string
		role          store.Role
		err           error
	}{
		{"ctct-{account}-{role}", "ctct-a07e1lxqqqo0-account_manager", "a07e1lxqqqo0", store.AccountManager, nil},
		{"ctct-{account}-{role}", "CTCT-A07e-Campaign-Creator", "A07e", store.CampaignCreator, nil},
		{"ctct-{account}-{role}", "ctct-a07e-owner", none, none, mapping.ErrNoMatch},
		{"ctct-{account}-{role}", "ctct-a07e-account_manager-x", none, none, mapping.ErrNoMatch},
		{"ctct-{account}-{role}", "x-ctct-a07e-account_manager", none, none, mapping.ErrNoMatch},
		{"ctct-{account}-{role}", "ctct--account_manager", none, none, mapping.ErrNoMatch},
		{"ctct-{account}-{role}", "ctct-a_b-account_manager", none, none, mapping.ErrNoMatch},
		{"ctct-{account}-{role}", "ctct-a07e-account_manager\n", none, none, mapping.ErrNoMatch},
		{"ctct-{account}", "ctct-" + strings.Repeat("a", 64), strings.Repeat("a", 64), none, nil},
		{"ctct-{account}", "ctct-" + strings.Repeat("a", 65), none, none, mapping.ErrNoMatch},
		{"ctct-{account}", "ctct-\u212a1", none, none, mapping.ErrNoMatch}, // the Kelvin sign is no k
		{"{account}", "a07e", "a07e", none, nil},
		{"{role}@{account}.example", "account_manager@a07e.example", "a07e", store.AccountManager, nil},
		{"{account}{role}", "a07eaccount_manager", "a07e", store.AccountManager, nil},
		{"*-{account}", "emea-sales-a07e", "a07e", none, nil},
		{"cn=ctct-{account}-*", "cn=ctct-a07e-,ou=x", "a07e", none, nil},
		{"*-{account}-*", "x-a07e-y", "a07e", none, nil},
		// Fits with account b and with account c: access is not given by guess.
		{"*-{account}-*", "a-b-c-d", none, none, mapping.ErrAmbiguous},
		{"*x{account}", "xaxb", none, none, mapping.ErrAmbiguous},
		{"a.c-{account}", "abc-a07e", none, none, mapping.ErrNoMatch}, // literals are no expressions
		{"größe-{account}", "GRÖSSE-a07e", none, none, mapping.ErrNoMatch},
		{"größe-{account}", "GRÖßE-a07e", "a07e", none, nil},
		{"sales**", "Sales and more", none, none, nil},
		{"sales*", strings.Repeat("sales", 300), none, none, mapping.ErrNoMatch}, // too long a text
	}
	for _, c := range cases {
		t.Run(c.pattern+" "+c.text[:min(len(c.text), 30)], func(t *testing.T) {
			got, err := parse(t, c.pattern).Match(c.text)
			if !errors.Is(err, c.err) || got.Account != c.account || got.Role != c.role {
				t.Errorf("got %+v, %v; want account %q, role %q, %v", got, err, c.account, c.role, c.err)
			}
		})
	}
	if _, err := (mapping.Pattern{}).Match(""); !errors.Is(err, mapping.ErrNoMatch) {
		t.Errorf("zero pattern: got %v, want no match", err)
	}
}

func TestParsePatternRefuses(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"empty", "", "empty"},
		{"everything", "*", "fits everything"},
		{"everything twice", "**", "fits everything"},
		{"unknown placeholder", "ctct-{acount}", "{acount} is not known"},
		{"owner", "ctct-{owner}", "{owner} is not known"},
		{"open brace", "ctct-{account", "a { without its }"},
		{"closed brace", "ctct-account}", "a } without its {"},
		{"nested brace", "ctct-{{account}}", "is not known"},
		{"twice", "{account}-{account}", "twice"},
		{"star before account", "ctct*{account}", "directly beside *"},
		{"star after account", "{account}*", "directly beside *"},
		{"control character", "ctct-\t{account}", "control character"},
		{"not UTF-8", "ctct-\xff{account}", "UTF-8"},
		{"long", strings.Repeat("x", 257), "257 characters"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := mapping.ParsePattern(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// A text made from a pattern either gives the captures that it was made with, or is ambiguous: never others.
func TestPatternGivesWhatWasPutIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		account := rapid.StringMatching(`[A-Za-z0-9]{1,64}`).Draw(t, "account")
		role := rapid.SampledFrom([]store.Role{store.AccountManager, store.CampaignCreator}).Draw(t, "role")
		written := rapid.SampledFrom([]string{string(role), strings.ToUpper(string(role)), strings.ReplaceAll(string(role),
			"_", "-")}).Draw(t, "written")
		var pattern, text strings.Builder
		last, used := "", map[string]bool{}
		for range rapid.IntRange(1, 8).Draw(t, "pieces") {
			piece := rapid.SampledFrom([]string{"literal", "*", "{account}", "{role}"}).Draw(t, "piece")
			if used[piece] || last == "*" && piece == "{account}" || last == "{account}" && piece == "*" {
				piece = "literal"
			}
			last = piece
			switch piece {
			case "literal":
				literal := rapid.StringMatching(`[a-zA-Z0-9._=, -]{1,6}`).Draw(t, "literal")
				pattern.WriteString(literal)
				text.WriteString(strings.ToUpper(literal))
			case "*":
				pattern.WriteString("*")
				text.WriteString(rapid.StringN(0, 8, 20).Draw(t, "filler"))
			case "{account}":
				used[piece] = true
				pattern.WriteString(piece)
				text.WriteString(account)
			case "{role}":
				used[piece] = true
				pattern.WriteString(piece)
				text.WriteString(written)
			}
		}
		p, err := mapping.ParsePattern(pattern.String())
		if err != nil {
			t.Skip("a pattern that is refused")
		}
		got, err := p.Match(text.String())
		if errors.Is(err, mapping.ErrAmbiguous) {
			return
		}
		if err != nil {
			t.Fatalf("pattern %q on %q: %v", pattern.String(), text.String(), err)
		}
		if p.HasAccount() && got.Account != account || p.HasRole() && got.Role != role {
			t.Fatalf("pattern %q on %q: got %+v, want %q and %q", pattern.String(), text.String(), got, account, role)
		}
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("ctct-{account}-{role}", "ctct-a07e-account_manager")
	f.Add("*-{account}-*", "a-b-c-d")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := mapping.ParsePattern(pattern)
		if err != nil {
			return
		}
		c, err := p.Match(text)
		if err != nil {
			return
		}
		if p.HasAccount() {
			if _, err := store.ParseAccountID(c.Account); err != nil {
				t.Errorf("pattern %q on %q gave account %q", pattern, text, c.Account)
			}
		}
		if c.Role != "" && c.Role != store.AccountManager && c.Role != store.CampaignCreator {
			t.Errorf("pattern %q on %q gave role %q", pattern, text, c.Role)
		}
	})
}
