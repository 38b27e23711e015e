package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVersionBehindATag: what is built between two releases sorts behind the first and before the second.
func TestVersionBehindATag(t *testing.T) {
	for describes, want := range map[string]string{
		"v1.2.3":                   "v1.2.3",
		"1.2.3-rc.1":               "1.2.3-rc.1",
		"v1.2.3-14-gabc1234":       "1.2.4-dev.14.gabc1234",
		"v1.2.9-1-g0":              "1.2.10-dev.1.g0",
		"v1.2.3-rc.1-2-gdef":       "1.2.3-rc.1.dev.2.gdef",
		"v1.2.3-14-gabc1234-dirty": "v1.2.3-14-gabc1234-dirty", // no version: refused then
	} {
		if got := afterTag(describes); got != want {
			t.Errorf("of %s: %s, want %s", describes, got, want)
		}
	}
	for _, c := range []struct{ older, newer string }{{"", "2.4"}, {"2.4", "2.34"}, {"2.34", "2.34.1"}, {"2.36", "3.0"}} {
		if compareVersions(c.older, c.newer) >= 0 || compareVersions(c.newer, c.older) <= 0 ||
			compareVersions(c.newer, c.newer) != 0 {
			t.Errorf("%s is not older than %s", c.older, c.newer)
		}
	}
}

// TestVersionOfAnArchive: an archive of the sources names its version, commit and time in the file VERSION.
func TestVersionOfAnArchive(t *testing.T) {
	commit := strings.Repeat("0123456789", 4)
	for name, c := range map[string]struct{ text, version, fault string }{
		"a release":        {"v1.2.3\n" + commit + "\n1795910400\n", "1.2.3", ""},
		"behind a release": {"v1.2.3-2-gabc\n" + commit + "\n1795910400\n", "1.2.4-dev.2.gabc", ""},
		"of a clone":       {"$Format:%(describe)$\n$Format:%H$\n$Format:%ct$\n", "", "VERSION=1.2.3"},
		"no tag":           {"\n" + commit + "\n1795910400\n", "", "VERSION=1.2.3"},
		"cut off":          {"v1.2.3\n", "", "three lines"},
		"no commit":        {"v1.2.3\nmain\n1795910400\n", "", "three lines"},
		"no time":          {"v1.2.3\n" + commit + "\nyesterday\n", "", "no number of seconds"},
		"an option":        {"1.2.3 -X main.x=y\n" + commit + "\n1795910400\n", "", "none such as"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, versionFile), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			o, err := parse(t.Context(), []string{"-root", folder}, "", io.Discard)
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("got %v, want a fault with %q", err, c.fault)
				}
				return
			}
			if err != nil || o.version != c.version || o.commit != commit || o.date.Unix() != 1795910400 {
				t.Errorf("got %s of %s at %s, %v; want %s", o.version, o.commit, o.date, err, c.version)
			}
		})
	}
	if _, err := parse(t.Context(), []string{"-root", t.TempDir()}, "", io.Discard); err == nil ||
		!strings.Contains(err.Error(), "VERSION=1.2.3") {
		t.Errorf("neither git nor VERSION: %v", err)
	}
	// In a clone git fills the placeholders in where it makes an archive.
	text, err := os.ReadFile(filepath.Join(root, versionFile))
	attributes, err2 := os.ReadFile(filepath.Join(root, ".gitattributes"))
	if err != nil || err2 != nil || strings.Count(string(text), "$Format:") != 3 ||
		!strings.Contains(string(attributes), versionFile+" export-subst") {
		t.Errorf("git archive fills in nothing: %q, %v, %q, %v", text, err, attributes, err2)
	}
}
