package mapping

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// What is remembered of a text is what the pattern gives for it, however many texts come, and no more than its bound.
func TestPatternRemembers(t *testing.T) {
	p, err := ParsePattern("ctct-{account}-{role}*")
	if err != nil {
		t.Fatal(err)
	}
	long := "ctct-a1-account-manager" + strings.Repeat("x", knownBytes)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := range 2*knownTexts + 10 {
				fits := fmt.Sprintf("ctct-a%d-account-manager", i)
				for _, text := range []string{fits, fits, "ctct-" + fits[7:], "other-" + fits, long} {
					got, err := p.Match(text)
					want, wantErr := Captures{}, ErrNoMatch
					if hasFoldedPrefix(text, p.prefix) {
						want, wantErr = p.try(text)
					}
					if got != want || !errors.Is(err, wantErr) {
						t.Errorf("%q: %+v, %v; want %+v, %v", text, got, err, want, wantErr)
					}
				}
			}
		})
	}
	wait.Wait()
	if n := len(p.known.all); n == 0 || n > knownTexts {
		t.Errorf("%d texts are remembered, want at most %d", n, knownTexts)
	}
	if _, ok := p.known.all[long]; ok {
		t.Errorf("a text of %d bytes is remembered", len(long))
	}
}
