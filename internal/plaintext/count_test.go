package plaintext_test

import (
	"testing"

	"ssobridge/internal/plaintext"
)

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 users are", 1: "1 user is", 2: "2 users are", 1000: "1000 users are"} {
		if got := plaintext.Count(n, "user is", "users are"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
