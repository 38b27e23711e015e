package idp

import (
	"context"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
)

// Gate decides whether a person passes to a service provider, and as whom. It is
// asked once for each step of a sign-in that comes so far. provisioning.Service
// is the one for Constant Contact; for other service providers a group check in
// this package is.
type Gate interface {
	Decide(ctx context.Context, q provisioning.Question) (provisioning.Decision, error)
}

// Directory is what a sign-in needs of the directory. Its errors are
// *directory.Error; every other error counts as a directory that is down.
type Directory interface {
	Lookup(ctx context.Context, login string) (directory.Found, error)
	Bind(ctx context.Context, f directory.Found, password string, slow bool) (directory.Entry, error)
	Read(ctx context.Context, id string) (directory.Entry, error)
	// Group is the group that the directory, by its own rules, takes a DN for.
	Group(ctx context.Context, dn string) (directory.Group, error)
}

// groupGate lets members of named groups pass to a plain SAML service provider.
type groupGate struct {
	config *config
	beyond func(context.Context, directory.Entry) ([]directory.Group, error) // see Options; nil: not known
}

// Decide compares ids (row ID-03). No groups: nobody passes, so that a service provider that was only just registered
// is not open to everybody.
func (g groupGate) Decide(ctx context.Context, q provisioning.Question) (provisioning.Decision, error) {
	group, in := g.config.groupOf(q.Person, q.Groups)
	if !in {
		d := provisioning.Decision{Outcome: provisioning.Denied, Reason: provisioning.NotInGroup}
		if g.beyond != nil {
			// For the log alone: what can't be read is left out.
			if more, err := g.beyond(ctx, q.Person); err == nil {
				if group, in := g.config.groupOf(directory.Entry{Groups: more}, q.Groups); in {
					d.Nested = "the person " + provisioning.NotFollowed(group)
				}
			}
		}
		return d, nil
	}
	return provisioning.Decision{Outcome: provisioning.Granted, Assignment: provisioning.Assignment{Group: group}}, nil
}
