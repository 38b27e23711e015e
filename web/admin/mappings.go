package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Mappings is who gets which client account in which role.
type Mappings struct {
	Rules     *provisioning.Service
	Directory *directory.Directory
	// Reads tells whether an attribute is read from the directory: a pattern over another one would fit nobody.
	Reads func(attribute string) bool
	// Sources are the names of the sources of people beside the directory, whose groups can be mapped.
	Sources []string
}

// MappingInput is a new mapping as an administrator writes it.
type MappingInput struct {
	mapping.Input

	ExternalID string // of the owner's user, with role owner
	Unlisted   bool   // take a client account that no list knows
}

// MappingDraft is a new mapping that was checked. Nothing is stored.
type MappingDraft struct {
	Mapping store.Mapping
	Change  mapping.Change
	Seen    string // names what was drafted, see Mappings.AddDraft

	spec mapping.Spec
}

// List returns the mappings of the caller's client accounts, on or off, in the order in which they count or would.
func (a Mappings) List(ctx context.Context, s Scope) ([]store.Mapping, error) {
	all, err := a.Rules.AllMappings(ctx)
	if err != nil {
		return nil, err
	}
	visible := all[:0]
	for _, m := range all {
		if s.mapping(m) == nil {
			visible = append(visible, m)
		}
	}
	return visible, nil
}

// MappedPeople are how many people each mapping gave a client account at the last plan. Of one that is not in it
// nothing is known: it is younger, or no plan was made.
func (a Mappings) MappedPeople(ctx context.Context, s Scope) (store.MappedPeople, error) {
	if err := s.whole(); err != nil {
		return store.MappedPeople{}, err
	}
	return a.Rules.MappedPeople(ctx)
}

// mapping refuses a mapping that gives a client account outside the scope, or may give any.
func (s Scope) mapping(m store.Mapping) error {
	if m.Account == "" {
		return s.whole()
	}
	if !s.Includes(m.Account) {
		return &Error{Kind: Forbidden, Field: "account", Fault: "the mapping gives a client account that you may not see"}
	}
	return nil
}

// Get returns one mapping, on or off.
func (a Mappings) Get(ctx context.Context, s Scope, id int64) (store.Mapping, error) {
	m, err := a.Rules.Mapping(ctx, id)
	if err != nil {
		return m, noMapping(err, id)
	}
	return m, s.mapping(m)
}

// noMapping is the refusal where there is no mapping of a number.
func noMapping(err error, id int64) error {
	if errors.Is(err, store.ErrNotFound) {
		return &Error{Kind: Missing, Field: "id", Fault: fmt.Sprintf("there is no mapping %d", id),
			Act: ListMappings, Err: err}
	}
	return refusal(err)
}

// Draft checks a new mapping, and says what it would change. Nothing is stored.
func (a Mappings) Draft(ctx context.Context, s Scope, in MappingInput, actor string) (MappingDraft, error) {
	var d MappingDraft
	var err error
	if d.spec, err = a.spec(ctx, in, actor); err != nil {
		return d, err
	}
	if d.Mapping, err = a.draft(ctx, s, d.spec); err != nil {
		return MappingDraft{}, err
	}
	d.Change = mapping.Change{Add: []store.Mapping{d.Mapping}}
	bare := d.Mapping
	bare.CreatedAt, bare.CreatedBy = time.Time{}, "" // when and by whom is known when it is stored
	d.Seen = seenValues(bare, d.spec.ExternalID)
	return d, nil
}

// AddDraft stores a mapping as it was drafted, with the priority that was shown.
func (a Mappings) AddDraft(ctx context.Context, s Scope, d MappingDraft) (store.Mapping, error) {
	d.spec.Priority = d.Mapping.Priority
	return a.add(ctx, s, d.spec)
}

// draft is a new mapping that the caller may see. So is what is wrong with it, which says what other mappings give:
// where no draft has found the account on record, it has to be within the scope as it was written.
func (a Mappings) draft(ctx context.Context, s Scope, spec mapping.Spec) (store.Mapping, error) {
	m, fault := a.Rules.DraftMapping(ctx, spec)
	if fault != nil {
		m.Account = store.AccountID(spec.Account)
	}
	if err := s.mapping(m); err != nil {
		return store.Mapping{}, err
	}
	if fault != nil {
		return store.Mapping{}, refusal(fault)
	}
	return m, nil
}

// Add checks a new mapping and stores it.
func (a Mappings) Add(ctx context.Context, s Scope, in MappingInput, actor string) (store.Mapping, error) {
	spec, err := a.spec(ctx, in, actor)
	if err != nil {
		return store.Mapping{}, err
	}
	return a.add(ctx, s, spec)
}

func (a Mappings) add(ctx context.Context, s Scope, spec mapping.Spec) (store.Mapping, error) {
	if !s.everything {
		// Under which account a text is on record is known to the draft: what is compared is what would be stored.
		if _, err := a.draft(ctx, s, spec); err != nil {
			return store.Mapping{}, err
		}
	}
	m, err := a.Rules.AddMapping(ctx, spec)
	if err != nil {
		return m, refusal(err)
	}
	return m, nil
}

// Effects reads the directory and says what a change of mappings means for whom. Nothing is stored.
func (a Mappings) Effects(
	ctx context.Context, s Scope, c mapping.Change, visit func(provisioning.Effect) error,
) (provisioning.Effects, error) {
	for _, m := range slices.Concat(c.Add, c.Remove) {
		if err := s.mapping(m); err != nil {
			return provisioning.Effects{}, err
		}
	}
	sum, err := a.Rules.PreviewMappings(ctx, c, visit)
	if err != nil {
		return sum, refusal(err)
	}
	return sum, nil
}

// History says what a mapping was, the newest entry first; all mappings for 0. before is the entry behind which a page
// begins, 0 for the first page.
func (a Mappings) History(ctx context.Context, s Scope, id, before int64, limit int) ([]store.MappingVersion, error) {
	if id == 0 {
		if err := s.whole(); err != nil {
			return nil, err
		}
	}
	list, err := a.Rules.History(ctx, id, before, limit)
	if err != nil {
		return nil, err
	}
	for _, v := range list {
		if err := s.mapping(v.State); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// spec looks up what a mapping names: groups and people are kept by their immutable ids.
func (a Mappings) spec(ctx context.Context, in MappingInput, actor string) (mapping.Spec, error) {
	spec := mapping.Spec{
		GroupDN: in.Group, Account: in.Account, Role: in.Role, Priority: in.Priority, Off: in.Off,
		ExternalID: in.ExternalID, Unchecked: in.Unlisted, Actor: actor, Line: in.Line,
	}
	if e := appliesTo(in.Input); e != nil {
		return spec, e
	}
	var err error
	if spec.AtSignIn, err = atSignIn(in.Create); err != nil {
		return spec, err
	}
	if in.Create == "" && (mapping.IsClaim(in.Group) || mapping.IsClaim(in.GroupBase)) {
		spec.AtSignIn = true
	}
	switch {
	case mapping.IsClaim(in.Group):
		source, _, ok := mapping.ParseClaimGroup(in.Group)
		err = a.ofSource("group", in.Group, source, ok, "write it like claim:portal:editors")
	case in.Group != "":
		if spec.Group, err = a.Directory.Group(ctx, in.Group); err != nil {
			return spec, lookup(err, "group", "find the group "+plaintext.Quote(in.Group),
				"copy the group's DN from the directory")
		}
	case in.GroupPattern != "":
		spec.Pattern = in.GroupPattern
		spec.GroupBase, err = a.baseOf(ctx, in.Input)
	case in.AttributePattern != "":
		if spec.Attribute, spec.Pattern, err = mapping.AttributeOf(in.AttributePattern); err != nil {
			return spec, refusal(err)
		}
		if !a.Reads(spec.Attribute) {
			err = &Error{
				Field: "attribute_pattern",
				Fault: fmt.Sprintf("the attribute %s is not read from the directory, so the mapping would hit nobody",
					plaintext.Quote(spec.Attribute)),
				Hint: "add it to directory.extra_attributes, restart the bridge, then add the mapping",
			}
		}
	default:
		var person directory.Entry
		if person, err = a.Directory.Find(ctx, in.Person); err != nil {
			return spec, lookup(err, "person", "find the person "+plaintext.Quote(in.Person),
				"write the login name as the person types it")
		}
		spec.Person = store.PersonID(person.ID)
	}
	return spec, err
}

// ofSource refuses a group, or a base, of a source's tokens that is not well written, or whose source there is not.
func (a Mappings) ofSource(field, written, source string, ok bool, like string) error {
	switch {
	case !ok:
		return &Error{Field: field, Fault: plaintext.Quote(written) + " is no group of a source's tokens", Hint: like}
	case !slices.Contains(a.Sources, source):
		return &Error{Field: field, Fault: "there is no source " + plaintext.Quote(source),
			Hint: "name one of sources in the configuration"}
	}
	return nil
}

// appliesTo refuses an input that does not name exactly one group, pattern or person; nil: it does.
func appliesTo(in mapping.Input) *Error {
	named := 0
	for _, text := range []string{in.Group, in.GroupPattern, in.AttributePattern, in.Person} {
		if text != "" {
			named++
		}
	}
	switch {
	case named != 1:
		return &Error{Field: "group", Fault: "want exactly one of group, group_pattern, attribute_pattern and person"}
	case in.GroupBase != "" && in.GroupPattern == "":
		return &Error{
			Field: "group_base", Fault: "a group base is for patterns of group names only",
			Hint: "leave it out, or give a group pattern",
		}
	}
	return nil
}

// atSignIn reads when users are created.
func atSignIn(create string) (bool, error) {
	switch create {
	case "", mapping.CreateInAdvance:
		return false, nil
	case mapping.CreateAtSignIn:
		return true, nil
	}
	return false, &Error{
		Field: "create", Fault: fmt.Sprintf("create: %s is not known", plaintext.Quote(create)),
		Hint: "write in-advance, or at-sign-in where users are created at their first sign-in only",
	}
}

// Base looks up the base of a pattern of group names.
func (a Mappings) base(ctx context.Context, written string) (string, error) {
	if mapping.IsClaim(written) {
		source, ok := mapping.ParseClaimBase(written)
		return written, a.ofSource("group_base", written, source, ok, "write it like claim:portal")
	}
	base, err := a.Directory.PatternBase(ctx, written)
	if err != nil {
		return "", lookup(err, "group_base", "use the group base "+plaintext.Quote(written),
			"name an organizational unit in which only people whom you trust with client accounts may create groups")
	}
	return base, nil
}

// baseOf is the base of a pattern of group names. A pattern that is stored without one goes on as it is; no other one
// is taken without.
func (a Mappings) baseOf(ctx context.Context, in mapping.Input) (string, error) {
	if in.GroupBase != "" {
		return a.base(ctx, in.GroupBase)
	}
	all, err := a.Rules.AllMappings(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range all {
		if mapping.Baseless(m) && m.Pattern == in.GroupPattern && strings.EqualFold(string(m.Account), in.Account) &&
			string(m.Role) == in.Role {
			return "", nil
		}
	}
	return "", &Error{
		Field: "group_base", Fault: fmt.Sprintf("the group pattern %s has no group base", plaintext.Quote(in.GroupPattern)),
		Act: GiveGroupBase,
	}
}
