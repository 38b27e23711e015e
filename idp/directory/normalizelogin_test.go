package directory_test

import (
	"strings"
	"testing"

	"ssobridge/idp/directory"
)

// TestNormalizeLogin brings spellings of one login to one count.
func TestNormalizeLogin(t *testing.T) {
	for _, spelling := range []string{"alice", "ALICE", " alice ", "a lice", `EXAMPLE\alice`, "alice@example.com", "álice",
		"ａlice", "al\u00adice", "a\u200blice"} {
		if got := directory.NormalizeLogin(spelling); got != "alice" {
			t.Errorf("%q becomes %q", spelling, got)
		}
	}
	for _, other := range []string{"alic", "alicee", "bob"} {
		if directory.NormalizeLogin(other) == "alice" {
			t.Errorf("%q is taken for alice", other)
		}
	}
	if strings.Contains(directory.NormalizeLogin("@x"), "\x00") || directory.NormalizeLogin("@x") == "" {
		t.Error("a login that is all domain has no name")
	}
}
