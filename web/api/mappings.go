package api

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type mappingRule struct {
	ID        int64           `json:"id" doc:"Its number."`
	Kind      string          `json:"kind" doc:"group, group_pattern, attribute_pattern or person; more can be added."`
	Group     string          `json:"group,omitempty" doc:"DN of the group, as it was last seen."`
	GroupID   string          `json:"group_id,omitempty" doc:"The group's immutable id, which decides."`
	Pattern   string          `json:"pattern,omitempty" doc:"Over names of groups or values of an attribute."`
	GroupBase string          `json:"group_base,omitempty" doc:"DN below which groups count, of a pattern of group names."`
	Attribute string          `json:"attribute,omitempty" doc:"Of an attribute pattern."`
	Person    store.PersonID  `json:"person_id,omitempty" doc:"Of a mapping of one person."`
	Account   store.AccountID `json:"account,omitempty" doc:"The client account; left out where the pattern captures it."`
	Role      store.Role      `json:"role,omitempty" doc:"The role; left out where the pattern captures it."`
	Priority  int             `json:"priority" doc:"The lowest wins."`
	Off       bool            `json:"off" doc:"Switched off: it gives nobody anything."`
	Create    string          `json:"create" doc:"in-advance, or at-sign-in where users are created at their first sign-in only."`
	CreatedAt time.Time       `json:"created_at" doc:"When it was added."`
	CreatedBy string          `json:"created_by" doc:"Who added it, as audit events name them."`
}

func mappingOf(m store.Mapping) mappingRule {
	out := mappingRule{ID: m.ID, Group: m.GroupDN, GroupID: m.GroupID, Attribute: m.Attribute, Pattern: m.Pattern,
		Person: m.Person, Account: m.Account, Role: m.Role, Priority: m.Priority, Off: m.Off,
		Create: mapping.CreateInAdvance, CreatedAt: m.CreatedAt.UTC(), CreatedBy: m.CreatedBy}
	if m.AtSignIn {
		out.Create = mapping.CreateAtSignIn
	}
	switch m.Kind {
	case store.GroupMapping:
		out.Kind = "group"
	case store.GroupPattern:
		out.Kind, out.Group, out.GroupBase = "group_pattern", "", m.GroupDN
	case store.AttributePattern:
		out.Kind = "attribute_pattern"
	default:
		out.Kind = "person"
	}
	return out
}

type mappingID struct {
	ID int64 `path:"id" min:"1" doc:"The mapping's number."`
}

func mappingOperations() []operation {
	const area = "Mappings"
	return []operation{
		serves(operation{
			id: "listMappings", method: http.MethodGet, path: "/mappings", area: area, scope: admin.MappingsRead, confined: true,
			summary: "List mappings", doc: "By their numbers, on or off.",
		}, func(c *call, in paged) (list[mappingRule], error) {
			var after int64
			if err := c.from(in, &after); err != nil {
				return list[mappingRule]{}, err
			}
			all, err := c.api.o.Mappings.List(c.ctx, c.scope())
			if err != nil {
				return list[mappingRule]{}, err
			}
			all = slices.DeleteFunc(all, func(m store.Mapping) bool { return m.ID <= after })
			slices.SortFunc(all, func(a, b store.Mapping) int { return cmp.Compare(a.ID, b.ID) })
			return pageOf(c, in, all, mappingOf, func(m store.Mapping) any { return m.ID })
		}),
		serves(operation{
			id: "getMapping", method: http.MethodGet, path: "/mappings/{id}", area: area, scope: admin.MappingsRead,
			confined: true, summary: "Read a mapping", doc: "Its ETag is what a change names as If-Match.",
		}, func(c *call, in mappingID) (mappingRule, error) {
			m, err := c.api.o.Mappings.Get(c.ctx, c.scope(), in.ID)
			if err != nil {
				return mappingRule{}, err
			}
			return tagged(c, mappingOf(m))
		}),
		serves(operation{
			id: "getMappingFile", method: http.MethodGet, path: "/mapping-file", area: area, scope: admin.MappingsRead,
			summary: "Export the mapping file", doc: "All mappings as YAML, as it can be imported. Its ETag names the whole " +
				"set of mappings, and is what an import names as If-Match.",
		}, func(c *call, _ none) (document, error) {
			// Before the mappings: one that is added meanwhile is in the file, and the ETag is of before.
			version, err := c.api.o.Mappings.Version(c.ctx, c.scope())
			if err != nil {
				return document{}, err
			}
			var b bytes.Buffer
			if err := c.api.o.Mappings.Export(c.ctx, c.scope(), &b); err != nil {
				return document{}, err
			}
			_, err = tagged(c, version)
			return document{"application/yaml", b.Bytes()}, err
		}),
		serves(operation{
			id: "createMapping", method: http.MethodPost, path: "/mappings", area: area, scope: admin.MappingsWrite,
			status: http.StatusCreated, keyed: true, act: "mapping-add", summary: "Add a mapping",
			doc: "Give exactly one of group, group_pattern, attribute_pattern and person. dry_run=true says what would change " +
				"for whom, and stores nothing.",
		}, createMapping),
		serves(operation{
			id: "changeMapping", method: http.MethodPatch, path: "/mappings/{id}", area: area, scope: admin.MappingsWrite,
			edits: true, summary: "Change a mapping",
			doc: "What is left out stays. off switches it off or on, alone. Who it applies to can't be changed. dry_run=true " +
				"says what would change for whom.",
		}, changeMapping),
		serves(operation{
			id: "deleteMapping", method: http.MethodDelete, path: "/mappings/{id}", area: area, scope: admin.MappingsWrite,
			edits: true, summary: "Remove a mapping", doc: "dry_run=true says what would change for whom.",
		}, func(c *call, in struct {
			mappingID
			DryRun bool `query:"dry_run" doc:"true: change nothing."`
		}) (mappingResult, error) {
			e, err := c.api.o.Mappings.Remove(c.ctx, c.scope(), in.ID)
			if err != nil {
				return mappingResult{}, err
			}
			return c.edited(e, in.DryRun)
		}),
		serves(operation{
			id: "putMappingFile", method: http.MethodPut, path: "/mapping-file", area: area, scope: admin.MappingsWrite,
			edits: true, raw: true, maxBody: mapping.MaxFile, summary: "Import a mapping file",
			doc: "The mappings of the file, as YAML, take the place of all that there are. If-Match is the ETag of the mapping " +
				"file as it was read: a mapping that was added, changed or removed since has the import refused (412). " +
				"dry_run=true says what would change for whom; its seen, given back, has any other difference refused.",
		}, putMappingFile),
	}
}

type mappingInput struct {
	Group            string `json:"group,omitempty" maxlen:"1000" doc:"DN of a group."`
	GroupPattern     string `json:"group_pattern,omitempty" maxlen:"300" doc:"Over the names of groups, such as ctct-{account}-{role}."`
	GroupBase        string `json:"group_base,omitempty" maxlen:"1000" doc:"DN below which groups count, of a group pattern."`
	AttributePattern string `json:"attribute_pattern,omitempty" maxlen:"300" doc:"ATTRIBUTE=PATTERN."`
	Person           string `json:"person,omitempty" maxlen:"200" doc:"Login name of one person."`
	Account          string `json:"account,omitempty" maxlen:"100" doc:"The client account; left out where the pattern captures it."`
	Role             string `json:"role,omitempty" enum:"account_manager,campaign_creator,owner" doc:"The role; left out where the pattern captures it."`
	Priority         int    `json:"priority,omitempty" min:"1" max:"1000000" doc:"The lowest wins. Left out: the next free one."`
	Create           string `json:"create,omitempty" enum:"in-advance,at-sign-in" doc:"When users are created; where it is left out in advance, and at the first sign-in over groups of a source's tokens."`
	ExternalID       string `json:"external_id,omitempty" maxlen:"255" doc:"Of the owner's user, with role owner."`
	Off              bool   `json:"off,omitempty" doc:"Add it switched off."`
}

type mappingPatchInput struct {
	Account   *string `json:"account,omitempty" maxlen:"100" doc:"Another client account."`
	Role      *string `json:"role,omitempty" enum:"account_manager,campaign_creator" doc:"Another role."`
	Priority  *int    `json:"priority,omitempty" min:"1" max:"1000000" doc:"Another priority."`
	Create    *string `json:"create,omitempty" enum:"in-advance,at-sign-in" doc:"Another time of creation."`
	GroupBase *string `json:"group_base,omitempty" maxlen:"1000" doc:"Another base of a group pattern."`
	Off       *bool   `json:"off,omitempty" doc:"Switched off or on. Give it alone."`
}

type mappingResult struct {
	DryRun  bool           `json:"dry_run,omitempty" doc:"Nothing was changed."`
	Mapping *mappingRule   `json:"mapping,omitempty" doc:"As it is now, or would be; left out where it is removed."`
	Effects *changeEffects `json:"effects,omitempty" doc:"What would change, with dry_run."`
}

type changeEffects struct {
	People    int            `json:"people" doc:"People who were looked at."`
	Gains     int            `json:"gains" doc:"People who would get access to a client account."`
	Losses    int            `json:"losses" doc:"People who would lose it."`
	Roles     int            `json:"roles" doc:"People whose role would change."`
	Creations int            `json:"creations" doc:"Users whom a plan would create."`
	Examples  []changeEffect `json:"examples" doc:"The first 100."`
}

type changeEffect struct {
	Kind    string          `json:"kind" doc:"gains, loses or role; more can be added."`
	Person  store.PersonID  `json:"person_id" doc:"The person."`
	Login   string          `json:"login" doc:"Their login name."`
	Account store.AccountID `json:"account" doc:"The client account."`
	Before  store.Role      `json:"role_before,omitempty" doc:"The role that they have."`
	After   store.Role      `json:"role_after,omitempty" doc:"The role that they would have."`
}

// maxEffects is how many examples of a change's effects are shown.
const maxEffects = 100

// effects says what a change would mean. It reads the directory.
func (c *call) effects(change mapping.Change) (*changeEffects, error) {
	out := &changeEffects{Examples: []changeEffect{}}
	sum, err := c.api.o.Mappings.Effects(c.ctx, c.scope(), change, func(e provisioning.Effect) error {
		if len(out.Examples) < maxEffects {
			out.Examples = append(out.Examples, changeEffect{e.Kind, e.Person, e.Login, e.Account, e.Before, e.After})
		}
		return nil
	})
	out.People, out.Gains, out.Losses, out.Roles, out.Creations = sum.People, sum.Gains, sum.Losses, sum.Roles,
		sum.Creations
	return out, err
}

func createMapping(c *call, in struct {
	DryRun bool         `query:"dry_run" doc:"true: change nothing."`
	Body   mappingInput `body:"json"`
}) (mappingResult, error) {
	if id, err := strconv.ParseInt(c.made, 10, 64); err == nil && !in.DryRun {
		return c.createdMapping(id) // by a process that has died since
	}
	b := in.Body
	d, err := c.api.o.Mappings.Draft(c.ctx, c.scope(), admin.MappingInput{Input: mapping.Input{Group: b.Group,
		GroupPattern: b.GroupPattern, GroupBase: b.GroupBase, AttributePattern: b.AttributePattern, Person: b.Person,
		Account: b.Account, Role: b.Role, Priority: b.Priority, Create: b.Create, Off: b.Off}, ExternalID: b.ExternalID},
		c.caller.Actor())
	if err != nil {
		return mappingResult{}, err
	}
	if in.DryRun {
		c.status = http.StatusOK
		rule := mappingOf(d.Mapping)
		x, err := c.effects(d.Change)
		return mappingResult{DryRun: true, Mapping: &rule, Effects: x}, err
	}
	m, err := c.api.o.Mappings.AddDraft(c.ctx, c.scope(), d)
	if err != nil {
		return mappingResult{}, err
	}
	return c.createdMapping(m.ID)
}

// createdMapping answers with a mapping that was added, as it is stored.
func (c *call) createdMapping(id int64) (mappingResult, error) {
	m, err := c.api.o.Mappings.Get(c.ctx, c.scope(), id)
	if err != nil {
		return mappingResult{}, err
	}
	rule, err := tagged(c, mappingOf(m))
	c.header.Set("Location", fmt.Sprintf("%s/mappings/%d", Path, m.ID))
	return mappingResult{Mapping: &rule}, err
}

func changeMapping(c *call, in struct {
	mappingID
	DryRun bool              `query:"dry_run" doc:"true: change nothing."`
	Body   mappingPatchInput `body:"json"`
}) (mappingResult, error) {
	b := in.Body
	rest := b
	rest.Off = nil
	var e admin.MappingEdit
	var err error
	switch {
	case b.Off != nil && rest != mappingPatchInput{}:
		return mappingResult{}, invalid([]fault{{"off", "it is given with other changes", "switch it off or on alone"}})
	case b.Off != nil:
		e, err = c.api.o.Mappings.Switch(c.ctx, c.scope(), in.ID, *b.Off)
	case rest == mappingPatchInput{}:
		return mappingResult{}, invalid([]fault{{"", "nothing is to change", "give what shall change"}})
	default:
		e, err = c.api.o.Mappings.Set(c.ctx, c.scope(), in.ID, admin.MappingChanges{GroupBase: b.GroupBase,
			Account: b.Account, Role: b.Role, Priority: b.Priority, Create: b.Create})
	}
	if err != nil {
		return mappingResult{}, err
	}
	return c.edited(e, in.DryRun)
}

// edited stores a change of one mapping that is as its changer has read it, or says what it would come to.
func (c *call) edited(e admin.MappingEdit, dryRun bool) (mappingResult, error) {
	if err := c.matches(mappingOf(e.Was)); err != nil {
		return mappingResult{}, err
	}
	out := mappingResult{DryRun: dryRun}
	if e.Now.ID != 0 {
		rule := mappingOf(e.Now)
		out.Mapping = &rule
	}
	if dryRun {
		var err error
		out.Effects, err = c.effects(e.Change)
		return out, err
	}
	if err := c.api.o.Mappings.Save(c.ctx, c.scope(), e, c.caller.Actor()); err != nil {
		return mappingResult{}, err
	}
	if e.Now.ID == 0 {
		return out, nil
	}
	m, err := c.api.o.Mappings.Get(c.ctx, c.scope(), e.ID)
	if err != nil {
		return mappingResult{}, err
	}
	rule, err := tagged(c, mappingOf(m))
	out.Mapping = &rule
	return out, err
}

type fileResult struct {
	DryRun  bool           `json:"dry_run,omitempty" doc:"Nothing was changed."`
	Added   int            `json:"added" doc:"Mappings that were added."`
	Removed int            `json:"removed" doc:"Mappings that were removed."`
	Kept    int            `json:"kept" doc:"Mappings that stay as they were."`
	Seen    string         `json:"seen" doc:"Names the difference, for the import after a dry run."`
	Effects *changeEffects `json:"effects,omitempty" doc:"What would change for whom, with dry_run."`
}

func putMappingFile(c *call, in struct {
	DryRun bool   `query:"dry_run" doc:"true: change nothing."`
	Seen   string `query:"seen" maxlen:"200" doc:"The seen of a dry run: import no other difference than that one."`
	Body   []byte `body:"file"`
}) (fileResult, error) {
	set, err := c.api.o.Mappings.ReadFile(c.ctx, c.scope(), in.Body, false, c.caller.Actor())
	if err != nil {
		return fileResult{}, err
	}
	// After what was compared: between the two nothing can come that neither has seen.
	version, err := c.api.o.Mappings.Version(c.ctx, c.scope())
	if err != nil {
		return fileResult{}, err
	}
	if err := c.matches(version); err != nil {
		return fileResult{}, err
	}
	out := fileResult{DryRun: in.DryRun, Added: len(set.Add), Removed: len(set.Remove), Kept: len(set.Keep),
		Seen: set.Seen}
	switch {
	case in.Seen != "" && in.Seen != set.Seen:
		p := bad(http.StatusPreconditionFailed, "changed", "the difference is not the one that was looked at", "look at it "+
			"again with dry_run=true")
		p.Field = "seen"
		return fileResult{}, p
	case in.DryRun:
		out.Effects, err = c.effects(set.Change)
		return out, err
	}
	return out, c.api.o.Mappings.Apply(c.ctx, c.scope(), set, c.caller.Actor())
}
