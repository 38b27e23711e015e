package idp

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	bigendian "encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"golang.org/x/text/unicode/norm"

	"ssobridge/idp/saml"
	"ssobridge/store"
)

// A service provider knows people by their NameID alone. One that two people get, one after the other or at once, gives
// the second the account of the first: by a template over an attribute that people edit themselves, by a mail address
// that is given to somebody new, by an id that is used again. So a NameID that a person got once is given to nobody
// else there, until an administrator releases it.

const (
	nameKeyContext = "name-id-key"
	nameKeySize    = 32
	takeOverBite   = 500
)

// nameHashes makes the hashes under which NameIDs are kept. They have a key, so that who reads the database can't find
// out by guessing which addresses were issued.
type nameHashes struct{ key []byte }

// readNameKey opens the key of the hashes, or makes it. It is sealed like a signing key: without secret_key no NameID
// is issued, since nobody could tell whose it is.
func (p *IdP) readNameKey(ctx context.Context) (*nameHashes, error) {
	sealed, err := p.o.NameIDs.Key(ctx, nil)
	if errors.Is(err, store.ErrNotFound) {
		key := make([]byte, nameKeySize)
		rand.Read(key) // like the nonces of what is sealed: from no source that a caller could fix; it never fails
		proposed, err := p.o.Sealer.Seal(key, nameKeyContext)
		if err != nil {
			return nil, fmt.Errorf("seal the key of NameIDs: %w", err)
		}
		if sealed, err = p.o.NameIDs.Key(ctx, proposed); err != nil { // another replica's, if it was first
			return nil, fmt.Errorf("store the key of NameIDs: %w", err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("read the key of NameIDs: %w", err)
	}
	key, err := p.o.Sealer.Open(sealed, nameKeyContext)
	if err != nil {
		return nil, fmt.Errorf("open the key of NameIDs: %w", err)
	}
	return &nameHashes{key}, nil
}

// SealNameKey seals the key of NameIDs with the secret key in use, where another one has sealed it. changed is false
// where there is nothing to do.
func (p *IdP) SealNameKey(ctx context.Context, events ...store.Event) (changed bool, err error) {
	sealed, err := p.o.NameIDs.Key(ctx, nil)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the key of NameIDs: %w", err)
	}
	if id, known := p.o.Sealer.SealedBy(sealed, nameKeyContext); known && id == p.o.Sealer.KeyIDs()[0] {
		return false, nil
	}
	key, err := p.o.Sealer.Open(sealed, nameKeyContext)
	if err != nil {
		return false, fmt.Errorf("open the key of NameIDs: %w", err)
	}
	again, err := p.o.Sealer.Seal(key, nameKeyContext)
	if err != nil {
		return false, fmt.Errorf("seal the key of NameIDs: %w", err)
	}
	if err := p.o.NameIDs.SealKey(ctx, sealed, again, events...); err != nil {
		return false, fmt.Errorf("store the key of NameIDs: %w", err)
	}
	return true, nil
}

// NameKeyBy counts the key of NameIDs, where there is one, by the id of the secret key that has sealed it; "" where no
// known one opens it.
func (p *IdP) NameKeyBy(ctx context.Context) (map[string]int, error) {
	sealed, err := p.o.NameIDs.Key(ctx, nil)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return map[string]int{}, nil
	case err != nil:
		return nil, fmt.Errorf("read the key of NameIDs: %w", err)
	}
	if id, ok := p.o.Sealer.SealedBy(sealed, nameKeyContext); ok {
		return map[string]int{id.String(): 1}, nil
	}
	return map[string]int{"": 1}, nil
}

// hash is a keyed hash of fields, which are kept apart by their lengths.
func (h *nameHashes) hash(what string, fields ...string) []byte {
	m := hmac.New(sha256.New, h.key)
	for _, field := range append([]string{what}, fields...) {
		m.Write(bigendian.BigEndian.AppendUint64(nil, uint64(len(field))))
		m.Write([]byte(field))
	}
	return m.Sum(nil)
}

// of is what is noted of a NameID; ok is false for one that is another each time.
func (h *nameHashes) of(entityID, format, nameID string, person store.PersonID) (n store.NameID, ok bool) {
	if saml.Format(format) == saml.FormatTransient {
		return n, false
	}
	return store.NameID{
		Name: h.hash("name", entityID, nameForm(format, nameID)), Owner: h.hash("person", string(person)), Person: person,
		EntityID: entityID,
	}, true
}

// NameOwner is the keyed hash by which NameIDs are a person's.
func (p *IdP) NameOwner(ctx context.Context, person store.PersonID) ([]byte, error) {
	names, err := p.readNameKey(ctx)
	if err != nil {
		return nil, err
	}
	return names.hash("person", string(person)), nil
}

// transient is the transient NameID of a session at a service provider: nobody who sees two of them can tell that they
// are one person's, and within the session it is the same, so that a logout by it ends the session (saml-core 8.3.8).
// The session's token is random, so this is: it needs no record of its own.
func (h *nameHashes) transient(entityID string, session []byte) string {
	return "_" + hex.EncodeToString(h.hash("transient", entityID, string(session)))
}

// nameForm is the form in which service providers compare NameIDs, at the widest. An address is one in any letter case,
// also under a format that says nothing of it; so is a Windows name. The formats are not told apart otherwise: with
// another format in the record, a NameID is still the same person's.
func nameForm(format, nameID string) string {
	format = saml.Format(format)
	if format == saml.FormatEmail || format == saml.FormatWindowsDomain || strings.Contains(nameID, "@") {
		return "folded " + strings.ToLower(norm.NFKC.String(nameID))
	}
	return "exact " + nameID
}

// IssuedNameID tells to whom a NameID was issued at a service provider, if it was. store.ErrNotFound: to nobody.
func (p *IdP) IssuedNameID(ctx context.Context, sp store.ServiceProvider, nameID string) (store.NameID, error) {
	names, err := p.readNameKey(ctx)
	if err != nil {
		return store.NameID{}, err
	}
	n, noted := names.of(sp.EntityID, sp.NameIDFormat, nameID, "")
	if !noted {
		return n, fmt.Errorf("NameID at %s: its format is transient: %w", sp.EntityID, store.ErrNotFound)
	}
	n, err = p.o.NameIDs.Get(ctx, n.Name)
	if err != nil {
		return n, fmt.Errorf("NameID at %s: %w", sp.EntityID, err)
	}
	return n, nil
}

// ReleaseNameID forgets to whom a NameID was issued: the next person who would get it gets it. The NameID itself is in
// no event: it may be a mail address. store.ErrConflict: it was released or issued again meanwhile.
func (p *IdP) ReleaseNameID(ctx context.Context, n store.NameID, e store.Event) error {
	e.Action, e.Subject, e.SP, e.Outcome = "name-id-release", string(n.Person), n.EntityID, "ok"
	if err := p.o.NameIDs.Release(ctx, n, e); err != nil {
		return fmt.Errorf("release a NameID at %s: %w", n.EntityID, err)
	}
	return nil
}

// ReleaseAllNameIDs forgets to whom any NameID was issued, with the key of their hashes: the way on where the secret
// key that sealed it is lost.
func (p *IdP) ReleaseAllNameIDs(ctx context.Context, e store.Event) error {
	e.Action, e.Subject, e.Outcome = "name-id-release", "all", "ok"
	if err := p.o.NameIDs.ReleaseAll(ctx, e); err != nil {
		return fmt.Errorf("release all NameIDs: %w", err)
	}
	return nil
}

// TakeOverNameIDs notes the NameIDs of live sessions that the version before has issued; it returns how many it looked
// at.
func (p *IdP) TakeOverNameIDs(ctx context.Context) (int, error) {
	names, err := p.readNameKey(ctx)
	if err != nil {
		return 0, err
	}
	of := func(b store.IssuedBefore) (store.NameID, bool) {
		return names.of(b.EntityID, b.NameIDFormat, b.NameID, b.Person)
	}
	clash := func(b store.IssuedBefore) {
		p.o.Logger.LogAttrs(ctx, slog.LevelError, "two people have got one NameID at a service provider; the one who got "+
			"it first keeps it",
			slog.String("sp", b.EntityID), slog.String("other_person", string(b.Person)))
	}
	total := 0
	for {
		n, err := p.o.NameIDs.TakeOver(ctx, takeOverBite, of, clash)
		if total += n; err != nil {
			return total, fmt.Errorf("take over issued NameIDs: %w", err)
		}
		if n < takeOverBite {
			return total, nil
		}
	}
}
