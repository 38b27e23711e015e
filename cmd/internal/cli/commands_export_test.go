package cli

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Commands are all commands that do something, and whether each takes --json.
func Commands() map[string]bool {
	parser := kong.Must(&grammar{}, kong.Name("ssobridge"))
	all := map[string]bool{}
	for _, leaf := range parser.Model.Leaves(false) {
		var words []string
		for n := leaf; n.Type == kong.CommandNode; n = n.Parent {
			words = append(words, n.Name)
		}
		slices.Reverse(words)
		all[strings.Join(words, " ")] = slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return f.Name == "json" })
	}
	return all
}
