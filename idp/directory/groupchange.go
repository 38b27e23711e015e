package directory

import (
	"context"
	"errors"
)

// maxShownMembers bounds the names that are shown of a group's members.
const maxShownMembers = 10

// SeenGroup is a group as somebody is shown it who decides about it.
type SeenGroup struct {
	ID, DN string // the DN as last seen
	Gone   bool   // it is no longer in the directory
	// Members are its first direct members, of Total. Unlisted: the directory did not say who is in it.
	Members  []Member
	Total    int
	Unlisted bool
}

// GroupChange is the group that had a name, and the one that has it now.
type GroupChange struct{ Before, Now SeenGroup }

// CompareGroups reads both groups and their members. What can't be read is left out and said so: whoever decides has to
// see the difference between a group without members and one that nobody could look into.
func (d *Directory) CompareGroups(ctx context.Context, wasID, wasDN string, now Group) GroupChange {
	before := SeenGroup{ID: wasID, DN: wasDN, Unlisted: true}
	if wasID != "" {
		was, err := d.GroupByID(ctx, wasID)
		switch {
		case err == nil:
			before = d.seen(ctx, was)
		case errors.Is(err, ErrNotFound):
			before.Gone = true
		}
	}
	return GroupChange{Before: before, Now: d.seen(ctx, now)}
}

func (d *Directory) seen(ctx context.Context, g Group) SeenGroup {
	seen := SeenGroup{ID: g.ID, DN: g.DN}
	var err error
	seen.Members, seen.Total, err = d.Members(ctx, g.DN, maxShownMembers)
	seen.Unlisted = err != nil
	return seen
}
