package cmd_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestThreatModel: what docs/threat-model.md cites is there. A setting, file, command or row that goes or is renamed
// takes its argument along.
func TestThreatModel(t *testing.T) {
	model := readFile(t, "docs/threat-model.md")
	rows := map[string]bool{}
	for _, row := range linePattern.FindAllStringSubmatch(readFile(t, "docs/checklist.md"), -1) {
		rows[row[1]] = true
	}
	for _, row := range regexp.MustCompile(`\b[A-Z]+-[0-9]{2}\b`).FindAllString(model, -1) {
		if !rows[row] {
			t.Errorf("%s is no row of docs/checklist.md", row)
		}
	}
	settings := readFile(t, "docs/configuration.md")
	for _, key := range regexp.MustCompile("`([a-z_]+\\.[a-z_]+|[a-z]+_[a-z_]+)`").FindAllStringSubmatch(model, -1) {
		if !strings.Contains(settings, "### `"+key[1]+"`") && !strings.Contains(settings, "### `"+key[1]+"_file`") {
			t.Errorf("%s is no setting of docs/configuration.md", key[1])
		}
	}
	for _, name := range []string{"README.md", "SECURITY.md"} {
		if !strings.Contains(readFile(t, name), "docs/threat-model.md") {
			t.Errorf("%s does not name docs/threat-model.md", name)
		}
	}
}
