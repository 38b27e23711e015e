package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"ssobridge/store"
)

// Digest tells two sets of mappings apart by what they give to whom. A mapping that was removed and added again, or
// whose group was renamed, is the same.
func Digest(all []store.Mapping) string {
	lines := make([]string, len(all))
	for i, m := range all {
		group := m.GroupDN
		if m.GroupID != "" {
			group = "" // its DN is only shown then
		}
		lines[i] = fmt.Sprintf("%q %q %q %q %q %q %q %q %d", m.Kind, m.GroupID, group, m.Attribute, m.Pattern, m.Person,
			m.Account, m.Role, m.Priority)
		if m.AtSignIn { // only there, since the version before makes and compares digests too
			lines[i] += " " + CreateAtSignIn
		}
	}
	slices.Sort(lines)
	sum := sha256.New()
	for _, line := range lines {
		fmt.Fprintln(sum, line)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
