package documents_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plays are what the tests do on a machine beside the blocks: before all of them, and after some of its steps.
var plays = map[string]func(*testing.T, *machine) map[string]func(){
	"first": first, "proxies": proxies, "postgresql": postgresql, "try": try,
}

// TestDocuments runs the blocks of the documents that are marked so, on their machines (rows DOC-03 to DOC-05).
func TestDocuments(t *testing.T) {
	for _, s := range machines {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			play, ok := plays[s.name]
			if !ok {
				t.Fatalf("nothing runs machine %s", s.name)
			}
			m := newMachine(t, s.words)
			after := play(t, m)
			for _, step := range s.steps {
				name, _, _ := strings.Cut(step, "#")
				found, _ := blocks(name, readPage(t, name))
				ran := 0
				for _, b := range found {
					if on, _, _ := b.machine(); b.kind != "run" || on != s.name || !b.in(step) {
						continue
					}
					m.play(b)
					ran++
				}
				if ran == 0 {
					t.Errorf("step %s has no block to run", step)
				}
				if then := after[step]; then != nil {
					then()
				}
			}
		})
	}
}

// first is one server with SQLite, from the archive to an upgrade.
func first(t *testing.T, m *machine) map[string]func() {
	m.unpacked(t)
	m.directory(t)
	cc := m.constantContact(t)
	return map[string]func(){
		"docs/systemd.md#start-it": func() { m.browser(t).signIn(m, launchLink, "alice", password) },
		"docs/upgrade.md": func() {
			// It holds the new certificate, as was said at the promotion: on a fast machine it has not asked again by itself.
			if err := cc.TrustMetadata([]byte(m.must("ssobridge metadata"))); err != nil {
				t.Error(err)
			}
			m.browser(t).signIn(m, launchLink, "alice", password)
			m.units(t)
		},
	}
}

// source puts a file of the project onto the machine.
func (m *machine) source(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	m.must("mkdir -p /root/ssobridge/" + filepath.Dir(name))
	m.write("/root/ssobridge/"+name, string(text))
}
