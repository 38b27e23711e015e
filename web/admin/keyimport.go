package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// ImportedKey is a key that another identity provider signed with, as files.
type ImportedKey struct {
	Files      [][]byte // certificate and private key: PEM, DER or PKCS #12, see certs.ReadKey
	Passphrase string   // of PKCS #12
	Use        string   // "": Signing
}

// Import takes a key over from another identity provider, so that service providers that know its certificate notice
// nothing. The certificate is kept byte for byte. The key is in state next, or active where it is the first of its use,
// as one that is made here. notes are what to know about it.
func (k Keys) Import(ctx context.Context, scope Scope, in ImportedKey,
	e store.Event) (key Key, notes []string, err error) {
	if err := scope.whole(); err != nil {
		return Key{}, nil, err
	}
	in.Use = cmp.Or(in.Use, Signing)
	if in.Use != Signing && in.Use != ForMetadata {
		return Key{}, nil, &Error{Field: "use", Fault: fmt.Sprintf("a key can't be for %.40q", in.Use),
			Hint: "choose signing or metadata"}
	}
	read, err := certs.ReadKey(in.Passphrase, in.Files...)
	if err != nil {
		return Key{}, nil, unreadKey(err)
	}
	stored, err := k.Store.Keys().List(ctx)
	if err != nil {
		return Key{}, nil, fmt.Errorf("list signing keys: %w", err)
	}
	if i := slices.IndexFunc(stored, func(s store.SigningKey) bool { return s.ID == read.ID }); i >= 0 {
		fault := fmt.Sprintf("key %s is here already, %s", read.ID, stored[i].State)
		if certs.State(stored[i].State) == certs.Retired {
			fault = fmt.Sprintf("key %s was retired here, and a retired key never comes back", read.ID)
		}
		return Key{}, nil, &Error{Field: "files", Fault: fault, Act: ListKeys}
	}
	state := certs.Active
	if slices.ContainsFunc(stored,
		func(s store.SigningKey) bool { return s.Use == in.Use && certs.State(s.State).Public() }) {
		state = certs.Next
	}
	e.Detail = store.DetailOf(map[string]any{"algorithm": read.Algorithm, "use": in.Use, "state": state, "imported": true})
	if err := k.add(ctx, read, in.Use, "", state, e); err != nil {
		return Key{}, nil, refusal(err)
	}
	if read.Algorithm == certs.RSA2048 {
		notes = append(notes, "it is RSA of 2048 bits, the least that is taken: plan a new key once everything runs here")
	}
	if end := read.Certificate.NotAfter; !end.After(k.Now()) {
		notes = append(notes, fmt.Sprintf("its certificate ended on %s: service providers that check dates refuse it",
			end.UTC().Format(time.DateOnly)))
	}
	if flaw := certs.Flaw(read.Certificate.Raw); flaw != nil {
		notes = append(notes, "its certificate breaks the rules of X.509 ("+flaw.Error()+"), and is kept as it is")
	}
	return Key{
		ID: read.ID, Use: in.Use, State: string(state), Algorithm: string(read.Algorithm), Since: e.At,
		NotAfter: read.Certificate.NotAfter, Certificate: read.Certificate.Raw,
		Fingerprint: certs.Fingerprint(read.Certificate.Raw),
	}, notes, nil
}

// unreadKey says what is wrong with a key's files. They hold a secret: nothing of them is repeated.
func unreadKey(err error) error {
	e := &Error{Field: "files", Fault: "the key can't be imported: " + err.Error(),
		Hint: "give the private key and its certificate, as PEM or together as PKCS #12", Err: err}
	switch {
	case errors.Is(err, certs.ErrPassphrase):
		e.Field, e.Hint = "passphrase", "give the one with which the file was exported, in a file of its own"
	case errors.Is(err, certs.ErrIterations):
		e.Hint = "export it again with fewer: openssl pkcs12 -export -iter 2048"
	case errors.Is(err, certs.ErrEncryptedPEM):
		e.Hint = "put both into PKCS #12: openssl pkcs12 -export -inkey KEY -in CERTIFICATE -out idp.p12"
	}
	return e
}
