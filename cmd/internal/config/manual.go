package config

import (
	"regexp"
	"strings"
)

// manualKey is a line of the commented example that names a key, commented out or not.
var manualKey = regexp.MustCompile(`^( *)#?([a-z0-9_]+):( |$)`)

// Manual says of each key what it is for, in the words of the commented example, with its default in the last sentence.
// Keys below a section whose names are free stand below that section's name alone.
func Manual() map[string]string {
	manual := map[string]string{}
	var path, comment []string
	for line := range strings.Lines(example) {
		line = strings.TrimRight(line, "\n")
		text, remark := strings.CutPrefix(strings.TrimLeft(line, " "), "# ")
		switch m := manualKey.FindStringSubmatch(line); {
		case remark:
			comment = append(comment, strings.TrimSpace(text))
		case m != nil:
			depth := len(m[1]) / 2
			path = append(path[:min(depth, len(path))], m[2])
			key := strings.Join(path, ".")
			manual[key] = strings.Join(comment, " ")
			if secret, file := strings.CutSuffix(key, "_file"); file {
				manual[secret] = manual[key] // a secret is never written into the file, but names its own
			}
			comment = nil
		default:
			comment = nil // the head of the file, or an empty line
		}
	}
	return manual
}
