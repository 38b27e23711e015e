package cli

import (
	"errors"
	"fmt"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// mappingEdit is what the commands that change one mapping have in common.
type mappingEdit struct {
	asJSON

	ID      int64 `arg:"" name:"id" help:"The number that mapping list shows."`
	Preview bool  `help:"Show what would change for whom, and change nothing."`
}

// edit drafts a change, and shows or stores it. done is what is printed then, about the mapping.
func (c *mappingEdit) edit(s *invocation, p *server.App, done string, draft func(admin.Mappings) (admin.MappingEdit,
	error)) (err error) {
	e, err := draft(p.Mappings())
	if err != nil {
		return err
	}
	if c.Preview {
		return showEffects(p, s, e.ID, e.Change)
	}
	if err := p.Mappings().Save(s.ctx, admin.Everything(), e, actor(s.environ)); err != nil {
		return err
	}
	s.printf("mapping %d "+done+"\n", e.ID)
	if !s.json {
		return nil
	}
	m, err := p.Mappings().Get(s.ctx, admin.Everything(), e.ID)
	if err != nil {
		return err
	}
	return s.object(toJSONMapping(m))
}

type mappingOffCmd struct{ mappingEdit }

// Help is shown by mapping off --help.
func (mappingOffCmd) Help() string {
	return "Whoever had access by this mapping alone can't sign in any more, at once. It keeps its number and its " +
		"place.\n\nExample:\n\n    ssobridge mapping off 7"
}

// Run switches it off.
func (c *mappingOffCmd) Run(s *invocation, p *server.App) error {
	return c.edit(s, p, "is off", func(a admin.Mappings) (admin.MappingEdit, error) {
		return a.Switch(s.ctx, admin.Everything(), c.ID, true)
	})
}

type mappingOnCmd struct{ mappingEdit }

// Help is shown by mapping on --help.
func (mappingOnCmd) Help() string { return "Example:\n\n    ssobridge mapping on 7" }

// Run switches it on.
func (c *mappingOnCmd) Run(s *invocation, p *server.App) error {
	return c.edit(s, p, "is on", func(a admin.Mappings) (admin.MappingEdit, error) {
		return a.Switch(s.ctx, admin.Everything(), c.ID, false)
	})
}

type mappingSetCmd struct {
	mappingEdit

	GroupBase string `placeholder:"DN" help:"Of a pattern of group names: only groups below this DN count."`
	Account   string `placeholder:"ID" help:"Another client account."`
	Role      string `placeholder:"ROLE" help:"Another role: account_manager or campaign_creator. Users that exist keep theirs."`
	Priority  int    `placeholder:"N" help:"Another priority: of several mappings to one account the lowest number wins."`
	Create    string `enum:",in-advance,at-sign-in" default:"" placeholder:"WHEN" help:"When users are created: in-advance by plans, or at-sign-in, which is at each person's first sign-in only."`
	Unchecked bool   `name:"unlisted" aliases:"unchecked" help:"Accept an account that Constant Contact does not list (yet)."`
}

// Help is shown by mapping set --help.
func (mappingSetCmd) Help() string {
	return "What is not given stays as it is. Whom a mapping is for can't be changed: add another one.\n\nExamples:\n\n " +
		"   ssobridge mapping set 7 --priority 5\n\n    ssobridge mapping set 7 --role account_manager --preview\n\n    " +
		"ssobridge mapping set 7 --create at-sign-in"
}

// Run changes it.
func (c *mappingSetCmd) Run(s *invocation, p *server.App) error {
	if c.GroupBase == "" && c.Account == "" && c.Role == "" && c.Priority == 0 && c.Create == "" {
		return badInput(errors.New("nothing is to be changed"),
			"give --group-base, --account, --role, --priority or --create")
	}
	return c.edit(s, p, "is changed", func(a admin.Mappings) (admin.MappingEdit, error) {
		change := admin.MappingChanges{
			GroupBase: given(c.GroupBase), Account: given(c.Account), Role: given(c.Role), Create: given(c.Create),
			Priority: given(c.Priority),
			Unlisted: c.Unchecked,
		}
		return a.Set(s.ctx, admin.Everything(), c.ID, change)
	})
}

// given is the value of a flag; nil where it was left out.
func given[T comparable](value T) *T {
	var none T
	if value == none {
		return nil
	}
	return &value
}

type mappingExchangeCmd struct {
	mappingEdit

	Other int64 `arg:"" help:"The number of the other mapping."`
}

// Help is shown by mapping exchange --help.
func (mappingExchangeCmd) Help() string {
	return "Of several mappings to one account the lowest priority number wins. Two that would clash on the way take " +
		"each other's in one step.\n\nExample:\n\n    ssobridge mapping exchange 7 3 --preview"
}

// Run exchanges them.
func (c *mappingExchangeCmd) Run(s *invocation, p *server.App) error {
	return c.edit(s, p, fmt.Sprintf("and mapping %d have each other's priority", c.Other),
		func(a admin.Mappings) (admin.MappingEdit, error) {
			return a.Exchange(s.ctx, admin.Everything(), c.ID, c.Other)
		})
}

type mappingHistoryCmd struct {
	asJSON

	ID    int64 `arg:"" optional:"" name:"id" help:"The number of the mapping, also of one that was removed. Default: all."`
	Limit int   `default:"50" help:"At most so many entries, up to 1000."`
}

// Help is shown by mapping history --help.
func (mappingHistoryCmd) Help() string { return "Example:\n\n    ssobridge mapping history 7" }

// Run shows it, the newest entry first.
func (c *mappingHistoryCmd) Run(s *invocation, p *server.App) error {
	if c.Limit < 1 || c.Limit > 1000 {
		return badInput(fmt.Errorf("--limit %d is out of range", c.Limit), "write 1 to 1000")
	}
	list, err := p.Mappings().History(s.ctx, admin.Everything(), c.ID, 0, c.Limit)
	if err != nil {
		return err
	}
	if len(list) == 0 && c.ID != 0 {
		// One that was added before there was a history has none until it is changed.
		if _, err := p.Mappings().Get(s.ctx, admin.Everything(), c.ID); errors.Is(err, store.ErrNotFound) {
			return badInput(fmt.Errorf("there is no mapping %d, and there was none", c.ID),
				"ssobridge mapping history shows all entries")
		} else if err != nil {
			return err
		}
	}
	t := s.table(c.asJSON, "ENTRY", "MAPPING", "WHEN", "WHAT", "BY", "STATE")
	for _, v := range list {
		t.row(jsonMappingEntry{v.ID, v.At, v.What, v.By, toJSONMapping(v.State)},
			v.ID, v.State.ID, v.At.UTC().Format(time.DateTime), v.What, v.By, describeMapping(v.State))
	}
	return t.end()
}

// jsonMappingEntry is an entry of the history of mappings as JSON.
type jsonMappingEntry struct {
	Entry   int64       `json:"entry"`
	At      time.Time   `json:"at"`
	What    string      `json:"what"`
	By      string      `json:"by"`
	Mapping jsonMapping `json:"mapping"`
}

type mappingReturnCmd struct {
	asJSON

	Entry   int64 `arg:"" help:"The entry that mapping history shows."`
	Preview bool  `help:"Show what would change for whom, and change nothing."`
}

// Help is shown by mapping return --help.
func (mappingReturnCmd) Help() string {
	return "The mapping becomes what the entry says, also when it was removed since. That is a change like any other, " +
		"and has its own entry.\n\nExample:\n\n    ssobridge mapping return 12"
}

// Run returns to it.
func (c *mappingReturnCmd) Run(s *invocation, p *server.App) error {
	e := mappingEdit{Preview: c.Preview}
	return e.edit(s, p, fmt.Sprintf("is as entry %d says", c.Entry), func(a admin.Mappings) (admin.MappingEdit, error) {
		return a.Return(s.ctx, admin.Everything(), c.Entry)
	})
}
