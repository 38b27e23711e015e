package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

const (
	announceEvery = 10 * time.Second // well within store.ReplicaLife

	// A replica that was killed counts as running for store.ReplicaLife.
	replicaPatience = store.ReplicaLife + 5*time.Second
	replicaStep     = time.Second
)

// ErrOtherInstallation says that programs of another installation run on the database: each would sign with the keys,
// and give out the sessions, of the other one.
var ErrOtherInstallation = errors.New("another installation runs on this database")

// ErrSecretKey says that the secret keys of the configuration are not those that the store and the other replicas need.
var ErrSecretKey = errors.New("secret keys")

// Replica is this running program among the others on its store.
type Replica struct {
	parts *App
	self  store.Replica
}

func NewReplica(p *App) *Replica {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &Replica{p, store.Replica{
		ID: fmt.Sprintf("%s-%d-%d", host, os.Getpid(), p.Now().UnixNano()), SecretKeys: p.SecretKeyIDs(),
		EntityID: p.Config.EntityID,
	}}
}

// sealedBy is the id of the secret key that has sealed something; "" where no known one has.
func (p *App) sealedBy(sealed []byte, context string) string {
	id, ok := p.Sealer.SealedBy(sealed, context)
	if !ok {
		return ""
	}
	return id.String()
}

// SecretKeyIDs are the ids of the secret keys of the configuration, the one in use first.
func (p *App) SecretKeyIDs() []string { return secretKeyIDs(p.Sealer) }

func secretKeyIDs(sealer *certs.Sealer) []string {
	var ids []string
	for _, id := range sealer.KeyIDs() {
		ids = append(ids, id.String())
	}
	return ids
}

// begin announces the replica. It refuses to begin where this would break sign-ins: without a secret key that something
// in the store needs; with one in use that another running replica does not know; or where another identity provider
// runs on this database. Such a replica may have been killed a moment ago, so begin waits until it would be gone.
func (r *Replica) begin(ctx context.Context) error {
	p := r.parts
	if err := p.SecretKeysThere(ctx); err != nil {
		return err
	}
	if err := p.OwnSecretKey(ctx); err != nil {
		return err
	}
	for begun := p.Now(); ; {
		lacks, err := r.Lacking(ctx)
		if err != nil {
			return err
		}
		other, err := r.another(ctx)
		switch {
		case err != nil:
			return err
		case len(lacks) == 0 && other.ID == "":
			return r.use(ctx)
		case other.ID != "" && p.Now().Sub(begun) > replicaPatience:
			return fmt.Errorf("%w: %s is the identity provider %s, and the configuration has entity_id %s; stop it, or name a "+
				"database of its own in store.dsn", ErrOtherInstallation, other.ID, other.EntityID, r.self.EntityID)
		case p.Now().Sub(begun) > replicaPatience:
			return fmt.Errorf("%w: the one in use, %s, is not known to the running %s: %s", ErrSecretKey, r.self.SecretKeys[0],
				strings.Join(lacks, ", "), LackingFix(lacks))
		}
		wait := time.NewTimer(replicaStep)
		select {
		case <-ctx.Done():
			wait.Stop()
			return fmt.Errorf("wait for replicas that do not know the secret key in use: %w", ctx.Err())
		case <-wait.C:
		}
	}
}

// Lacking lists the running replicas that can't read what this one is going to make.
func (r *Replica) Lacking(ctx context.Context) ([]string, error) {
	running, err := r.parts.Store.Replicas().Running(ctx)
	if err != nil {
		return nil, err
	}
	var lacks []string
	for _, other := range running {
		if !other.Knows(r.self.SecretKeys[0]) {
			lacks = append(lacks, other.ID)
		}
	}
	older, err := r.olderLacks(ctx)
	if older {
		lacks = append(lacks, versionBefore)
	}
	return lacks, err
}

// another is a running replica that is another identity provider; none: its ID is "". A file is served by one program
// alone, so what is said to run there was killed.
func (r *Replica) another(ctx context.Context) (store.Replica, error) {
	if r.parts.Config.Store.DSN == "" {
		return store.Replica{}, nil
	}
	running, err := r.parts.Store.Replicas().Running(ctx)
	if err != nil {
		return store.Replica{}, err
	}
	for _, other := range running {
		if other.EntityID != r.self.EntityID {
			return other, nil
		}
	}
	return store.Replica{}, nil
}

// versionBefore stands among the ids of replicas for those of the version before, which announce themselves nowhere.
const versionBefore = "replica of the version before this one, which knows one secret key alone"

// LackingFix says what to do where replicas don't know the secret key in use.
func LackingFix(lacks []string) string {
	if slices.Contains(lacks, versionBefore) {
		return "upgrade every replica first, with the secret key that they know as the first one"
	}
	return "first add it as the second one of secret_keys on every replica, then put it first"
}

// olderLacks tells whether a replica of the version before is running, and does not know the secret key that this one
// is to use: its own is the one that sealed the signing keys.
func (r *Replica) olderLacks(ctx context.Context) (bool, error) {
	p := r.parts
	if running, err := p.Store.OlderReplicaNow(ctx); err != nil || !running {
		return false, err
	}
	keys, err := p.Store.Keys().List(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(keys, func(k store.SigningKey) bool {
		return len(k.Private) > 0 && p.sealedBy(k.Private, "signing-key:"+k.ID) != r.self.SecretKeys[0]
	}), nil
}

// use notes the secret key in use, before anything is made with it.
func (r *Replica) use(ctx context.Context) error {
	p, id := r.parts, r.self.SecretKeys[0]
	if err := p.Store.SecretKeys().Use(ctx, id, store.Event{
		At: p.Now().UTC(), Actor: "worker", Action: "secret-key-use", Subject: id, Outcome: "ok", Reason: "start",
	}); err != nil {
		return err
	}
	return p.Store.Replicas().Announce(ctx, r.self)
}

// run goes on announcing until ctx ends.
func (r *Replica) run(ctx context.Context) error {
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := r.parts.Store.Replicas().Leave(last, r.self.ID); err != nil {
				r.parts.log.Warn("this replica could not say that it stops; others count it for half a minute", "error", err)
			}
			return nil
		case <-tick.C:
			if err := r.parts.Store.Replicas().Announce(ctx, r.self); err != nil && ctx.Err() == nil {
				r.parts.log.Warn("this replica could not announce itself; tried again in ten seconds", "error", err)
			}
		}
	}
}

// SecretKeysThere refuses a configuration without a secret key that something in the store may need.
func (p *App) SecretKeysThere(ctx context.Context) error {
	used, err := p.Store.SecretKeys().List(ctx)
	if err != nil {
		return err
	}
	known := p.SecretKeyIDs()
	for _, k := range used {
		if k.RemovedAt.IsZero() && !slices.Contains(known, k.ID) {
			return fmt.Errorf("%w: %s, in use since %s, is missing in the configuration, which has %s: add its file to "+
				"secret_keys; "+
				"`ssobridge secrets status` shows what needs it", ErrSecretKey, k.ID, k.FirstUsed.UTC().Format(time.DateOnly),
				strings.Join(known, ", "))
		}
	}
	return nil
}

// OwnSecretKey is OwnSecretKey of the store and the configuration of these parts.
func (p *App) OwnSecretKey(ctx context.Context) error { return OwnSecretKey(ctx, p.Store, p.Sealer) }

// OwnSecretKey refuses secret keys that are all those of another installation: everything that was made with them here
// would be taken for a forgery later, the audit log first of all. Nothing is written by it.
func OwnSecretKey(ctx context.Context, db *store.DB, sealer *certs.Sealer) error {
	used, err := db.SecretKeys().List(ctx)
	if err != nil {
		return err
	}
	known, strange := secretKeyIDs(sealer), []string{}
	for _, k := range used {
		if slices.Contains(known, k.ID) {
			return nil
		}
		if k.RemovedAt.IsZero() {
			strange = append(strange, k.ID)
		}
	}
	if len(strange) > 0 {
		return fmt.Errorf("%w: the store belongs to %s, and the configuration has %s, which is another installation's: put "+
			"the file of the right one into secret_keys", ErrSecretKey, strings.Join(strange, ", "), strings.Join(known, ", "))
	}
	// Nothing was served with any so far: the keys that init has made say whose the store is.
	keys, err := db.Keys().List(ctx)
	if err != nil {
		return err
	}
	sealed := 0
	for _, k := range keys {
		if len(k.Private) == 0 {
			continue
		}
		if _, opens := sealer.SealedBy(k.Private, "signing-key:"+k.ID); opens {
			return nil
		}
		sealed++
	}
	if sealed == 0 {
		return nil
	}
	return fmt.Errorf("%w: the configuration has %s, which opens none of the %d signing keys in the store: it is another "+
		"installation's. Put the file of the right one into secret_keys", ErrSecretKey, strings.Join(known, ", "), sealed)
}
