package cli

import (
	"strings"

	"ssobridge/store"
)

// classGroups are the classes of notices, a group on each line.
func classGroups() (all []string) {
	group := ""
	for _, c := range store.NoticeClasses() {
		first, _, _ := strings.Cut(string(c), ".")
		if first == group {
			all[len(all)-1] += " " + string(c)
			continue
		}
		group, all = first, append(all, string(c))
	}
	return all
}
