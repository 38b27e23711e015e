package mapping

import (
	"ssobridge/idp/directory"
	"ssobridge/store"
)

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

// Risk says in plain words who beside the administrators can decide by a mapping who gets which client account; "" for
// nobody.
func Risk(m store.Mapping) string {
	switch {
	case OfSource(m) != "":
		return "whoever has the signing key of source " + OfSource(m) +
			" can give anybody of that source what the mapping gives, within its allow_accounts and allow_roles"
	case m.Kind == store.GroupPattern && m.GroupDN == "":
		return "anybody who may create a group anywhere below group_base_dn can take any client account and role by its name"
	case m.Kind == store.GroupPattern:
		return "anybody who may create or rename a group below " + m.GroupDN +
			" can take any client account and role that the pattern captures"
	case m.Kind == store.AttributePattern && directory.SelfWritten(m.Attribute):
		return "people can often edit " + m.Attribute +
			" of their own entry, and would choose their client account by it; use an attribute that only administrators can " +
			"write"
	}
	return ""
}

// Describe says in a few words whom a mapping is for.
func Describe(m store.Mapping) string {
	switch m.Kind {
	case store.GroupMapping:
		if source, name, ok := ParseClaimGroup(m.GroupID); ok {
			return "group " + name + " of source " + source
		}
		return "group " + m.GroupDN
	case store.GroupPattern:
		if source := OfSource(m); source != "" {
			return "groups of source " + source + " named " + m.Pattern
		}
		if m.GroupDN != "" {
			return "groups named " + m.Pattern + " below " + m.GroupDN
		}
		return "groups named " + m.Pattern
	case store.AttributePattern:
		return m.Attribute + " = " + m.Pattern
	}
	return "person " + string(m.Person)
}
