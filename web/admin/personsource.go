package admin

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// PersonReader finds and reads people: *directory.Directory those of the directory, *idp.People those of all sources.
type PersonReader interface {
	Find(ctx context.Context, login string) (directory.Entry, error)
	Read(ctx context.Context, id string) (directory.Entry, error)
}

// PeopleReader is a PersonReader that searches too, and says what its data are called.
type PeopleReader interface {
	PersonReader
	SearchPeople(ctx context.Context, text string, limit int) (people []directory.Person, more bool, err error)
	Beyond(ctx context.Context, e directory.Entry) ([]directory.Group, error)
	Sources() map[string]string
}

// PersonSource is the source that a person comes from, beside the directory.
type PersonSource struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"` // signed_launch or oidc; "": it is not in the configuration
	// State is enabled, disabled or not_configured.
	State string `json:"state"`
	// SeenAt is when the last token of theirs came, to an hour; zero: none came that is known.
	SeenAt time.Time `json:"seen_at,omitzero"`
}

// The states of a PersonSource.
const (
	SourceEnabled       = "enabled"
	SourceDisabled      = "disabled"
	SourceNotConfigured = "not_configured"
)

// SourceOf is the source of a person; nil: they are the directory's.
func (a People) SourceOf(e directory.Entry) *PersonSource {
	if e.Source == "" {
		return nil
	}
	s := &PersonSource{Name: e.Source, State: SourceNotConfigured, SeenAt: e.ReadAt}
	for _, one := range a.IdP.Sources() {
		if one.Name == e.Source && one.Subject == claims.Own {
			s.Type, s.State = sourceType(one), SourceEnabled
		}
	}
	if s.State == SourceEnabled && e.Problem == idp.SourceDisabled {
		s.State = SourceDisabled
	}
	return s
}

func sourceType(s idp.Source) string {
	if s.OpenID != nil {
		return "oidc"
	}
	return "signed_launch"
}

// cantSignIn says why somebody with a problem can't sign in.
func cantSignIn(e directory.Entry) string {
	switch {
	case e.Source == "":
		return fmt.Sprintf("the directory does not let this person sign in: %s", e.Problem)
	case e.Problem == idp.SourceDisabled:
		return fmt.Sprintf("this person can't sign in: source %s is disabled", e.Source)
	case e.Problem == idp.SourceNotConfigured:
		return fmt.Sprintf("this person can't sign in: source %s is not in the configuration, or has no people of its own",
			e.Source)
	}
	return fmt.Sprintf("nothing is known of this person: they have not come from source %s for a long time", e.Source)
}

// tokenTime says when the last token of somebody of a source came.
func tokenTime(e directory.Entry) string {
	if e.ReadAt.IsZero() {
		return "and none came yet"
	}
	return "of " + plaintext.Minute(e.ReadAt) + " or the hour after"
}

// unproved tells whether a client account asks for a second factor that the person's source is not trusted to prove: a
// sign-in there is refused, since people of sources enrol none here.
func (a People) unproved(ctx context.Context, e directory.Entry, account store.AccountID) (bool, error) {
	if e.Source == "" || a.IdP.ProvesFactor(e.Source) {
		return false, nil
	}
	policy, _, err := a.IdP.FactorPolicy(ctx, account)
	return policy == mfa.Required, err
}

// maxSummed is how many client accounts a summary names.
const maxSummed = 3

// Summary says in a sentence whether and where somebody of a source can sign in, or why not; "" for people of the
// directory.
func (x Explanation) Summary() string {
	if x.Source == nil {
		return ""
	}
	e := x.Person
	who := cmp.Or(strings.TrimSpace(e.FirstName+" "+e.LastName), e.Login, e.ID)
	var in, out []string
	for _, a := range x.Assignments {
		if a.Refused != "" {
			out = append(out, fmt.Sprintf("%s (%s)", cmp.Or(a.Name, string(a.Account)), a.Refused))
			continue
		}
		in = append(in, cmp.Or(a.Name, string(a.Account)))
	}
	switch {
	case e.Problem == idp.SourceDisabled:
		return fmt.Sprintf("%s can't sign in: source %s is disabled.", who, e.Source)
	case e.Problem == idp.SourceNotConfigured:
		return fmt.Sprintf("%s can't sign in: source %s is not in the configuration, or has no people of its own.", who,
			e.Source)
	case x.Source.SeenAt.IsZero():
		return fmt.Sprintf("%s has not come from source %s yet: their first token says where they can sign in.", who, e.Source)
	case len(in)+len(out) == 0:
		return fmt.Sprintf("%s can't sign in to any client account: the last token of source %s gave none that it may give, "+
			"and no mapping of its groups applies.", who, e.Source)
	case len(in) == 0:
		return fmt.Sprintf("%s can't sign in to %s.", who, someOf(out, x.LeftOut["assignments"]))
	}
	text := fmt.Sprintf("%s can sign in to %s from source %s, with a token that gives what the last one did", who,
		someOf(in, x.LeftOut["assignments"]), e.Source)
	if len(out) > 0 {
		text += "; not to " + someOf(out, 0)
	}
	return text + "."
}

// someOf names the first of a list, and says how many others there are.
func someOf(all []string, more int) string {
	shown := all[:min(len(all), maxSummed)]
	text := strings.Join(shown, ", ")
	if more += len(all) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
