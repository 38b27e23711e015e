package config

import (
	"maps"
	"strings"
	"time"

	"ssobridge/store"
)

// auditKeep is for how long events are kept that the configuration says nothing of: guesses of strangers for 90 days,
// all else for 400.
func auditKeep() map[string]time.Duration {
	const day = 24 * time.Hour
	return map[string]time.Duration{store.KeepDefault: 400 * day, "login.refused": 90 * day,
		"second-factor.refused": 90 * day}
}

// Kept is Keep with its defaults filled in.
func (c Audit) Kept() map[string]time.Duration {
	all := auditKeep()
	for kind := range c.Keep {
		if !strings.Contains(kind, ".") {
			// Who says how long logins are kept means the refused ones too, unless they are named.
			maps.DeleteFunc(all, func(named string, _ time.Duration) bool { return strings.HasPrefix(named, kind+".") })
		}
	}
	maps.Copy(all, c.Keep)
	return all
}

// Longest is how long the events that are kept longest are kept; 0: for ever.
func (c Audit) Longest() time.Duration {
	all := c.Kept()
	longest := all[store.KeepDefault]
	for _, keep := range all {
		if keep == 0 || longest == 0 {
			return 0
		}
		longest = max(longest, keep)
	}
	return longest
}
