package admin

import (
	"context"
	"fmt"

	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// SearchGroups finds groups below the group base whose name has each word of a text in it. more tells that there are
// others than these.
func (a Mappings) SearchGroups(ctx context.Context, s Scope, text string, limit int) (found []directory.Group,
	more bool, err error) {
	if err := s.whole(); err != nil {
		return nil, false, err
	}
	found, more, err = a.Directory.SearchGroups(ctx, text, limit)
	return found, more, searchError(err, "groups")
}

// GroupMembers is a group with its direct members.
type GroupMembers struct {
	Group   directory.Group
	Members []directory.Member // up to the limit
	Total   int                // how many there are; 0 also where the directory does not list them at the group
}

// Members reads a group by DN, and its direct members.
func (a Mappings) Members(ctx context.Context, s Scope, dn string, limit int) (g GroupMembers, err error) {
	if err := s.whole(); err != nil {
		return g, err
	}
	if g.Group, err = a.Directory.Group(ctx, dn); err == nil {
		g.Members, g.Total, err = a.Directory.Members(ctx, dn, limit)
	}
	if err != nil {
		return g, lookup(err, "group", "read the group "+plaintext.Quote(dn), "copy the group's DN")
	}
	return g, nil
}

// Stops says of mappings when they stop, as far as they are patterns without a group base. named notes that an
// administrator who can give them one is shown this, at a place (store.NoticeInConsole, store.NoticeByCheck).
func (a Mappings) Stops(ctx context.Context, s Scope, list []store.Mapping, named bool, place,
	actor string) (ends map[int64]mapping.Stop, err error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	if named {
		ends, err = a.Rules.NamePatterns(ctx, list, place, actor)
	} else {
		ends, err = a.Rules.PatternStops(ctx, list)
	}
	if err != nil {
		return ends, fmt.Errorf("read when patterns without a group base stop: %w", err)
	}
	return ends, nil
}
