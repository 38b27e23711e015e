package admin

import (
	"context"
	"errors"
	"fmt"

	"ssobridge/certs"
	"ssobridge/store"
)

// SecretNeed is a kind of thing in the store that secret keys have made.
type SecretNeed struct {
	What  string // in the plural
	One   string
	Count map[string]int // by the id of the secret key; "" for what no known one opens
	Goes  string         // how what an old one has made goes away; "": it is made anew by Rotate
	Voids bool           // Remove ends it where that is asked for
}

// needs lists what each secret key has made.
func (x Secrets) needs(ctx context.Context) ([]SecretNeed, error) {
	keys, err := x.Store.Keys().List(ctx)
	if err != nil {
		return nil, err
	}
	signing := SecretNeed{What: "signing keys", One: "signing key", Count: map[string]int{}}
	for _, k := range keys {
		if len(k.Private) > 0 {
			signing.Count[sealedBy(x.Sealer, k.Private, "signing-key:"+k.ID)]++
		}
	}
	factors, codes, err := x.IdP.Factors().SealedBy(ctx)
	if err != nil {
		return nil, err
	}
	name, err := x.IdP.NameKeyBy(ctx)
	if err != nil {
		return nil, err
	}
	invitations, err := x.invitedBy(ctx)
	if err != nil {
		return nil, err
	}
	captured, err := x.IdP.CapturedBy(ctx)
	if err != nil {
		return nil, err
	}
	list, err := x.Store.Notices().Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	subscriptions := SecretNeed{What: "subscriptions to notices", One: "subscription to notices", Count: map[string]int{}}
	for _, sub := range list {
		subscriptions.Count[sealedBy(x.Sealer, sub.Sealed, noticeContext(sub.ID, sub.Kind))]++
	}
	all := []SecretNeed{
		signing,
		{What: "second factors", One: "second factor", Count: factors},
		{What: "keys of NameIDs", One: "key of NameIDs", Count: name},
		{What: "sets of recovery codes", One: "set of recovery codes", Count: codes,
			Goes: "recovery codes work as long as their secret key is known, and people get new ones at /factors", Voids: true},
		{What: "invitations to enrol a second factor", One: "invitation to enrol a second factor", Count: invitations,
			Goes: "invitations end a day after they were made", Voids: true},
		{What: "captured assertions", One: "captured assertion", Count: captured,
			Goes: "captured assertions are deleted a day after they were kept"},
		subscriptions,
	}
	own := len(all)
	for _, id := range x.Sealer.KeyIDs() {
		rows, err := x.Store.SecretKeys().Vouched(ctx, id[:])
		if err != nil {
			return nil, err
		}
		for i, r := range rows {
			if len(all) < own+len(rows) {
				all = append(all, SecretNeed{What: r.Many, One: r.One, Count: map[string]int{}})
			}
			all[own+i].Count[id.String()] = r.Count
		}
	}
	return all, nil
}

// invitedBy counts invitations by secret key. Those that name none were made while one was known: they count for each
// but the one in use.
func (x Secrets) invitedBy(ctx context.Context) (map[string]int, error) {
	count, err := x.IdP.Factors().InvitedBy(ctx)
	if err != nil {
		return nil, err
	}
	unnamed := count[""]
	delete(count, "")
	ids := x.ids()
	if len(ids) > 1 {
		ids = ids[1:]
	}
	for _, id := range ids {
		count[id] += unnamed
	}
	return count, nil
}

// sealedBy is the id of the secret key that has sealed something; "" where no known one has.
func sealedBy(sealer *certs.Sealer, sealed []byte, context string) string {
	id, ok := sealer.SealedBy(sealed, context)
	if !ok {
		return ""
	}
	return id.String()
}

// rotate makes anew, with the secret key in use, what another one has made. It returns how many things it has changed.
func (x Secrets) rotate(ctx context.Context, e store.Event) (int, error) {
	changed, inUse := 0, x.Sealer.KeyIDs()[0]
	err := x.Store.Keys().Change(ctx, func(ring *store.KeyRing) ([]store.Event, error) {
		changed = 0 // it can run twice
		var events []store.Event
		for i, k := range ring.Keys {
			if len(k.Private) == 0 {
				continue
			}
			name := "signing-key:" + k.ID
			by, known := x.Sealer.SealedBy(k.Private, name)
			if !known {
				return nil, fmt.Errorf("open signing key %s: %w", k.ID, certs.ErrSealed)
			}
			if by == inUse {
				continue
			}
			private, err := x.Sealer.Open(k.Private, name)
			if err != nil {
				return nil, err
			}
			ring.Keys[i].Private, err = x.Sealer.Seal(private, name)
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
	factors, err := x.IdP.Factors().Reseal(ctx)
	if err != nil {
		return changed + factors, fmt.Errorf("seal the second factors with %s: %w", inUse, err)
	}
	renewed, err := x.IdP.SealNameKey(ctx, e)
	if err != nil {
		return changed + factors, err
	}
	if renewed {
		changed++
	}
	changed += factors
	subscriptions, err := x.resealNotices(ctx)
	changed += subscriptions
	if err != nil {
		return changed, err
	}
	signed, err := x.Audit.SignAnew(ctx)
	if err != nil {
		return changed, err
	}
	changed += signed
	// Last: what was made anew so far is vouched for by the secret key in use already.
	for _, id := range x.Sealer.KeyIDs()[1:] {
		vouched, err := x.Store.SecretKeys().Revouch(ctx, id[:])
		changed += vouched
		if err != nil {
			return changed, err
		}
	}
	// This replica's; each of the others does it when it starts with the new secret key.
	if err := x.Journal(ctx); err != nil {
		return changed, err
	}
	return changed, nil
}

// resealNotices seals anew where notices go.
func (x Secrets) resealNotices(ctx context.Context) (changed int, err error) {
	list, err := x.Store.Notices().Subscriptions(ctx)
	if err != nil {
		return 0, err
	}
	for _, sub := range list {
		name := noticeContext(sub.ID, sub.Kind)
		if by, known := x.Sealer.SealedBy(sub.Sealed, name); !known || by == x.Sealer.KeyIDs()[0] {
			continue // what can't be opened is named by what is still needed
		}
		plain, err := x.Sealer.Open(sub.Sealed, name)
		if err != nil {
			return changed, err
		}
		sealed, err := x.Sealer.Seal(plain, name)
		clear(plain)
		if err != nil {
			return changed, err
		}
		// Whoever changed it meanwhile has sealed it by the secret key in use.
		err = x.Store.Notices().ResealSubscription(ctx, sub.ID, sub.Sealed, sealed)
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return changed, fmt.Errorf("seal the subscription %s anew: %w", sub.ID, err)
		}
		changed++
	}
	return changed, nil
}
