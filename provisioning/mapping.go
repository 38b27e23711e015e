package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/store"
)

const (
	priorityStep = 10 // between priorities that are given by themselves, so that others fit between
	maxPriority  = 1_000_000
)

// MappingSpec is a mapping as an admin asks for it. Exactly one of Group or GroupDN, Pattern, and Person says whom it is for.
type MappingSpec struct {
	GroupDN string          // of a group that was not looked up in the directory
	Group   directory.Group // as looked up; its id is kept beside the DN
	Pattern string          // over group names, or over the values of Attribute
	// GroupBase is the DN, as the directory spells it, below which the groups of a pattern over group names must be.
	GroupBase string
	// Attribute is the directory attribute that Pattern runs over; empty for group names.
	Attribute string
	Person    store.PersonID

	Account string // empty where Pattern captures it
	Role    string // empty where Pattern captures it
	// Priority, the lowest wins; 0 takes the next free one behind all others.
	Priority   int
	Off        bool   // switched off; in a set only
	AtSignIn   bool   // users are created at their first sign-in only; plans leave them out
	ExternalID string // of the owner's user at Constant Contact; with role owner only

	Actor     string // for the audit, such as "admin:NAME"
	Unchecked bool   // accept a client account that Constant Contact does not list
}

// When the users of a mapping are created, as it is written in files and on the command line.
const (
	CreateInAdvance = "in-advance" // by plans, or at the first sign-in where that comes before
	CreateAtSignIn  = "at-sign-in" // at the first sign-in only
)

var mappedAttribute = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9;-]{0,127}$`)

// AddMapping checks a mapping and stores it, with the owner's SSO user where it tells one. Faults of the input are returned joined,
// each a *FieldError. An account that is not known is looked for at Constant Contact once.
func (s *Service) AddMapping(ctx context.Context, spec MappingSpec) (store.Mapping, error) {
	m, faults := draft(spec)
	if m.Account != "" {
		id, err := s.knownAccount(ctx, m.Account, spec.Unchecked)
		if err != nil {
			faults = append(faults, err)
		}
		m.Account = id
	}
	if len(faults) > 0 {
		return store.Mapping{}, fmt.Errorf("add mapping: %w", errors.Join(faults...))
	}
	m.CreatedAt, m.CreatedBy = s.now(), spec.Actor
	var owner *store.SSOUser
	if m.Role == store.Owner {
		owner = s.ownersUser(m, spec.ExternalID)
	}
	// Somebody else may take the same free priority at the same moment; then the next one is tried.
	for tries := 3; ; tries-- {
		taken, err := s.mappings.List(ctx)
		if err != nil {
			return store.Mapping{}, fmt.Errorf("add mapping: %w", err)
		}
		if spec.Priority == 0 {
			if m.Priority, err = nextPriority(lastPriority(taken)); err != nil {
				return store.Mapping{}, fmt.Errorf("add mapping: %w", err)
			}
		}
		m.ID, err = s.mappings.Add(ctx, m, owner, s.mappingEvent("mapping-add", spec.Actor, m))
		clash, clashes := errors.AsType[*store.CaseClashError](err)
		switch {
		case err == nil:
			return m, nil
		case clashes:
			return store.Mapping{}, fmt.Errorf("add mapping: %w", &FieldError{"external_id", clash.Error(),
				"ask Constant Contact for the owner's external_id; it may not distinguish the two"})
		case !errors.Is(err, store.ErrConflict):
			return store.Mapping{}, fmt.Errorf("add mapping: %w", err)
		}
		if err = s.clash(ctx, m, owner, taken); err != nil || tries == 1 || spec.Priority != 0 {
			if err == nil {
				err = &FieldError{"priority", fmt.Sprintf("%d was just taken by another mapping", m.Priority), "try again, or give another priority"}
			}
			return store.Mapping{}, fmt.Errorf("add mapping: %w", err)
		}
	}
}

// ListMappings returns all mappings in the order in which they count: by priority, then id.
func (s *Service) ListMappings(ctx context.Context) ([]store.Mapping, error) {
	all, err := s.mappings.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list mappings: %w", err)
	}
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].Priority != all[j].Priority {
			return all[i].Priority < all[j].Priority
		}
		return all[i].ID < all[j].ID
	})
	return all, nil
}

// RemoveMapping removes a mapping; whom it gave access loses it with the next sign-in. An owner's user that was told with it is
// forgotten. Users that were created stay at Constant Contact and in the ledger. The error is store.ErrNotFound, wrapped, where there is none.
func (s *Service) RemoveMapping(ctx context.Context, id int64, actor string) error {
	was, err := s.Mapping(ctx, id)
	if err != nil {
		return fmt.Errorf("remove mapping: %w", err)
	}
	event := store.Event{
		At: s.now(), Actor: actor, Action: "mapping-remove", Subject: fmt.Sprintf("mapping %d", id), Outcome: "ok",
	}
	if err := s.mappings.Remove(ctx, was, event); err != nil {
		return fmt.Errorf("remove mapping %d: %w", id, err)
	}
	return nil
}

// draft turns what was asked for into a mapping and collects what is wrong with it.
func draft(spec MappingSpec) (m store.Mapping, faults []error) {
	fault := func(field, fault, mend string) { faults = append(faults, &FieldError{field, fault, mend}) }
	m.Priority, m.AtSignIn = spec.Priority, spec.AtSignIn
	if spec.Priority < 0 || spec.Priority > maxPriority {
		fault("priority", fmt.Sprintf("%d is out of bounds", spec.Priority), fmt.Sprintf("give a number from 1 to %d, or none for the next free one", maxPriority))
	}
	byGroup := spec.GroupDN != "" || spec.Group.DN != "" || spec.Group.ID != ""
	chosen := 0
	for _, is := range []bool{byGroup, spec.Pattern != "", spec.Person != ""} {
		if is {
			chosen++
		}
	}
	if chosen != 1 {
		fault("group", "a mapping is for one group, one pattern or one person", "give exactly one of group, pattern (of group names or of an attribute) and person")
		return m, faults
	}
	var pattern Pattern
	switch {
	case byGroup:
		m.Kind, m.GroupID, m.GroupDN = store.GroupMapping, spec.Group.ID, spec.Group.DN
		if m.GroupDN == "" {
			m.GroupDN = spec.GroupDN
		}
		if _, err := directory.NormalDN(m.GroupDN); err != nil {
			fault("group", err.Error(), "write it like cn=sales,ou=groups,dc=example,dc=com")
		}
	case spec.Person != "":
		m.Kind, m.Person = store.PersonMapping, store.PersonID(directory.CanonicalID(string(spec.Person)))
	default:
		m.Kind, m.Pattern = store.GroupPattern, spec.Pattern
		if spec.Attribute != "" {
			m.Kind, m.Attribute = store.AttributePattern, strings.ToLower(spec.Attribute)
		} else {
			m.GroupDN = spec.GroupBase
		}
		var err error
		if pattern, err = ParsePattern(spec.Pattern); err != nil {
			fault("pattern", err.Error(), "write it like ctct-{account}-{role}, with * for anything")
			return m, faults
		}
	}
	if spec.GroupBase != "" {
		if _, err := directory.NormalDN(spec.GroupBase); err != nil || m.Kind != store.GroupPattern {
			fault("group_base", "it is not a DN, or there is no pattern of group names", "write it like ou=ctct,ou=groups,dc=example,dc=com, with a pattern of group names")
		}
	}
	if spec.Attribute != "" && (spec.Pattern == "" || !mappedAttribute.MatchString(spec.Attribute)) {
		fault("attribute", fmt.Sprintf("%.140q is not the name of a directory attribute with a pattern", spec.Attribute), "give a name like departmentNumber, and a pattern for its values")
	}
	faults = append(faults, draftAccount(&m, spec, pattern)...)
	faults = append(faults, draftRole(&m, spec, pattern)...)
	return m, faults
}

func draftAccount(m *store.Mapping, spec MappingSpec, pattern Pattern) []error {
	switch {
	case spec.Account == "" && pattern.HasAccount():
	case spec.Account == "":
		return []error{&FieldError{"account", "no client account is given", "give its encoded_account_id, or a pattern with {account}"}}
	case pattern.HasAccount():
		return []error{&FieldError{"account", "the pattern captures the account already", "leave the account out, or {account} in the pattern"}}
	default:
		id, err := store.ParseAccountID(store.TrimBlanks(spec.Account))
		if err != nil {
			return []error{&FieldError{"account", err.Error(), "give the encoded_account_id, such as a07e1lxqqqo0"}}
		}
		m.Account = id
	}
	return nil
}

func draftRole(m *store.Mapping, spec MappingSpec, pattern Pattern) (faults []error) {
	fault := func(field, fault, mend string) { faults = append(faults, &FieldError{field, fault, mend}) }
	switch {
	case spec.Role == "" && pattern.HasRole():
	case spec.Role == "":
		fault("role", "no role is given", "give account_manager or campaign_creator, or a pattern with {role}")
	case pattern.HasRole():
		fault("role", "the pattern captures the role already", "leave the role out, or {role} in the pattern")
	default:
		role, err := store.ParseRole(spec.Role)
		if err != nil {
			fault("role", err.Error(), "give account_manager or campaign_creator; owner for one person only")
			return faults
		}
		m.Role = role
	}
	switch {
	case m.Role == store.Owner && m.Kind != store.PersonMapping:
		// A group or a pattern would sign each of its members in as the one owner.
		fault("role", "owner can be given to one person only", "give the person, with the owner's external_id")
	case m.Role == store.Owner && m.AtSignIn:
		fault("create", "the user of an owner exists already", "leave it out for an owner")
	case m.Role == store.Owner:
		if why := badExternalID(spec.ExternalID); why != "" {
			fault("external_id", why, "give the external_id under which the account owner's user is known at Constant Contact, at most 255 characters")
		}
	case spec.ExternalID != "":
		fault("external_id", "an external_id can be told for role owner only", "leave it out: for other roles it is made by the template")
	}
	return faults
}

// badExternalID says what is wrong with a told external_id. The rest of the body is filled up with what is always right, so that
// one set of rules holds for all external ids.
func badExternalID(id string) string {
	var field *partnerapi.FieldError
	err := partnerapi.SSOUser{
		FirstName: "x", LastName: "x", RoleName: partnerapi.RoleAccountManager, ContactEmail: "x@example.com",
		LoginName: "x", ExternalID: id, ExternalProvider: "x",
	}.Validate()
	if errors.As(err, &field) {
		return field.Fault
	}
	return ""
}

// ownersUser is the row for a user that exists already. Only its external id is known to us, and only that is needed.
func (s *Service) ownersUser(m store.Mapping, externalID string) *store.SSOUser {
	now := s.now()
	return &store.SSOUser{
		Person: m.Person, Account: m.Account, ExternalID: externalID, ExternalProvider: s.provider,
		Role: store.Owner, State: store.Active, CreatedAt: now, UpdatedAt: now,
	}
}

// knownAccount returns the account's id as it is on record, after asking Constant Contact once where it is not. Unchecked, an
// account that is not known here is taken as it was given.
func (s *Service) knownAccount(ctx context.Context, wanted store.AccountID, unchecked bool) (store.AccountID, error) {
	x, err := s.current(ctx)
	if err != nil {
		return "", err
	}
	id, err := x.forms.Resolve(string(wanted))
	if err == nil {
		return id, nil
	}
	if unchecked && errors.Is(err, store.ErrUnlistedAccount) {
		return wanted, nil
	}
	refreshed := s.RefreshAccounts(ctx)
	if refreshed == nil {
		if x, err = s.current(ctx); err != nil {
			return "", err
		}
		if id, err = x.forms.Resolve(string(wanted)); err == nil {
			return id, nil
		}
	} else {
		s.log.Warn("client accounts could not be looked up for a mapping", "account", wanted, "error", refreshed)
	}
	return "", x.unknownAccount(wanted, err, refreshed)
}

// unknownAccount is the fault of an account that can't be resolved, after the list was read anew or that failed with refreshed.
func (x *index) unknownAccount(wanted store.AccountID, err, refreshed error) *FieldError {
	switch {
	case errors.Is(err, store.ErrAmbiguousAccount):
		return &FieldError{Field: "account", Fault: err.Error(), Mend: "write the account's id letter by letter, in its own case"}
	case refreshed != nil:
		return &FieldError{
			Field: "account",
			Fault: fmt.Sprintf("%s is not among the %d client accounts known here, and the list could not be read anew", wanted, len(x.accounts)),
			Mend:  "see why Constant Contact does not answer (ssobridge check), or add the mapping unchecked",
		}
	}
	return &FieldError{
		Field: "account",
		Fault: fmt.Sprintf("%s is not among the %d client accounts that Constant Contact lists for the partner", wanted, len(x.accounts)),
		Mend:  "check the encoded_account_id, or add the mapping unchecked if the account is sure to come",
	}
}

// lastPriority is the highest number that is taken.
func lastPriority(taken []store.Mapping) int {
	last := 0
	for _, m := range taken {
		last = max(last, m.Priority)
	}
	return last
}

// nextPriority is a free one behind the last.
func nextPriority(last int) (int, error) {
	if last > maxPriority-priorityStep {
		return 0, &FieldError{"priority", "there is no free one behind the last", fmt.Sprintf("give a priority from 1 to %d that is not taken", maxPriority)}
	}
	return last - last%priorityStep + priorityStep, nil
}

// clash finds out why the store refused a mapping; nil means that it was the race for a free priority.
func (s *Service) clash(ctx context.Context, m store.Mapping, owner *store.SSOUser, taken []store.Mapping) error {
	for _, t := range taken {
		same := t
		same.ID, same.Priority, same.CreatedAt, same.CreatedBy, same.AtSignIn = m.ID, m.Priority, m.CreatedAt, m.CreatedBy, m.AtSignIn
		if same != m {
			continue
		}
		if owner != nil {
			return &FieldError{"external_id", fmt.Sprintf("mapping %d makes this person the owner of account %s already", t.ID, m.Account), "remove it first to tell another external_id or priority"}
		}
		return &FieldError{"group", fmt.Sprintf("mapping %d says the same already", t.ID), "leave it, or remove it first to give it another priority"}
	}
	for _, t := range taken {
		if t.Priority == m.Priority {
			return &FieldError{"priority", fmt.Sprintf("%d stands at mapping %d, and the two could give one person different roles in one client account", m.Priority, t.ID),
				"give a lower number if this mapping shall win, a higher one if the other shall, or none for the next free one"}
		}
	}
	if owner == nil {
		return nil
	}
	row, err := s.ledger.Get(ctx, m.Person, m.Account)
	switch {
	case err == nil && row.ExternalID != owner.ExternalID:
		return &FieldError{"external_id", fmt.Sprintf("the person has an SSO user in account %s already, with another external_id (state %s)", m.Account, row.State),
			"sign the person in as that user; an owner is told for a person without one"}
	case err == nil:
		return &FieldError{"external_id", fmt.Sprintf("the person's SSO user in account %s is in state %s", m.Account, row.State), "wait until its creation is decided"}
	case errors.Is(err, store.ErrNotFound):
		return &FieldError{"external_id", "it belongs to another person or client account in the ledger", "each external_id can be told once"}
	}
	return fmt.Errorf("look up SSO user in account %s: %w", m.Account, err)
}

func (s *Service) mappingEvent(action, actor string, m store.Mapping) store.Event {
	detail := map[string]any{"kind": m.Kind, "role": m.Role, "priority": m.Priority}
	if m.AtSignIn {
		detail["create"] = CreateAtSignIn
	}
	for name, value := range map[string]string{
		"group": m.GroupDN, "group_id": m.GroupID, "pattern": m.Pattern, "attribute": m.Attribute, "person": string(m.Person),
	} {
		if value != "" {
			detail[name] = value
		}
	}
	raw, _ := json.Marshal(detail) // strings and numbers always encode
	return store.Event{At: s.now(), Actor: actor, Action: action, Subject: "mapping", Account: m.Account, Outcome: "ok", Detail: raw}
}

// Creates says when the users of a mapping are created.
func Creates(m store.Mapping) string {
	switch {
	case m.Role == store.Owner:
		return "never"
	case m.AtSignIn:
		return CreateAtSignIn
	}
	return CreateInAdvance
}

// Risk says in plain words who beside the administrators can decide by a mapping who gets which client account; "" for nobody.
func Risk(m store.Mapping) string {
	switch {
	case m.Kind == store.GroupPattern && m.GroupDN == "":
		return "anybody who may create a group anywhere below group_base_dn can take any client account and role by its name"
	case m.Kind == store.GroupPattern:
		return "anybody who may create or rename a group below " + m.GroupDN + " can take any client account and role that the pattern captures"
	case m.Kind == store.AttributePattern && directory.SelfWritten(m.Attribute):
		return "people can often edit " + m.Attribute + " of their own entry, and would choose their client account by it; use an attribute that only administrators can write"
	}
	return ""
}

// Who says in a few words whom a mapping is for.
func Who(m store.Mapping) string {
	switch m.Kind {
	case store.GroupMapping:
		return "group " + m.GroupDN
	case store.GroupPattern:
		if m.GroupDN != "" {
			return "groups named " + m.Pattern + " below " + m.GroupDN
		}
		return "groups named " + m.Pattern
	case store.AttributePattern:
		return m.Attribute + " = " + m.Pattern
	}
	return "person " + string(m.Person)
}
