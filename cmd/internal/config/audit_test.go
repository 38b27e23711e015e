package config_test

import (
	"maps"
	"testing"
	"time"

	"ssobridge/cmd/internal/config"
)

// ID-26: what the configuration says of the audit goes over its defaults, which are finite; the revocation journal is
// kept as long.
func TestAuditKept(t *testing.T) {
	const day = 24 * time.Hour
	type keep = map[string]time.Duration
	for _, c := range []struct {
		name            string
		configured, all keep
		longest         time.Duration
	}{
		{"nothing", nil, keep{"default": 400 * day, "login.refused": 90 * day, "second-factor.refused": 90 * day}, 400 * day},
		{"another action", keep{"sign-in": 500 * day}, keep{"default": 400 * day, "sign-in": 500 * day,
			"login.refused": 90 * day, "second-factor.refused": 90 * day}, 500 * day},
		{"logins", keep{"login": 30 * day}, keep{"default": 400 * day, "login": 30 * day, "second-factor.refused": 90 * day},
			400 * day},
		{"both", keep{"login": 30 * day, "login.refused": 10 * day}, keep{"default": 400 * day, "login": 30 * day,
			"login.refused": 10 * day, "second-factor.refused": 90 * day}, 400 * day},
		{"an action that begins like it", keep{"log": 30 * day}, keep{"default": 400 * day, "log": 30 * day,
			"login.refused": 90 * day, "second-factor.refused": 90 * day}, 400 * day},
		{"for ever", keep{"default": 0}, keep{"default": 0, "login.refused": 90 * day, "second-factor.refused": 90 * day}, 0},
		{"one for ever", keep{"key-promote": 0}, keep{"default": 400 * day, "key-promote": 0, "login.refused": 90 * day,
			"second-factor.refused": 90 * day}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			audit := config.Audit{Keep: c.configured}
			all, longest := audit.Kept(), audit.Longest()
			if !maps.Equal(all, c.all) || longest != c.longest {
				t.Errorf("got %v, longest %v, want %v and %v", all, longest, c.all, c.longest)
			}
		})
	}
}
