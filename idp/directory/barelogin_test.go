package directory_test

import (
	"strings"
	"testing"

	"ssobridge/idp/directory"
)

// TestBareLogin brings spellings of one login to one count.
func TestBareLogin(t *testing.T) {
	for _, spelling := range []string{"alice", "ALICE", " alice ", "a lice", `EXAMPLE\alice`, "alice@example.com", "álice", "ａlice", "al\u00adice", "a\u200blice"} {
		if got := directory.BareLogin(spelling); got != "alice" {
			t.Errorf("%q becomes %q", spelling, got)
		}
	}
	for _, other := range []string{"alic", "alicee", "bob"} {
		if directory.BareLogin(other) == "alice" {
			t.Errorf("%q is taken for alice", other)
		}
	}
	if strings.Contains(directory.BareLogin("@x"), "\x00") || directory.BareLogin("@x") == "" {
		t.Error("a login that is all domain has no name")
	}
}
