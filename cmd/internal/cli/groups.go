package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type consoleCmd struct {
	Groups consoleGroupsCmd `cmd:"" help:"The groups that give access to the console and to service providers."`
}

type consoleGroupsCmd struct {
	List   groupsListCmd   `cmd:"" help:"Ask the directory for these groups and list them."`
	Accept groupsAcceptCmd `cmd:"" help:"Accept another group that now has the DN of a configured one."`
}

type groupsListCmd struct{ asJSON }

// Help is shown by console groups list --help.
func (groupsListCmd) Help() string {
	return `The configuration and service providers name groups by DN. Each DN is looked up in the directory once; the group's id decides from then on, so a renamed group keeps its rights, and another group that gets the name has none.

Example:

    ssobridge console groups list`
}

// Run lists them.
func (c groupsListCmd) Run(s *invocation, p *server.App) error {
	groups, err := p.NamedGroups().List(s.ctx, s.scope(), true)
	if err != nil {
		return err
	}
	t := s.table(c.asJSON, "GROUP", "GIVES ACCESS TO", "ID", "STATE")
	for _, g := range groups {
		t.row(jsonGroup{g.Written, g.By, g.Known.ID, g.Problem}, g.Written, strings.Join(g.By, ", "), dash(g.Known.ID),
			cmp.Or(g.Problem, "OK"))
	}
	return t.end()
}

// jsonGroup is a group that gives access as JSON.
type jsonGroup struct {
	DN      string   `json:"dn"`
	Gives   []string `json:"gives_access_to"`
	ID      string   `json:"id,omitempty"`
	Problem string   `json:"problem,omitempty"` // none: it is as it was looked up
}

type groupsAcceptCmd struct {
	asJSON

	Group string `arg:"" help:"The DN as console groups list shows it."`
	Yes   bool   `help:"Do not ask."`
}

// Help is shown by console groups accept --help.
func (groupsAcceptCmd) Help() string {
	return `After an organizational unit was rebuilt or the directory reloaded, a group has its old DN and a new id. It has no access until you accept it here. Look at its members first: somebody who may create groups can give any group this name.

Example:

    ssobridge console groups accept "cn=sso-admins,ou=groups,dc=example,dc=com"`
}

// Run accepts it.
func (c *groupsAcceptCmd) Run(s *invocation, p *server.App) error {
	groups := p.NamedGroups()
	g, err := groups.Waiting(s.ctx, s.scope(), c.Group)
	if err != nil {
		return err
	}
	s.printChange(*g.Changed)
	if err := s.confirm(c.Yes, false, fmt.Sprintf("Give the group with id %s the access of %s (%s)?", g.Known.OtherID,
		c.Group, strings.Join(g.By, ", "))); err != nil {
		return err
	}
	if err := groups.Accept(s.ctx, s.scope(), c.Group, g.Known.OtherID, s.event("", "")); err != nil {
		return err
	}
	s.printf("accepted the group with id %s\n", g.Known.OtherID)
	return s.object(jsonGroup{DN: c.Group, Gives: g.By, ID: g.Known.OtherID})
}

// seenLine says in words which group has an id, and who is in it.
func seenLine(g directory.SeenGroup) string {
	text := fmt.Sprintf("id %s, %s", cmp.Or(g.ID, "none"), g.DN)
	switch {
	case g.Gone:
		return fmt.Sprintf("id %s, last seen as %s, no longer in the directory", g.ID, g.DN)
	case g.Unlisted:
		return text + ", members unknown: the directory does not list them"
	case g.Total == 0:
		return text + ", no direct members"
	}
	names := make([]string, 0, len(g.Members))
	for _, m := range g.Members {
		names = append(names, m.Name)
	}
	text += fmt.Sprintf(", %d direct members: %s", g.Total, strings.Join(names, ", "))
	if g.Total > len(names) {
		text += ", …"
	}
	return text
}

// printChange shows the group that had a name and the one that has it now.
func (s *invocation) printChange(change directory.GroupChange) {
	s.printf("before: %s\nnow:    %s\n", seenLine(change.Before), seenLine(change.Now))
}

// resolveWritten asks for groups that a command has just named, and says what came of it. The command has done its
// work: what does not resolve now is tried again by the server.
func resolveWritten(p *server.App, s *invocation, groups []string) {
	if len(groups) == 0 {
		return
	}
	uses, err := p.IdP.ResolveGroups(s.ctx, true)
	if err != nil {
		s.warn("the groups were not looked up: %v", err)
		return
	}
	for _, u := range uses {
		for _, g := range groups {
			if act := u.Action(); u.Written == g && act != "" {
				s.warn("group %s: %s", g, act)
			}
		}
	}
}

type mappingAcceptGroupCmd struct {
	asJSON

	ID  int64 `arg:"" name:"id" help:"The number that mapping list shows."`
	Yes bool  `help:"Do not ask."`
}

// Help is shown by mapping accept-group --help.
func (mappingAcceptGroupCmd) Help() string {
	return `A mapping keeps its group by the group's id. After a group was deleted and made again under the same DN, the new one has no access until you accept it here. Look at its members first.

Example:

    ssobridge mapping accept-group 7`
}

// Run accepts the group.
func (c *mappingAcceptGroupCmd) Run(s *invocation, p *server.App) error {
	m, change, err := p.Mappings().OtherGroup(s.ctx, admin.Everything(), c.ID)
	if err != nil {
		return err
	}
	s.printChange(change)
	if err := s.confirm(c.Yes, false, fmt.Sprintf("Give the group with id %s the access of mapping %d?", change.Now.ID,
		m.ID)); err != nil {
		return err
	}
	if err := p.Mappings().AcceptGroup(s.ctx, admin.Everything(), m.ID, change.Now.ID, actor(s.environ)); err != nil {
		return err
	}
	s.printf("mapping %d is for the group with id %s\n", m.ID, change.Now.ID)
	m.GroupID = change.Now.ID
	return s.object(toJSONMapping(m))
}

// checkGroups asks for the groups that are named by DN and looks for those whose name was taken by another.
func checkGroups(ctx context.Context, r *findings, p *server.App) {
	uses, err := p.IdP.ResolveGroups(ctx, false)
	if err != nil {
		r.fail("groups", err, "")
		return
	}
	for _, u := range uses {
		step, act := "group "+u.Written+" ("+strings.Join(u.By, ", ")+")", u.Action()
		switch {
		case u.Known.OtherID != "":
			r.fail(step, act,
				"look at both groups and accept the new one: ssobridge console groups accept "+plaintext.Quote(u.Written))
		case act != "":
			r.warn(step, act, "compare the DN with the directory; ssobridge console groups list shows all")
		case u.Fault != "":
			r.warn(step, u.Fault, "")
		default:
			r.ok(step, "id "+u.Known.ID)
		}
	}
	list, err := p.Provisioning.ListMappings(ctx)
	if err != nil {
		return // checkMappings says so
	}
	replaced, err := p.Mappings().Replaced(ctx, list)
	if err != nil {
		r.warn("groups of mappings", err.Error(), "")
		return
	}
	for _, m := range list {
		if m.Kind == store.GroupMapping && m.GroupID == "" {
			r.warn(fmt.Sprintf("mapping %d", m.ID), "its group is known by DN alone, so whoever can create a group with this "+
				"DN gets its access",
				"let the service account read "+cmp.Or(p.Config.Directory.GroupIDAttribute, "the id")+
					" of groups, then add the mapping again: "+mapping.Describe(m))
		}
		if g, ok := replaced[m.ID]; ok {
			r.fail(fmt.Sprintf("mapping %d", m.ID), fmt.Sprintf("its DN %s now belongs to another group (id %s, before %s), "+
				"which is refused", m.GroupDN, g.ID, m.GroupID),
				fmt.Sprintf("look at both groups and accept the new one: ssobridge mapping accept-group %d", m.ID))
		}
	}
}
