package idp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

const (
	resolveEvery = time.Minute // between tries of what did not resolve
	recheckRound = 10          // of those rounds, one asks for all groups again
)

// GroupUse is a group that the console or service providers name by a DN, and what is known of it.
type GroupUse struct {
	Written string   // the DN as somebody wrote it
	By      []string // "console:admin", "self_service", or the entityID of a service provider
	// Known is the directory's answer; without Resolved there was none yet, and the group gives nobody anything.
	Known    store.NamedGroup
	Resolved bool
	Fault    string // of this round: why it could not be resolved or looked at again
}

// Action says what an administrator should know or do about it, "" for nothing.
func (u GroupUse) Action() string {
	switch {
	case !u.Resolved && u.Fault != "":
		return "not found, gives nobody access: " + u.Fault
	case !u.Resolved:
		return "not resolved yet, gives nobody access"
	case u.Known.OtherID != "":
		return fmt.Sprintf("this DN now belongs to another group (id %s, before %s), which is refused until it is accepted",
			u.Known.OtherID, u.Known.ID)
	case !u.Known.GoneAt.IsZero():
		return "no group has this DN any more; the group with id " + u.Known.ID + " still counts"
	case u.Known.ID == "":
		return "the directory shows no id for this group: whoever can create a group with this DN gets its rights"
	}
	return ""
}

// groupIn tells whether a person's group is the one that is named by a DN: id against id, never name against name. A DN
// that is not resolved names none.
func (c *config) groupIn(g directory.Group, written string) bool {
	known, ok := c.groups[written]
	if !ok {
		return false
	}
	if known.ID == "" {
		// The directory shows no ids. Its own spelling is compared byte for byte, since every folding would be a guess at its
		// rules.
		return g.ID == "" && g.DN == known.DN
	}
	return g.ID == known.ID
}

// groupOf is the first of a person's groups that is among those named.
func (c *config) groupOf(e directory.Entry, named []string) (directory.Group, bool) {
	for _, g := range e.Groups {
		if slices.ContainsFunc(named, func(written string) bool { return c.groupIn(g, written) }) {
			return g, true
		}
	}
	return directory.Group{}, false
}

// InGroups tells whether a person is in one of the groups of a service provider, as a sign-in there would decide it.
func (p *IdP) InGroups(ctx context.Context, e directory.Entry, named []string) (bool, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return false, err
	}
	_, in := c.groupOf(e, named)
	return in, nil
}

// readGroups reads the named groups into c, and asks for those to be resolved that are not.
func (p *IdP) readGroups(ctx context.Context, c *config) error {
	all, err := p.o.Groups.List(ctx)
	if err != nil {
		return fmt.Errorf("read named groups: %w", err)
	}
	c.groups = make(map[string]store.NamedGroup, len(all))
	for _, g := range all {
		c.groups[g.Written] = g
	}
	for _, u := range p.groupUses(c) {
		if !u.Resolved {
			select {
			case p.unresolved <- struct{}{}:
			default:
			}
			break
		}
	}
	return nil
}

// groupUses lists the groups that are named anywhere, in a fixed order.
func (p *IdP) groupUses(c *config) []GroupUse {
	by := map[string][]string{}
	for written, role := range p.roles {
		by[written] = append(by[written], "console:"+role.String())
	}
	for _, written := range p.o.SelfService.Groups {
		by[written] = append(by[written], "self_service")
	}
	for _, sp := range c.order {
		for _, written := range sp.Groups {
			by[written] = append(by[written], sp.EntityID)
		}
	}
	uses := make([]GroupUse, 0, len(by))
	for written, users := range by {
		known, ok := c.groups[written]
		slices.Sort(users)
		uses = append(uses, GroupUse{Written: written, By: users, Known: known, Resolved: ok})
	}
	slices.SortFunc(uses, func(a, b GroupUse) int {
		if a.By[0] != b.By[0] {
			if a.By[0] < b.By[0] {
				return -1
			}
			return 1
		}
		if a.Written < b.Written {
			return -1
		}
		return 1
	})
	return uses
}

// Groups lists the groups that the console and service providers name, without asking the directory.
func (p *IdP) Groups(ctx context.Context) ([]GroupUse, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	return p.groupUses(c), nil
}

// ResolveGroups asks the directory for each group that is named by a DN, and stores what has changed. With newOnly
// those that are resolved are left alone. With the directory down it ends early: what is known goes on by the ids that
// are stored.
func (p *IdP) ResolveGroups(ctx context.Context, newOnly bool) ([]GroupUse, error) {
	uses, err := p.Groups(ctx)
	if err != nil {
		return nil, err
	}
	for i := range uses {
		u := &uses[i]
		if u.Resolved && newOnly {
			continue
		}
		down, err := p.resolveGroup(ctx, u)
		if err != nil {
			return uses, err
		}
		if down {
			for ; i < len(uses); i++ {
				uses[i].Fault = u.Fault
			}
			break
		}
	}
	return uses, nil
}

// resolveGroup asks for one. down: the directory does not answer.
func (p *IdP) resolveGroup(ctx context.Context, u *GroupUse) (down bool, err error) {
	found, err := p.o.Directory.Group(ctx, u.Written)
	var problem *directory.Error
	switch {
	case errors.As(err, &problem) && problem.Problem == directory.BadData:
		u.Fault = err.Error()
	case err != nil:
		u.Fault = "the directory does not answer"
		return true, nil
	}
	was := u.Known
	if !u.Resolved {
		if u.Fault != "" {
			return false, nil
		}
		u.Known = store.NamedGroup{Written: u.Written, ID: found.ID, DN: found.DN, ResolvedAt: p.o.Now()}
		if err := p.o.Groups.Resolve(ctx, u.Known, p.groupEvent("group-resolved", "ok", "", u)); err != nil {
			return false, fmt.Errorf("resolve the group %q: %w", u.Written, err)
		}
		u.Resolved = true
		if found.ID == "" {
			p.o.Logger.Warn("the directory shows no id for a group, so its DN decides", "group", u.Written, "by", u.By)
		}
		return false, nil
	}
	action := "group-found"
	switch {
	case u.Fault != "":
		action = "group-gone"
		u.Known.OtherID, u.Known.OtherDN = "", ""
		if u.Known.GoneAt.IsZero() {
			u.Known.GoneAt = p.o.Now()
		}
	case found.ID == was.ID, was.ID == "" && found.DN == was.DN:
		// The same group; an id that is shown for the first time is taken, or its people would be locked out.
		u.Known = store.NamedGroup{Written: was.Written, ID: found.ID, DN: found.DN, ResolvedAt: was.ResolvedAt}
	case found.ID == "":
		u.Fault = "the directory does not show the id of this group any more; let the service account read it"
		return false, nil
	default:
		// Another group has taken the name, by a reload of the directory or by somebody who may create groups. It gets
		// nothing.
		action = "group-replaced"
		u.Known.OtherID, u.Known.OtherDN, u.Known.GoneAt = found.ID, found.DN, time.Time{}
	}
	if u.Known == was {
		return false, nil
	}
	outcome := "ok"
	if action == "group-replaced" {
		outcome = "refused"
	}
	if action != "group-found" {
		p.o.Logger.Warn("a group that is named by its DN needs attention", "group", u.Written, "by", u.By, "what", u.Action())
	}
	if err := p.o.Groups.Note(ctx, was, u.Known, p.groupEvent(action, outcome, "", u)); err != nil {
		return false, fmt.Errorf("note the group %q: %w", u.Written, err)
	}
	return false, nil
}

// groupEvent is the audit event of something that became known of a group.
func (p *IdP) groupEvent(action, outcome, actor string, u *GroupUse) store.Event {
	if actor == "" {
		actor = "worker"
	}
	raw := store.DetailOf(map[string]any{
		"group": u.Written, "by": u.By, "id": u.Known.ID, "dn": u.Known.DN, "other_id": u.Known.OtherID,
	})
	return store.Event{At: p.o.Now(), Actor: actor, Action: action, Subject: "group", Outcome: outcome, Detail: raw}
}

// ErrGroupChanged says that a DN does not name the group that was shown.
var ErrGroupChanged = errors.New("the DN does not name this group now; look at it again")

// AcceptGroup lets the group that a DN names now take the place of the one that it named before. id is the new group's,
// as the administrator was shown it; the directory is asked again at this moment.
func (p *IdP) AcceptGroup(ctx context.Context, written, id string, e store.Event) error {
	uses, err := p.ResolveGroups(ctx, false)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(uses, func(u GroupUse) bool { return u.Written == written })
	if i < 0 {
		return fmt.Errorf("accept the group %q: nothing names it: %w", written, store.ErrNotFound)
	}
	u := uses[i]
	if u.Fault != "" {
		return fmt.Errorf("accept the group %q: %s: %w", written, u.Fault, ErrGroupChanged)
	}
	if id == "" || u.Known.OtherID != id {
		return fmt.Errorf("accept the group %q: %w", written, ErrGroupChanged)
	}
	event := p.groupEvent("group-accept", "ok", e.Actor, &u)
	event.Ref, event.Address = e.Ref, e.Address
	if err := p.o.Groups.Accept(ctx, written, id, event); err != nil {
		if errors.Is(err, store.ErrConflict) {
			err = ErrGroupChanged
		}
		return fmt.Errorf("accept the group %q: %w", written, err)
	}
	return nil
}

// RunGroups resolves groups until ctx ends: new ones as soon as something needs them, and what did not resolve once a
// minute.
func (p *IdP) RunGroups(ctx context.Context) error {
	tick := time.NewTicker(resolveEvery)
	defer tick.Stop()
	for round := 1; ; {
		newOnly := true
		select {
		case <-ctx.Done():
			return nil
		case <-p.unresolved:
		case <-tick.C:
			newOnly = round%recheckRound != 0
			round++
		}
		if _, err := p.ResolveGroups(ctx, newOnly); err != nil && ctx.Err() == nil {
			p.o.Logger.Warn("the groups that configuration and service providers name were not resolved; tried again in a minute", "error", err)
		}
	}
}
