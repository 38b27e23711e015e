package mapping

import (
	"fmt"
	"regexp"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

const (
	// PriorityStep is between priorities that are given by themselves, so that others fit between.
	PriorityStep = 10

	// MaxPriority is the highest number that a mapping's priority may have.
	MaxPriority = 1_000_000
)

// Spec is a mapping as an admin asks for it. Exactly one of Group or GroupDN, Pattern, and Person says whom it is for.
type Spec struct {
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

	Line      int    // of the file that it was read from; 0: of none
	Actor     string // for the audit, such as "admin:NAME"
	Unchecked bool   // accept a client account that Constant Contact does not list
}

// When the users of a mapping are created, as it is written in files and on the command line.
const (
	CreateInAdvance = "in-advance" // by plans, or at the first sign-in where that comes before
	CreateAtSignIn  = "at-sign-in" // at the first sign-in only
)

var mappedAttribute = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9;-]{0,127}$`)

// SpecOf is a mapping as an admin would ask for it, to be changed in parts.
func SpecOf(m store.Mapping) Spec {
	spec := Spec{Attribute: m.Attribute, Pattern: m.Pattern, Person: m.Person, Account: string(m.Account),
		Role: string(m.Role), Priority: m.Priority, AtSignIn: m.AtSignIn}
	if m.Kind == store.GroupPattern {
		spec.GroupBase = m.GroupDN
	}
	if m.Kind == store.GroupMapping {
		spec.GroupDN = m.GroupDN
		if m.GroupID != "" {
			spec.GroupDN, spec.Group = "", directory.Group{ID: m.GroupID, DN: m.GroupDN}
		}
	}
	return spec
}

// Draft turns what was asked for into a mapping and collects what is wrong with it.
func Draft(spec Spec) (m store.Mapping, faults []error) {
	fault := func(field, fault, fix string) {
		faults = append(faults, &InputError{Field: field, Fault: fault, Fix: fix})
	}
	m.Priority, m.AtSignIn = spec.Priority, spec.AtSignIn
	if spec.Priority < 0 || spec.Priority > MaxPriority {
		fault("priority", fmt.Sprintf("%d is out of bounds", spec.Priority),
			fmt.Sprintf("give a number from 1 to %d, or none for the next free one", MaxPriority))
	}
	byGroup := spec.GroupDN != "" || spec.Group.DN != "" || spec.Group.ID != ""
	chosen := 0
	for _, is := range []bool{byGroup, spec.Pattern != "", spec.Person != ""} {
		if is {
			chosen++
		}
	}
	if chosen != 1 {
		fault("group", "a mapping is for one group, one pattern or one person",
			"give exactly one of group, pattern (of group names or of an attribute) and person")
		return m, faults
	}
	var pattern Pattern
	switch {
	case byGroup:
		m.Kind, m.GroupID, m.GroupDN = store.GroupMapping, spec.Group.ID, spec.Group.DN
		if m.GroupDN == "" {
			m.GroupDN = spec.GroupDN
		}
		switch _, _, claims := ParseClaimGroup(m.GroupDN); {
		case claims:
			m.GroupID = m.GroupDN // one form for id and name
		case IsClaim(m.GroupDN) || IsClaim(m.GroupID):
			fault("group", "it is no group of a source's tokens", "write it like claim:portal:editors")
		default:
			if _, err := directory.NormalDN(m.GroupDN); err != nil {
				fault("group", err.Error(), "write it like cn=sales,ou=groups,dc=example,dc=com")
			}
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
		_, claims := ParseClaimBase(spec.GroupBase)
		_, err := directory.NormalDN(spec.GroupBase)
		if m.Kind != store.GroupPattern || err != nil && !claims {
			fault("group_base", "it is not a DN, or there is no pattern of group names",
				"write it like ou=ctct,ou=groups,dc=example,dc=com, with a pattern of group names")
		}
	}
	if spec.Attribute != "" && (spec.Pattern == "" || !mappedAttribute.MatchString(spec.Attribute)) {
		fault("attribute", fmt.Sprintf("%.140q is not the name of a directory attribute with a pattern", spec.Attribute),
			"give a name like departmentNumber, and a pattern for its values")
	}
	faults = append(faults, draftAccount(&m, spec, pattern)...)
	faults = append(faults, draftRole(&m, spec, pattern)...)
	return m, faults
}

func draftAccount(m *store.Mapping, spec Spec, pattern Pattern) []error {
	switch {
	case spec.Account == "" && pattern.HasAccount():
	case spec.Account == "":
		return []error{&InputError{
			Field: "account", Fault: "no client account is given",
			Fix: "give its encoded_account_id, or a pattern with {account}",
		}}
	case pattern.HasAccount():
		return []error{&InputError{
			Field: "account", Fault: "the pattern captures the account already",
			Fix: "leave the account out, or {account} in the pattern",
		}}
	default:
		id, err := store.ParseAccountID(store.TrimTyped(spec.Account))
		if err != nil {
			return []error{&InputError{
				Field: "account", Fault: err.Error(),
				Fix: "give the encoded_account_id, such as a07e1lxqqqo0",
			}}
		}
		m.Account = id
	}
	return nil
}

func draftRole(m *store.Mapping, spec Spec, pattern Pattern) (faults []error) {
	fault := func(field, fault, fix string) {
		faults = append(faults, &InputError{Field: field, Fault: fault, Fix: fix})
	}
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
	case m.Role == store.Owner: // whether its external id fits is for the caller, who knows the limits
	case spec.ExternalID != "":
		fault("external_id", "an external_id can be told for role owner only",
			"leave it out: for other roles it is made by the template")
	}
	return faults
}

// LastPriority is the highest number that is taken.
func LastPriority(taken []store.Mapping) int {
	last := 0
	for _, m := range taken {
		last = max(last, m.Priority)
	}
	return last
}

// NextPriority is a free one behind the last.
func NextPriority(last int) (int, error) {
	if last > MaxPriority-PriorityStep {
		return 0, &InputError{
			Field: "priority", Fault: "there is no free one behind the last",
			Fix: fmt.Sprintf("give a priority from 1 to %d that is not taken", MaxPriority),
		}
	}
	return last - last%PriorityStep + PriorityStep, nil
}
