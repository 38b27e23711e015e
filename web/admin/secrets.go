package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// Secrets is what can be done with the secret keys, which seal keys and second factors and vouch for what is stored.
// They serve all client accounts, so that everything here takes a scope of all.
type Secrets struct {
	Store  *store.DB
	Sealer *certs.Sealer
	IdP    *idp.IdP
	Audit  Audit

	Lacking func(ctx context.Context) ([]string, error) // running replicas that do not know the secret key in use here
	Chain   func(ctx context.Context) error             // puts the audit events that wait into the chain
	Journal func(ctx context.Context) error             // makes the revocation journal anew with the secret key in use
}

// The states of a secret key.
const (
	SecretInUse   = "in_use"
	SecretKnown   = "known"   // of the configuration, and not the first one
	SecretMissing = "missing" // not in the configuration, and something was made with it
	SecretRemoved = "removed"
)

// SecretKey is one secret key, by its id.
type SecretKey struct {
	ID        string
	State     string
	FirstUsed time.Time // zero: never
	NeededBy  []Needed
}

// Needed is how many things of a kind need a secret key.
type Needed struct {
	SecretNeed
	Count int
}

// Text is the count with its noun.
func (n Needed) Text() string { return plaintext.Count(n.Count, n.One, n.What) }

// SecretsStatus is how the secret keys stand.
type SecretsStatus struct {
	Keys     []SecretKey     // the one in use first
	Lost     []Needed        // what no known secret key opens
	Replicas []store.Replica // that run
}

// Status says which secret keys are in use, and what still needs an old one.
func (x Secrets) Status(ctx context.Context, s Scope) (status SecretsStatus, err error) {
	if err := s.whole(); err != nil {
		return status, err
	}
	used, err := x.Store.SecretKeys().List(ctx)
	if err != nil {
		return status, fmt.Errorf("list the secret keys that were used: %w", err)
	}
	needs, err := x.needs(ctx)
	if err != nil {
		return status, err
	}
	if status.Replicas, err = x.Store.Replicas().Running(ctx); err != nil {
		return status, fmt.Errorf("list the running replicas: %w", err)
	}
	known := x.ids()
	ids, first := slices.Clone(known), map[string]store.SecretKey{}
	for _, k := range used {
		first[k.ID] = k
		if !slices.Contains(ids, k.ID) {
			ids = append(ids, k.ID)
		}
	}
	for _, id := range ids {
		k := SecretKey{ID: id, State: SecretKnown, FirstUsed: first[id].FirstUsed}
		switch {
		case id == known[0]:
			k.State = SecretInUse
		case !first[id].RemovedAt.IsZero():
			k.State = SecretRemoved
		case !slices.Contains(known, id):
			k.State = SecretMissing
		}
		k.NeededBy = neededBy(needs, id)
		slices.SortFunc(k.NeededBy, func(a, b Needed) int { return cmp.Compare(a.What, b.What) })
		status.Keys = append(status.Keys, k)
	}
	status.Lost = neededBy(needs, "")
	return status, nil
}

// neededBy are the needs of one secret key.
func neededBy(needs []SecretNeed, id string) (all []Needed) {
	for _, n := range needs {
		if count := n.Count[id]; count > 0 {
			all = append(all, Needed{n, count})
		}
	}
	return all
}

// ids are those of the secret keys of the configuration, the one in use first.
func (x Secrets) ids() (all []string) {
	for _, id := range x.Sealer.KeyIDs() {
		all = append(all, id.String())
	}
	return all
}

// Rotate makes anew, with the secret key in use, what another one has made. It returns the id of the key, and how many
// things it has changed.
func (x Secrets) Rotate(ctx context.Context, s Scope, e store.Event) (id string, changed int, err error) {
	if err := s.whole(); err != nil {
		return "", 0, err
	}
	id = x.ids()[0]
	if err := x.allUpgraded(ctx); err != nil {
		return id, 0, err
	}
	// A replica that does not know the secret key in use could not read what is made now.
	lacks, err := x.Lacking(ctx)
	if err != nil {
		return id, 0, err
	}
	if len(lacks) > 0 {
		return id, 0, &Error{Field: "secret_keys", Fault: fmt.Sprintf("the secret key in use here, %s, is not known to the "+
			"running %s", id, strings.Join(lacks, ", ")),
			Hint: "add it to secret_keys on every replica and restart each. Nothing was changed"}
	}
	use := e
	use.Action, use.Subject = "secret-key-use", id
	if err := x.Store.SecretKeys().Use(ctx, id, use); err != nil {
		return id, 0, fmt.Errorf("note that secret key %s is in use: %w", id, err)
	}
	changed, err = x.rotate(ctx, e)
	return id, changed, err
}

// RemovedSecret is what became of the removal of an old secret key.
type RemovedSecret struct {
	ID          string
	Changed     int // things that were made anew
	Codes       int // sets of recovery codes that were ended
	Invitations int // that were ended
}

// Remove removes an old secret key when nothing needs it any more. void ends the recovery codes and invitations that
// need it: they can't be made anew. What was made anew or ended until then comes also with an error.
func (x Secrets) Remove(ctx context.Context, s Scope, text string, void bool, e store.Event) (done RemovedSecret,
	err error) {
	if err := s.whole(); err != nil {
		return done, err
	}
	if err := x.allUpgraded(ctx); err != nil {
		return done, err
	}
	id, public, err := x.removable(ctx, text)
	if err != nil {
		return done, err
	}
	done.ID = id.String()
	if void {
		if done.Codes, done.Invitations, err = x.IdP.Factors().Void(ctx, id, e); err != nil {
			return done, fmt.Errorf("end recovery codes and invitations: %w", err)
		}
	}
	if done.Changed, err = x.rotate(ctx, e); err != nil {
		return done, err
	}
	// What it has vouched for and is not in the chain yet would count as foreign later.
	if err := x.Chain(ctx); err != nil {
		return done, err
	}
	needs, err := x.needs(ctx)
	if err != nil {
		return done, err
	}
	if left := neededBy(needs, done.ID); len(left) > 0 {
		return done, stillNeeded(done.ID, left)
	}
	gone := e
	gone.Action, gone.Subject = "secret-key-remove", done.ID
	switch err := x.Store.SecretKeys().Remove(ctx, done.ID, public, gone); {
	case errors.Is(err, store.ErrNotFound):
		return done, &Error{Kind: Missing, Field: "id", Err: err,
			Fault: fmt.Sprintf("secret key %s was removed before, or never used", id),
			Hint:  "take it out of secret_keys on every replica, and restart each"}
	case err != nil:
		return done, fmt.Errorf("remove secret key %s: %w", id, err)
	}
	return done, nil
}

// stillNeeded refuses to remove a secret key that something needs.
func stillNeeded(id string, left []Needed) error {
	var what, hints []string
	act := NoAct
	for _, n := range left {
		what = append(what, n.Text())
		if n.Goes == "" {
			act = RotateSecrets
		}
		if n.Goes != "" && !slices.Contains(hints, n.Goes) {
			hints = append(hints, n.Goes)
		}
		if n.Voids {
			act = cmp.Or(act, VoidSecret)
		}
	}
	return &Error{Field: "id", Fault: fmt.Sprintf("secret key %s is still needed by %s", id, strings.Join(what, ", ")),
		Hint: strings.Join(hints, "; "), Act: act, About: id}
}

// allUpgraded refuses to make things anew with another secret key beside replicas of the version before. They know one
// alone: what is made anew can't be read there.
func (x Secrets) allUpgraded(ctx context.Context) error {
	return allUpgraded(ctx, x.Store, "knows one secret key alone")
}

// allUpgraded refuses what replicas of the version before do not know of: they announce themselves nowhere, and for an
// hour the upgrade can still be taken back. lacks says what it is.
func allUpgraded(ctx context.Context, db *store.DB, lacks string) error {
	now, err := db.OlderReplicaNow(ctx)
	if err != nil {
		return fmt.Errorf("look for replicas of the version before: %w", err) // OlderReplicas takes this for a no
	}
	if !now && !db.OlderReplicas(ctx) {
		return nil
	}
	return &Error{Fault: "a replica of the version before this one uses this database, or did within the last hour; it " +
		lacks,
		Hint: "upgrade every replica, and come back an hour after the last one was seen. Nothing was changed"}
}

// removable looks whether a secret key may go, as far as the configuration and the running replicas are concerned. It
// returns the public key of what it has signed of the audit log.
func (x Secrets) removable(ctx context.Context, text string) (id certs.KeyID, public []byte, err error) {
	known := x.Sealer.KeyIDs()
	i := slices.IndexFunc(known, func(k certs.KeyID) bool { return k.String() == strings.ToLower(store.TrimTyped(text)) })
	refuse := func(act Act, hint, format string, args ...any) (certs.KeyID, []byte, error) {
		return id, nil, &Error{Field: "id", Fault: fmt.Sprintf(format, args...), Hint: hint, Act: act}
	}
	switch {
	case i < 0:
		return refuse(ListSecrets, "one that is to be removed is still needed here, to read what it has made",
			"secret key %.40q is not in secret_keys", text)
	case i == 0:
		return refuse(NoAct, "put the new one first in secret_keys on every replica, and restart each",
			"secret key %s is the one in use", known[0])
	}
	id = known[i]
	running, err := x.Store.Replicas().Running(ctx)
	if err != nil {
		return id, nil, fmt.Errorf("list the running replicas: %w", err)
	}
	for _, r := range running {
		// It would make what nobody can read after the removal.
		if len(r.SecretKeys) > 0 && r.SecretKeys[0] == id.String() {
			return refuse(NoAct, "put the new one first in its secret_keys, and restart it",
				"replica %s still uses secret key %s", r.ID, id)
		}
		if !r.Knows(known[0].String()) {
			return refuse(NoAct, "add it to its secret_keys, and restart it",
				"replica %s does not know the secret key in use here, %s", r.ID, known[0])
		}
	}
	key, err := x.Audit.Key(id)
	return id, key, err
}
