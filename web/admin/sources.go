package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/store"
)

// Sources is what is done with the sources of people beside the directory.
type Sources struct {
	Store *store.DB
	IdP   *idp.IdP
	Keys  *claims.Keys
}

// Source is a source as it stands.
type Source struct {
	Name       string
	Type       string // signed_launch or oidc
	Issuer     string
	Subject    string
	JWKS       string // "": keys are pinned, or come from the OpenID provider
	Keys       []SourceKey
	DisabledAt time.Time // zero: it is in use
	RevokedAt  time.Time // zero: none of its tokens were revoked
}

// SourceKey is a key of a source.
type SourceKey struct {
	ID  string `json:"kid"`
	Alg string `json:"alg"`
}

// Any tells whether there is a source of people beside the directory.
func (a Sources) Any() bool { return a.IdP != nil && len(a.IdP.Sources()) > 0 }

// List lists the sources of the configuration. People are not of one client account, so that it takes a scope of all.
func (a Sources) List(ctx context.Context, s Scope) ([]Source, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	states, err := a.Store.Sources().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	var all []Source
	for _, one := range a.IdP.Sources() {
		n := Source{Name: one.Name, Type: sourceType(one), Issuer: one.Issuer, Subject: string(one.Subject), JWKS: one.JWKS,
			Keys: sourceKeys(one.Keys)}
		for _, state := range states {
			if state.Name == n.Name {
				n.DisabledAt, n.RevokedAt = state.DisabledAt, state.RevokedAt
			}
		}
		all = append(all, n)
	}
	return all, nil
}

func sourceKeys(keys []claims.Key) (all []SourceKey) {
	for _, k := range keys {
		all = append(all, SourceKey{k.ID, k.Alg})
	}
	return all
}

// find is a source by its name.
func (a Sources) find(name string) (idp.Source, error) {
	name = store.TrimTyped(name)
	var known []string
	for _, one := range a.IdP.Sources() {
		if one.Name == name {
			return one, nil
		}
		known = append(known, one.Name)
	}
	hint := "add it to sources in the configuration"
	if len(known) > 0 {
		hint = "the sources of the configuration are " + strings.Join(known, ", ")
	}
	return idp.Source{}, &Error{Kind: Missing, Field: "source", Fault: fmt.Sprintf("there is no source %.40q", name),
		Hint: hint}
}

// Refresh fetches a source's key set now and returns its keys. Running bridges fetch by themselves.
func (a Sources) Refresh(ctx context.Context, s Scope, name string) ([]SourceKey, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	one, err := a.find(name)
	if err != nil {
		return nil, err
	}
	state := a.Keys.Refresh(ctx, one.Source)
	if state.Err != nil {
		hint := "look at jwks_url of the source, and whether its server answers"
		if one.OpenID != nil {
			hint = "look at issuer and oidc.allow_private of the source, and whether the provider answers"
		}
		return nil, &Error{Kind: Outside, Field: "source", Fault: state.Err.Error(), Hint: hint, Err: state.Err}
	}
	return sourceKeys(state.Keys), nil
}

// SetEnabled disables a source, so that none of its tokens is taken and its sessions open nothing, or enables it again.
func (a Sources) SetEnabled(ctx context.Context, s Scope, name string, enabled bool, e store.Event) error {
	if err := s.whole(); err != nil {
		return err
	}
	one, err := a.find(name)
	if err != nil {
		return err
	}
	e.Action, e.Subject = "source-disable", one.Name
	if enabled {
		e.Action = "source-enable"
	}
	if err := a.Store.Sources().SetEnabled(ctx, one.Name, enabled, e); err != nil {
		return fmt.Errorf("enable or disable source %s: %w", one.Name, err)
	}
	return nil
}

// Revoke refuses the tokens that a source has made until now, and ends the sessions that came of them.
func (a Sources) Revoke(ctx context.Context, s Scope, name string, e store.Event) error {
	if err := s.whole(); err != nil {
		return err
	}
	one, err := a.find(name)
	if err != nil {
		return err
	}
	e.Action, e.Subject = "source-revoke", one.Name
	if err := a.Store.Sources().Revoke(ctx, one.Name, e); err != nil {
		return fmt.Errorf("revoke the tokens of source %s: %w", one.Name, err)
	}
	return nil
}

// Test checks a launch token and says what each check found. Nothing is stored or used up. A token that can still be
// used is refused unless live is set: whoever can read it here could sign in with it.
func (a Sources) Test(ctx context.Context, s Scope, token string, live bool) (idp.LaunchTest, error) {
	if err := s.whole(); err != nil {
		return idp.LaunchTest{}, err
	}
	if !a.Any() {
		return idp.LaunchTest{}, &Error{Kind: Missing, Field: "token", Fault: "there is no source of people",
			Hint: "add the application to sources in the configuration"}
	}
	t, err := a.IdP.TestLaunch(ctx, strings.TrimSpace(token), live)
	if err != nil {
		return t, fmt.Errorf("test a launch token: %w", err)
	}
	if t.Fault != nil && t.Fault.Reason == claims.ReasonLive {
		return t, &Error{Kind: Input, Field: "token", Fault: t.Fault.Detail, Hint: "wait until it is over"}
	}
	return t, nil
}

// Check looks at each source: whether its key set can be had, and whether it is in use.
func (a Sources) Check(ctx context.Context, s Scope) ([]Finding, error) {
	all, err := a.List(ctx, s)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, one := range all {
		f := Finding{Name: "source " + one.Name}
		keys, err := a.Refresh(ctx, s, one.Name)
		e, known := AsError(err)
		switch {
		case known:
			f.Level, f.Detail, f.Hint = Failure, e.Text(), e.Hint
		case err != nil:
			return nil, err
		case !one.DisabledAt.IsZero():
			f.Level, f.Detail, f.Hint = Warning, "it is disabled", "enable it, or remove it from the configuration"
		default:
			f.Detail = fmt.Sprintf("%d keys, subject %s", len(keys), one.Subject)
		}
		found = append(found, f)
	}
	return found, nil
}
