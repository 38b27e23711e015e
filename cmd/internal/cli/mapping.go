package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type mappingCmd struct {
	Add         mappingAddCmd         `cmd:"" help:"Add a mapping."`
	List        mappingListCmd        `cmd:"" help:"List all mappings."`
	Set         mappingSetCmd         `cmd:"" help:"Change account, role, priority of a mapping, or when its users are created."`
	Exchange    mappingExchangeCmd    `cmd:"" help:"Give two mappings each other's priority."`
	Off         mappingOffCmd         `cmd:"" help:"Switch a mapping off: it is kept, and gives nobody anything."`
	On          mappingOnCmd          `cmd:"" help:"Switch a mapping on again."`
	Remove      mappingRemoveCmd      `cmd:"" help:"Remove a mapping."`
	History     mappingHistoryCmd     `cmd:"" help:"Show what a mapping was, and who changed it."`
	AcceptGroup mappingAcceptGroupCmd `cmd:"" help:"Accept another group that now has the DN of the mapped one."`
	Return      mappingReturnCmd      `cmd:"" help:"Make a mapping what it was."`
	Export      mappingExportCmd      `cmd:"" help:"Write all mappings as a file for plan and apply."`
	Plan        mappingPlanCmd        `cmd:"" help:"Show what a file of mappings would change, and for whom."`
	Apply       mappingApplyCmd       `cmd:"" help:"Make a file of mappings the ones that hold."`
}

type mappingAddCmd struct {
	asJSON

	Group            string `xor:"who" required:"" placeholder:"DN" help:"Members of this group of the directory, or of a group of a source's tokens, written claim:SOURCE:GROUP."`
	GroupPattern     string `xor:"who" required:"" placeholder:"PATTERN" help:"Members of the groups whose name fits, such as ctct-{account}-{role}."`
	AttributePattern string `xor:"who" required:"" placeholder:"ATTR=PATTERN" help:"People with a value of this attribute that fits, such as employeeType=ctct:{account}:{role}."`
	Person           string `xor:"who" required:"" placeholder:"LOGIN" help:"One person."`

	GroupBase  string `placeholder:"DN" help:"With --group-pattern: only groups below this DN count, or those of a source's tokens, written claim:SOURCE. Whoever may create groups there chooses client accounts."`
	Account    string `placeholder:"ID" help:"The client account (encoded_account_id). Left out where a pattern has {account}."`
	Role       string `placeholder:"ROLE" help:"account_manager, campaign_creator, or owner for one person. Left out where a pattern has {role}."`
	Priority   int    `placeholder:"N" help:"Of several mappings to one account the lowest number wins. Default: after all others."`
	Create     string `enum:",in-advance,at-sign-in" default:"" placeholder:"WHEN" help:"When users are created: in-advance by plans, or at-sign-in, which is at each person's first sign-in only. Default: in-advance; at-sign-in for groups of a source's tokens, of whose people plans know those who came once."`
	ExternalID string `placeholder:"TEXT" help:"With --role owner: the external_id by which Constant Contact knows the owner."`
	Unchecked  bool   `name:"unlisted" aliases:"unchecked" help:"Accept an account that Constant Contact does not list (yet)."`
	Preview    bool   `help:"Show what would change for whom, and save nothing."`
}

// Help is shown by mapping add --help.
func (mappingAddCmd) Help() string {
	return `A group is kept by its immutable id: it may be renamed or moved. The role is given when a person's Constant Contact user is made; it can't be changed by API afterwards.

Examples:

    ssobridge mapping add --group "cn=marketing,ou=groups,dc=example,dc=com" --account a07e1lxqqqo0 --role campaign_creator

    ssobridge mapping add --group-pattern "ctct-{account}-{role}" --group-base "ou=ctct,ou=groups,dc=example,dc=com"

    ssobridge mapping add --group claim:portal:editors --account a07e1lxqqqo0 --role campaign_creator

    ssobridge mapping add --group-pattern "ctct-{account}-{role}" --group-base claim:portal

    ssobridge mapping add --attribute-pattern "employeeType=ctct:{account}" --role account_manager

    ssobridge mapping add --group-pattern "seldom-{account}-{role}" --group-base "ou=seldom,ou=groups,dc=example,dc=com" --create at-sign-in

    ssobridge mapping add --person alice --account a07e1lxqqqo0 --role owner --external-id 4711`
}

// Run adds one mapping.
func (c *mappingAddCmd) Run(s *invocation, p *server.App) error {
	in := admin.MappingInput{
		Input: mapping.Input{
			Group: c.Group, GroupPattern: c.GroupPattern, AttributePattern: c.AttributePattern, Person: c.Person,
			GroupBase: c.GroupBase, Account: c.Account, Role: c.Role, Priority: c.Priority, Create: c.Create,
		},
		ExternalID: c.ExternalID, Unlisted: c.Unchecked,
	}
	if c.Preview {
		draft, err := p.Mappings().Draft(s.ctx, admin.Everything(), in, actor(s.environ))
		if err != nil {
			return err
		}
		return showEffects(p, s, 0, draft.Change)
	}
	m, err := p.Mappings().Add(s.ctx, admin.Everything(), in, actor(s.environ))
	if err != nil {
		return err
	}
	primary := p.Mappings().PrimaryRisk(s.ctx, m)
	if c.JSON {
		object := toJSONMapping(m)
		object.Warning = cmp.Or(mapping.Risk(m), primary)
		return s.object(object)
	}
	s.printf("added mapping %d: %s\n", m.ID, describeMapping(m))
	if risk := mapping.Risk(m); risk != "" {
		s.warn("%s", risk)
	}
	if primary != "" {
		s.warn("%s", primary)
	}
	return nil
}

type mappingListCmd struct{ asJSON }

// Help is shown by mapping list --help.
func (mappingListCmd) Help() string {
	return "As JSON each has the number of people to whom it gave a client account at the last plan, and when that was.\n\n" +
		"Example:\n\n    ssobridge mapping list"
}

// Run lists the mappings, the one that wins first.
func (c mappingListCmd) Run(s *invocation, p *server.App) error {
	list, err := p.Mappings().List(s.ctx, admin.Everything())
	if err != nil {
		return err
	}
	ends, err := p.Provisioning.PatternStops(s.ctx, list)
	if err != nil {
		return err
	}
	counted, err := p.Mappings().MappedPeople(s.ctx, admin.Everything())
	if err != nil {
		return err
	}
	t := s.table(c.asJSON, "ID", "PRIORITY", "WHO", "ACCOUNT", "ROLE", "CREATES", "BY")
	for _, m := range list {
		object := toJSONMapping(m)
		if stop, ok := ends[m.ID]; ok {
			object.Warning = mapping.StopText(stop)
		}
		if n, known := counted.People[m.ID]; known {
			object.People, object.PeopleAt = &n, &counted.At
		}
		if m.Off {
			m.CreatedBy += " (off)"
		}
		t.row(object, m.ID, m.Priority, mapping.Describe(m), cmp.Or(string(m.Account), "{account}"),
			cmp.Or(string(m.Role), "{role}"), mapping.Creates(m), m.CreatedBy)
	}
	if err := t.end(); err != nil || c.JSON {
		return err
	}
	for _, m := range list {
		if stop, ok := ends[m.ID]; ok {
			s.warn("mapping %d has no group base: %s", m.ID, mapping.StopText(stop))
		}
	}
	return nil
}

// jsonMapping is a mapping as JSON.
type jsonMapping struct {
	ID        int64           `json:"id"`
	Priority  int             `json:"priority"`
	Kind      string          `json:"kind"`
	Who       string          `json:"who"`
	GroupDN   string          `json:"group_dn,omitempty"`
	GroupID   string          `json:"group_id,omitempty"`
	Pattern   string          `json:"pattern,omitempty"`
	Attribute string          `json:"attribute,omitempty"`
	Person    store.PersonID  `json:"person_id,omitempty"`
	Account   store.AccountID `json:"account,omitempty"` // none: the pattern has it
	Role      store.Role      `json:"role,omitempty"`    // likewise
	Off       bool            `json:"off,omitempty"`
	AtSignIn  bool            `json:"at_sign_in,omitempty"`
	// of an owner's user, where a mapping is about to tell it
	ExternalID string `json:"external_id,omitempty"`
	CreatedBy  string `json:"created_by"`
	Warning    string `json:"warning,omitempty"`
	// People to whom it gave a client account at the last plan, and when that was; none where no plan knows it.
	People   *int       `json:"people,omitempty"`
	PeopleAt *time.Time `json:"people_at,omitempty"`
}

func toJSONMapping(m store.Mapping) jsonMapping {
	return jsonMapping{
		ID: m.ID, Priority: m.Priority, Kind: m.Kind, Who: mapping.Describe(m), GroupDN: m.GroupDN, GroupID: m.GroupID,
		Pattern:   m.Pattern,
		Attribute: m.Attribute, Person: m.Person, Account: m.Account, Role: m.Role, Off: m.Off, AtSignIn: m.AtSignIn,
		CreatedBy: m.CreatedBy,
	}
}

type mappingRemoveCmd struct {
	asJSON

	ID      string `arg:"" name:"id" help:"The number that mapping list shows."`
	Preview bool   `help:"Show what would change for whom, and remove nothing."`
}

// Help is shown by mapping remove --help.
func (mappingRemoveCmd) Help() string {
	return `Whoever had access by this mapping alone can't sign in any more, at once. Their Constant Contact user stays: it can't be deleted by API, and a password that it has still works there.

Example:

    ssobridge mapping remove 7`
}

// Run removes one mapping.
func (c *mappingRemoveCmd) Run(s *invocation, p *server.App) error {
	id, err := strconv.ParseInt(c.ID, 10, 64)
	if err != nil {
		return badInput(fmt.Errorf("mapping %s: not a number", plaintext.Quote(c.ID)),
			"ssobridge mapping list shows the numbers")
	}
	edit, err := p.Mappings().Remove(s.ctx, admin.Everything(), id)
	if err != nil {
		return err
	}
	if c.Preview {
		return showEffects(p, s, id, edit.Change)
	}
	if err := p.Mappings().Save(s.ctx, admin.Everything(), edit, actor(s.environ)); err != nil {
		return err
	}
	s.printf("removed mapping %d\n", id)
	return s.object(toJSONChange(id, edit.Change, true))
}

func describeMapping(m store.Mapping) string {
	if m.Off {
		m.Off = false
		return describeMapping(m) + " (off)"
	}
	text := fmt.Sprintf("%s -> account %s, role %s, priority %d", mapping.Describe(m), cmp.Or(string(m.Account),
		"{account}"), cmp.Or(string(m.Role), "{role}"), m.Priority)
	if m.AtSignIn {
		text += ", users created at their first sign-in only"
	}
	return text
}
