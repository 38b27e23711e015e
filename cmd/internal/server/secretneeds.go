package server

import (
	"context"
	"fmt"

	"ssobridge/certs"
	"ssobridge/store"
)

// Need is a kind of thing in the store that secret keys have made.
type Need struct {
	What  string // in the plural
	One   string
	Count map[string]int // by the id of the secret key; "" for what no known one opens
	Goes  string         // how what an old one has made goes away; "": it is made anew by rotate
}

// Needs lists what each secret key has made. secrets status shows it, and secrets remove goes by it.
func (p *App) Needs(ctx context.Context) ([]Need, error) {
	keys, err := p.Store.Keys().List(ctx)
	if err != nil {
		return nil, err
	}
	signing := Need{What: "signing keys", One: "signing key", Count: map[string]int{}}
	for _, k := range keys {
		if len(k.Private) > 0 {
			signing.Count[p.sealedBy(k.Private, "signing-key:"+k.ID)]++
		}
	}
	factors, codes, err := p.IdP.Factors().SealedBy(ctx)
	if err != nil {
		return nil, err
	}
	name, err := p.IdP.NameKeyBy(ctx)
	if err != nil {
		return nil, err
	}
	invitations, err := p.invitedBy(ctx)
	if err != nil {
		return nil, err
	}
	captured, err := p.IdP.CapturedBy(ctx)
	if err != nil {
		return nil, err
	}
	all := []Need{
		signing,
		{What: "second factors", One: "second factor", Count: factors},
		{What: "keys of NameIDs", One: "key of NameIDs", Count: name},
		{What: "sets of recovery codes", One: "set of recovery codes", Count: codes,
			Goes: "they work as long as their secret key is known; people get new ones at /factors, or secrets remove --void " +
				"removes them"},
		{What: "invitations to enrol a second factor", One: "invitation to enrol a second factor", Count: invitations,
			Goes: "they end a day after they were made; admin invite makes new ones, and secrets remove --void ends them"},
		{What: "captured assertions", One: "captured assertion", Count: captured,
			Goes: "they are deleted a day after they were kept"},
	}
	for _, id := range p.Sealer.KeyIDs() {
		rows, err := p.Store.SecretKeys().Vouched(ctx, id[:])
		if err != nil {
			return nil, err
		}
		for i, r := range rows {
			if len(all) < 6+len(rows) {
				all = append(all, Need{What: r.Many, One: r.One, Count: map[string]int{}})
			}
			all[6+i].Count[id.String()] = r.Count
		}
	}
	return all, nil
}

// invitedBy counts invitations by secret key. Those that name none were made while one was known: they count for each
// but the one in use.
func (p *App) invitedBy(ctx context.Context) (map[string]int, error) {
	count, err := p.IdP.Factors().InvitedBy(ctx)
	if err != nil {
		return nil, err
	}
	unnamed := count[""]
	delete(count, "")
	ids := p.SecretKeyIDs()
	if len(ids) > 1 {
		ids = ids[1:]
	}
	for _, id := range ids {
		count[id] += unnamed
	}
	return count, nil
}

func (p *App) sealedBy(sealed []byte, context string) string {
	id, ok := p.Sealer.SealedBy(sealed, context)
	if !ok {
		return ""
	}
	return id.String()
}

// Rotate makes anew, with the secret key in use, what another one has made. It returns how many things it has changed.
func (p *App) Rotate(ctx context.Context, e store.Event) (int, error) {
	changed, inUse := 0, p.Sealer.KeyIDs()[0]
	err := p.Store.Keys().Change(ctx, func(ring *store.KeyRing) ([]store.Event, error) {
		changed = 0 // it can run twice
		var events []store.Event
		for i, k := range ring.Keys {
			if len(k.Private) == 0 {
				continue
			}
			name := "signing-key:" + k.ID
			by, known := p.Sealer.SealedBy(k.Private, name)
			if !known {
				return nil, fmt.Errorf("open signing key %s: %w", k.ID, certs.ErrSealed)
			}
			if by == inUse {
				continue
			}
			private, err := p.Sealer.Open(k.Private, name)
			if err != nil {
				return nil, err
			}
			ring.Keys[i].Private, err = p.Sealer.Seal(private, name)
			clear(private)
			if err != nil {
				return nil, err
			}
			changed++
			event := e
			event.Action, event.Subject = "key-reseal", k.ID
			event.Detail = store.DetailOf(map[string]any{"from": by.String(), "to": inUse.String()})
			events = append(events, event)
		}
		return events, nil
	})
	if err != nil {
		return 0, fmt.Errorf("seal the signing keys with %s: %w", inUse, err)
	}
	factors, err := p.IdP.Factors().Reseal(ctx)
	if err != nil {
		return changed + factors, fmt.Errorf("seal the second factors with %s: %w", inUse, err)
	}
	renewed, err := p.IdP.SealNameKey(ctx, e)
	if err != nil {
		return changed + factors, err
	}
	if renewed {
		changed++
	}
	changed += factors
	signed, err := p.Audit().SignAnew(ctx)
	if err != nil {
		return changed, err
	}
	changed += signed
	// Last: what was made anew so far is vouched for by the secret key in use already.
	for _, id := range p.Sealer.KeyIDs()[1:] {
		vouched, err := p.Store.SecretKeys().Revouch(ctx, id[:])
		changed += vouched
		if err != nil {
			return changed, err
		}
	}
	// This replica's; each of the others does it when it starts with the new secret key.
	if err := p.pruneJournal(ctx); err != nil {
		return changed, err
	}
	return changed, nil
}
