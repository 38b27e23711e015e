package main

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// COST-71: two replicas serve twice of one where a launch costs each the same, and less by what it costs more or waits
// for the other.
func TestReplicasGain(t *testing.T) {
	for name, c := range map[string]struct {
		pair sharedPair
		want float64
	}{
		"as before":          {sharedPair{shared{replica: 2e6}, shared{replica: 2e6}}, 2},
		"dearer":             {sharedPair{shared{replica: 2e6}, shared{replica: 2.5e6}}, 1.6},
		"waits for locks":    {sharedPair{shared{replica: 2e6}, shared{replica: 2e6, locked: 2e6}}, 1},
		"waits with one too": {sharedPair{shared{replica: 2e6, locked: 1e6}, shared{replica: 2e6, locked: 1e6}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.pair.gain(); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// COST-70: the commands that docs/scaling.md names for its figures are there.
func TestScalingNamesParts(t *testing.T) {
	text, err := os.ReadFile("../../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	all := append(partNames(usual), partNames(named)...)
	found := regexp.MustCompile(`--parts ([a-z]+(?:,[a-z]+)*)`).FindAllSubmatch(text, -1)
	if len(found) == 0 {
		t.Error("docs/scaling.md names no command")
	}
	for _, m := range found {
		for _, name := range regexp.MustCompile(`,`).Split(string(m[1]), -1) {
			if !slices.Contains(all, name) {
				t.Errorf("docs/scaling.md names the part %q, want some of %q", name, all)
			}
		}
	}
}
