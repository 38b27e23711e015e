package documents_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// TestLinks: what a document links to is there, down to the heading (row DOC-01).
func TestLinks(t *testing.T) {
	seen := 0
	for _, name := range append(pages(t), "CHANGELOG.md") {
		for _, m := range link.FindAllStringSubmatch(readPage(t, name), -1) {
			file, part, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, ":") {
				continue // elsewhere
			}
			seen++
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
				continue
			}
			if part != "" && !anchors(readPage(t, to))[part] {
				t.Errorf("%s links to %s, which has no such heading", name, m[1])
			}
		}
	}
	if seen < 60 {
		t.Errorf("found %d links: too few", seen)
	}
}

// anchors are the headings of a document, as links call them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		found[anchor(strings.ReplaceAll(m[1], "`", ""))] = true
	}
	return found
}
