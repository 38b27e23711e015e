package idp

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// factorState goes out with a page and comes back with its form, sealed: nothing has to be
// stored for a page that nobody may ever send. It holds for one session, for a while, and
// for once.
type factorState struct {
	ID       string         `json:"id"`
	Person   store.PersonID `json:"person"`
	Session  []byte         `json:"session"`
	Ends     time.Time      `json:"ends"`
	Secret   string         `json:"secret,omitempty"` // of an authenticator app that is being enrolled
	Ceremony *mfa.Ceremony  `json:"ceremony,omitempty"`
}

// passkeysAt are those of the address that a visitor is at: browsers use none for another host than that it was made
// for.
func (p *IdP) passkeysAt(v Visitor) *mfa.Passkeys {
	if v.ConsoleSite {
		return p.consolePasskeys
	}
	return p.passkeys
}

func (p *IdP) sealState(state factorState) (string, error) {
	var err error
	if state.ID, err = p.token(); err != nil {
		return "", err
	}
	state.Ends = p.o.Now().Add(factorWindow)
	plain, err := json.Marshal(state)
	if err != nil {
		return "", fmt.Errorf("encode the state of a page: %w", err)
	}
	sealed, err := p.o.Sealer.Seal(plain, stateContext)
	if err != nil {
		return "", fmt.Errorf("seal the state of a page: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// readState opens a state that is this session's and not over.
func (p *IdP) readState(s store.Session, text string) (state factorState, cause error) {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > mfa.MaxCredential {
		return state, errors.New("the page's state is none of ours")
	}
	plain, err := p.o.Sealer.Open(sealed, stateContext)
	if err != nil {
		return state, fmt.Errorf("read the page's state: %w", err)
	}
	switch err := json.Unmarshal(plain, &state); {
	case err != nil:
		return state, errors.New("the page's state can't be read")
	case state.Person != s.Person || subtle.ConstantTimeCompare(state.Session, s.TokenHash) != 1:
		return state, errors.New("the page belongs to another session")
	case !p.o.Now().Before(state.Ends):
		return state, errors.New("the page was open for too long")
	}
	return state, nil
}

// openState is readState for once: a state that was used is none.
func (p *IdP) openState(ctx context.Context, s store.Session, text string) (state factorState, problem string,
	cause, err error) {
	state, cause = p.readState(s, text)
	if cause != nil {
		return state, FactorExpired, cause, nil
	}
	first, err := p.o.Forms.Use(ctx, state.ID)
	switch {
	case err != nil:
		return state, "", nil, fmt.Errorf("second factor: %w", err)
	case !first:
		return state, FactorExpired, errors.New("the page was used before"), nil
	}
	return state, "", nil, nil
}
