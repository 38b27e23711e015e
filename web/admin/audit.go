package admin

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// Audit is what is done with the audit log: it is signed at checkpoints, and verified by them.
type Audit struct {
	Store     *store.DB
	Sealer    *certs.Sealer
	Directory PersonReader // for people by login name
	Now       func() time.Time
}

// CheckpointKey names the key that signs checkpoints, purges and cuts of the audit log, and the lease of who does it.
// It is derived from secret_key, which never stands in the database: who can write that can make no checkpoint.
const CheckpointKey = "audit-seal"

// Sign signs for the audit log, with the secret key in use.
func (a Audit) Sign(message []byte) []byte {
	return ed25519.Sign(ed25519.NewKeyFromSeed(a.Sealer.Derive(CheckpointKey)), message)
}

// Checkpoint signs the head of the chain. It stores nothing: who asks writes it outside of the database first.
func (a Audit) Checkpoint(head store.Link) store.Checkpoint {
	s := store.Checkpoint{Seq: head.Seq, Hash: head.Hash, At: a.Now().UTC().Truncate(time.Microsecond)}
	s.Signature = a.Sign(s.Message())
	return s
}

// Key is the public key of what a known secret key has signed of the audit log.
func (a Audit) Key(id certs.KeyID) (ed25519.PublicKey, error) {
	seed, known := a.Sealer.DeriveBy(id, CheckpointKey)
	if !known {
		return nil, fmt.Errorf("secret key %s is not known", id)
	}
	public, ok := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the key of the checkpoints is none of Ed25519")
	}
	return public, nil
}

// keys are those of all known secret keys, the one in use first.
func (a Audit) keys() (all []ed25519.PublicKey, err error) {
	for _, id := range a.Sealer.KeyIDs() {
		public, err := a.Key(id)
		if err != nil {
			return nil, err
		}
		all = append(all, public)
	}
	return all, nil
}

// signedBy checks that one of these keys has signed.
func signedBy(keys []ed25519.PublicKey) func(message, signature []byte) bool {
	return func(message, signature []byte) bool {
		return slices.ContainsFunc(keys, func(public ed25519.PublicKey) bool {
			return ed25519.Verify(public,
				message, signature)
		})
	}
}

// Signing is what purges and cuts of the audit log are signed and checked with: checked by the keys that are known, and
// checkpoints by those of secret keys that were removed. One may have been removed since it leaked: what it says was
// purged or cut counts only as far as it was signed anew at its removal.
func (a Audit) Signing(ctx context.Context) (store.Signing, error) {
	// A checkpoint that was signed before the secret key was replaced is as good as a later one.
	known, err := a.keys()
	if err != nil {
		return store.Signing{}, err
	}
	removed, err := a.Store.SecretKeys().List(ctx)
	if err != nil {
		return store.Signing{}, err
	}
	var former []ed25519.PublicKey
	for _, k := range removed { // the store gives it for a removed one alone, whose row is vouched for
		if len(k.AuditKey) == ed25519.PublicKeySize {
			former = append(former, ed25519.PublicKey(k.AuditKey))
		}
	}
	byKnown, byFormer := signedBy(known), signedBy(former)
	return store.Signing{Sign: a.Sign, Holds: func(message, signature []byte) bool {
		return byKnown(message, signature) || store.OfCheckpoint(message) && byFormer(message, signature)
	}}, nil
}

// SignAnew signs, with the secret key in use, what an older one has signed of purges and cuts.
func (a Audit) SignAnew(ctx context.Context) (int, error) {
	known, err := a.keys()
	if err != nil {
		return 0, err
	}
	changed, err := a.Store.Audit().Resign(ctx, store.Signing{Sign: a.Sign, Holds: signedBy(known)}, signedBy(known[:1]))
	if err != nil {
		return 0, fmt.Errorf("sign the audit's purges and cuts anew: %w", err)
	}
	return changed, nil
}

// Verification is what verifying the audit log has found.
type Verification struct {
	store.Verified
	Tampered string            // the first entry that is not as it was, and why; "": none
	Break    *store.AuditBreak // what can be acknowledged; nil: nothing
}

// Intact tells that every event is as the bridge wrote it, and none is by anybody else.
func (v Verification) Intact() bool { return v.Tampered == "" && v.Foreign == 0 }

// newVerification turns what the store has found. err is a failure to verify.
func newVerification(v store.Verified, err error) (Verification, error) {
	found := Verification{Verified: v}
	if b, ok := store.FoundBreak(v, err); ok {
		found.Break = &b
	}
	if broken, ok := errors.AsType[*store.ChainError](err); ok {
		found.Tampered = broken.Error()
		return found, nil
	}
	if err != nil {
		return found, fmt.Errorf("verify the audit: %w", err)
	}
	return found, nil
}

// Verify compares the audit log with its checkpoints: those in the database, and those that were kept outside. An error
// means that it could not be verified; what was found stands in the Verification.
func (a Audit) Verify(ctx context.Context, scope Scope, outside []store.Checkpoint) (Verification, error) {
	if err := scope.whole(); err != nil {
		return Verification{}, err
	}
	signing, err := a.Signing(ctx)
	if err != nil {
		return Verification{}, err
	}
	v, err := a.Store.Audit().Verify(ctx, outside, signing.Holds)
	return newVerification(v, err)
}
