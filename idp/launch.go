package idp

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"ssobridge/store"
)

// LaunchRequest is an IdP-initiated start. All of it comes from a link that
// anybody can have made, so each field only ever selects from what is registered.
type LaunchRequest struct {
	EntityID   string // "": the Constant Contact service provider
	Account    string // as the link spells the client account; "": any, the person chooses where there are several
	RelayState string // id of an allowed RelayState (row WEB-04); "": the default one, if there is one
	// Source is who signs the person in, if somebody has to: a source's name, or "directory" for the form; "": as it is
	// configured. One that is none is passed over.
	Source string
}

// Launch starts an IdP-initiated sign-in. With a live session that satisfies it
// the answer is Deliver at once, and nothing is stored but what was issued;
// else the sign-in is stored and GoOn leads to its page.
func (p *IdP) Launch(ctx context.Context, l LaunchRequest, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "launch link")
	defer func() { end(&a, &err) }()
	// The session first: the change counter comes with it, and the configuration is compared with that.
	s, known, err := p.liveSession(ctx, v)
	if err != nil {
		return Answer{}, err
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return Answer{}, err
	}
	var sp *serviceProvider
	if l.EntityID == "" {
		one, page := p.launched(ctx, c, v)
		if page != nil {
			return Answer{Page: page}, nil
		}
		sp = one
	} else {
		sp = c.providers[l.EntityID]
		if page := p.usable(ctx, sp, l.EntityID, http.StatusNotFound, v, c); page != nil {
			return Answer{Page: page}, nil
		}
	}
	relayState, ok := sp.relayState(l.RelayState)
	if !ok {
		var known []string
		for _, r := range sp.RelayStates {
			known = append(known, r.ID)
		}
		p.logRefusal(ctx, v, sp.EntityID, Why{Reason: ReasonUnknownRelayState,
			Cause: fmt.Sprintf("the link asks for the RelayState %.80q; on record: %s", l.RelayState,
				cmp.Or(shownList(known), "none"))})
		return Answer{Page: Refusal{Provider: sp.name(), Reason: ReasonUnknownRelayState, Status: http.StatusBadRequest}}, nil
	}
	f := &flow{config: c, sp: sp, v: v}
	f.in.EntityID = sp.EntityID
	f.in.Address = addressBlock(v.Address)
	f.in.Browser = hash(v.Browser)
	f.in.CreatedAt = p.o.Now()
	if sp.Kind == store.ConstantContact && l.Account != "" {
		if f.in.Account, err = c.account(l.Account); err != nil {
			return Answer{}, fmt.Errorf("launch: %w", err)
		}
	}
	f.data = pending{RelayState: relayState}
	f.choose(l.Source)
	return p.proceedIn(ctx, f, s, known)
}

// relayState finds an allowed RelayState by its id, the default one for "".
func (sp *serviceProvider) relayState(id string) (*string, bool) {
	for i := range sp.RelayStates {
		r := &sp.RelayStates[i]
		if id == "" && r.Default || id != "" && r.ID == id {
			return &r.Value, true
		}
	}
	return nil, id == ""
}
