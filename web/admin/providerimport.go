package admin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/metadata"
	"ssobridge/store"
)

// NewProvider is a service provider to register by its metadata (a document, or the address of one), or without any, by
// its EntityID and ACS.
type NewProvider struct {
	Document io.Reader         // nil or empty: Address says where it is
	Address  string            // https; it is read again in the background then
	EntityID string            // which one, where the metadata describes several
	TrustKey *x509.Certificate // whose key must have signed it; nil: the signature is not checked
	Every    time.Duration     // with an address: read it again at least so often; 0: as the metadata says
	Once     bool              // with an address: do not read it again
	ACS      string            // without metadata: where Responses are posted

	// What is set beside the metadata; empty: as the metadata says, or as it is registered.
	Name, NameID, NameIDFormat string
	Groups                     []string
	Attributes                 []store.Attribute
	Settings                   []Change // any others, as Set takes them; they come last
	ReleaseRequested           bool     // release the attributes that the metadata asks for, as far as they are known
	IgnoreEnd                  bool     // the end that the metadata names counts for nothing

	Replace bool // what is registered of it: addresses and keys are taken from the metadata, its settings stay
}

// How often metadata can be read again.
const (
	OftenestRefresh = 5 * time.Minute
	RarestRefresh   = 720 * time.Hour
)

// Difference is one thing that differs between two records of a service provider.
type Difference = metadata.Difference

// Import is what was understood of metadata, and what would be saved.
type Import struct {
	Said     metadata.Imported      // what the metadata says
	Record   store.ServiceProvider  // what would be saved
	Before   *store.ServiceProvider // what is registered now; nil: nothing
	Facts    []metadata.Difference  // of what the metadata says, against nothing
	Changes  []metadata.Difference  // of the record against what is registered
	Sides    []metadata.Side        // the same changes, with all values of both records
	Notes    []string               // to look at before it is saved
	Warnings []Finding              // what will fail, or could be better, and what to do about it
	Seen     string                 // names what was shown: another record has another one
}

// Import reads the metadata and makes the record. It saves nothing. Nothing but the address that is given is fetched.
func (p Providers) Import(ctx context.Context, scope Scope, n NewProvider) (Import, error) {
	if err := scope.whole(); err != nil {
		return Import{}, err
	}
	n.IgnoreEnd = n.IgnoreEnd || slices.Contains(n.Settings, Change{"ignore_valid_until", "true"})
	if n.Address == "" && (n.Every != 0 || n.Once) {
		return Import{}, &Error{Field: "every", Fault: "reading again is for an address, and none was given"}
	}
	if n.Every != 0 && (n.Once || n.Every < OftenestRefresh || n.Every > RarestRefresh) {
		return Import{}, &Error{Field: "every", Fault: fmt.Sprintf("metadata can't be read again every %s", n.Every),
			Hint: "choose 5m to 720h, and not beside reading it once"}
	}
	said, err := p.read(ctx, n)
	if err != nil {
		return Import{}, err
	}
	bare := len(said.Provider.Metadata) == 0
	im := Import{Said: said, Record: said.Provider, Notes: said.Notes}
	old, err := p.Store.ServiceProviders().Get(ctx, said.Provider.EntityID)
	switch {
	case err == nil && bare:
		return im, &Error{Field: "entity_id", Fault: fmt.Sprintf("service provider %s is registered already", old.EntityID),
			Hint: "acs is one of its settings", Act: ShowProvider, About: old.EntityID}
	case err == nil && !n.Replace:
		return im, registered(old.EntityID)
	case err == nil:
		record, notes := said.Replacing(old)
		im.Record, im.Before, im.Notes = record, &old, append(im.Notes, notes...)
	case !errors.Is(err, store.ErrNotFound):
		return im, fmt.Errorf("look for service provider %s: %w", said.Provider.EntityID, err)
	}
	if err := p.settle(&im, n); err != nil {
		return im, about(im.Record.EntityID, ListSettings, err)
	}
	if err := p.check(im.Record, cannotRegister); err != nil {
		return im, err
	}
	var ends []string
	if im.Before != nil {
		ends = endsReading(im.Before.Source, im.Record.Source)
		im.Notes = append(im.Notes, ends...)
	}
	im.Facts = metadata.Differences(store.ServiceProvider{Name: im.Record.Name}, said.Provider)
	if im.Before != nil {
		im.Changes = metadata.Differences(*im.Before, im.Record)
		im.Sides = metadata.Sides(*im.Before, im.Record)
	}
	im.Warnings = p.warnings(im, n)
	im.Seen, err = seenRecord(im.Record, im.Changes, ends)
	return im, err
}

// cannotRegister stands above the faults of a record.
const cannotRegister = "the service provider can't be registered"

// registered says that there is one already.
func registered(entityID string) error {
	return &Error{Field: "entity_id", Fault: fmt.Sprintf("service provider %s is registered already", entityID),
		Act: ReplaceProvider, About: entityID}
}

// read reads the metadata from wherever it is, as a stream.
func (p Providers) read(ctx context.Context, n NewProvider) (metadata.Imported, error) {
	if n.ACS != "" {
		return p.bare(n)
	}
	from, where := n.Document, "document"
	if n.Address != "" {
		where = "address"
		if n.Document != nil {
			return metadata.Imported{}, &Error{Field: where, Fault: "a document and an address were given",
				Hint: "keep one of the two"}
		}
		if err := p.Fetcher.Check(n.Address); err != nil {
			return metadata.Imported{}, &Error{Field: where, Fault: fmt.Sprintf("metadata is not fetched from there: %v", err),
				Hint: "give an https address, or the document itself", Err: err}
		}
		body, err := p.Fetcher.Open(ctx, n.Address)
		if err != nil {
			return metadata.Imported{}, unread(where, err)
		}
		defer body.Close()
		from = body
	}
	if from == nil {
		return metadata.Imported{}, &Error{Field: where, Fault: "no metadata was given",
			Hint: "give the document, or its https address; without metadata, the entity ID and the ACS"}
	}
	im, err := metadata.Read(from, metadata.ReadOptions{EntityID: n.EntityID, TrustKey: n.TrustKey,
		AllowLoopbackHTTP: p.AllowLoopbackHTTP, MaxBytes: p.MaxMetadata, IgnoreEnd: n.IgnoreEnd, Now: p.Now()})
	faults := metadataError(err)
	switch {
	case faults != nil:
		faults.Field, faults.Err = where, err
		faults.Hint = "ask the service provider for its SAML 2.0 metadata"
		if n.EntityID == "" && strings.Contains(err.Error(), "entityID") {
			faults.Field, faults.Hint, faults.Act = "entity_id", "", NameEntity
		}
		return im, faults
	case err != nil:
		return im, unread(where, err)
	}
	return im, nil
}

// bare is a service provider that publishes no metadata: its entity ID and where Responses go.
func (p Providers) bare(n NewProvider) (metadata.Imported, error) {
	switch {
	case n.Document != nil || n.Address != "" || n.TrustKey != nil:
		return metadata.Imported{}, &Error{Field: "acs", Fault: "metadata and an ACS were given",
			Hint: "keep one of the two: metadata says where Responses go"}
	case store.TrimTyped(n.EntityID) == "":
		return metadata.Imported{}, &Error{Field: "entity_id", Fault: "the entity ID is missing",
			Hint: "give the URI by which the service provider names itself"}
	case n.ReleaseRequested:
		return metadata.Imported{}, &Error{Field: "release_requested", Fault: "without metadata nothing is asked for",
			Hint: "name the attributes"}
	}
	return metadata.Bare(store.TrimTyped(n.EntityID), store.TrimTyped(n.ACS)), nil
}

// unread is metadata that could not be had. What the network said helps who administers it, and is about an address
// that the same administrator has given.
func unread(where string, err error) error {
	return &Error{Kind: Outside, Field: where, Fault: "the metadata could not be read: " + err.Error(),
		Hint: "try it again, or give the document itself", Err: err}
}

// settle puts into the record what is set beside the metadata.
func (p Providers) settle(im *Import, n NewProvider) error {
	sp := &im.Record
	sp.Name = cmp.Or(n.Name, sp.Name, sp.EntityID)
	sp.NameID, sp.NameIDFormat = cmp.Or(n.NameID, sp.NameID), cmp.Or(n.NameIDFormat, sp.NameIDFormat)
	if len(n.Groups) > 0 {
		sp.Groups = n.Groups
	}
	if len(n.Attributes) > 0 {
		sp.Attributes = n.Attributes
	}
	if n.ReleaseRequested {
		im.Notes = append(im.Notes, release(sp, im.Said.Requested)...)
	}
	now, again := p.Now().UTC(), n.Address != "" && !n.Once
	noEnd := n.IgnoreEnd || im.Before != nil && im.Before.Source != nil && im.Before.Source.NoEnd
	until := im.Said.ValidUntil
	if noEnd {
		until = time.Time{}
	}
	sp.Source = nil
	if again || noEnd || !until.IsZero() {
		sp.Source = &store.Source{ReadAt: now, ValidUntil: until, NoEnd: noEnd}
	}
	if again {
		sp.Source.URL, sp.Source.EveryAtMost, sp.Source.NextAt = n.Address, n.Every, im.Said.NextRefresh(now, n.Every, 0)
		if n.TrustKey != nil {
			sp.Source.TrustKey = n.TrustKey.Raw
		}
	}
	for _, c := range n.Settings {
		if err := idp.SetSetting(sp, c.Key, c.Value); err != nil {
			return err
		}
	}
	return nil
}

// endsReading says what ends of how the metadata was read again: an import takes its own source in place of the former
// one, and a record that nobody refreshes, or whose signature nobody checks, looks like the one before.
func endsReading(was, is *store.Source) []string {
	switch {
	case was == nil || was.URL == "":
		return nil
	case is == nil || is.URL == "":
		return []string{"its metadata is not read again from " + was.URL + " any more; give that address in place of the " +
			"document if it is still to be"}
	case len(was.TrustKey) > 0 && !bytes.Equal(was.TrustKey, is.TrustKey):
		return []string{"its metadata had to be signed by " + metadata.CertificateLine(was.TrustKey) + ", and has not any " +
			"more, unless it is imported with that certificate to trust"}
	}
	return nil
}

// seenRecord names a record, what it changes, and what it ends. Its source's times move on from one look to the next,
// and are left out.
func seenRecord(sp store.ServiceProvider, changes []metadata.Difference, ends []string) (string, error) {
	sp.Source, sp.UpdatedAt = nil, time.Time{}
	data, err := json.Marshal(sp)
	if err != nil {
		return "", fmt.Errorf("look at a service provider's record: %w", err)
	}
	return seenValues(seen(data), changes, ends), nil
}

// seen names what was shown before it is done.
func seen(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// seenValues is seen for values that print all that they are: no pointers.
func seenValues(values ...any) string { return seen(fmt.Appendf(nil, "%+v", values)) }

// Save saves what was imported and looked at, if what was there then is still the same: what somebody else has changed
// since, or who has removed or registered it, must not be lost.
func (p Providers) Save(ctx context.Context, scope Scope, im Import, e store.Event) error {
	return p.put(ctx, scope, im.Record, e, func(was *store.ServiceProvider) error {
		switch {
		case im.Before == nil && was != nil:
			return registered(was.EntityID)
		case im.Before != nil && (was == nil || !was.UpdatedAt.Equal(im.Before.UpdatedAt)):
			return &Error{Kind: Changed, Fault: fmt.Sprintf("service provider %s was changed by somebody else meanwhile",
				im.Record.EntityID), Hint: "look at it again", Act: ListProviders}
		}
		return nil
	})
}

// Add checks a record and stores it with its event.
func (p Providers) Add(ctx context.Context, scope Scope, sp store.ServiceProvider, replace bool, e store.Event) error {
	return p.put(ctx, scope, sp, e, func(was *store.ServiceProvider) error {
		if was != nil && !replace {
			return registered(sp.EntityID)
		}
		return nil
	})
}

// put checks a record and stores it with its event, where may takes what is there by then.
func (p Providers) put(ctx context.Context, scope Scope, sp store.ServiceProvider, e store.Event,
	may func(was *store.ServiceProvider) error) error {
	if err := scope.whole(); err != nil {
		return err
	}
	if err := p.check(sp, cannotRegister); err != nil {
		return err
	}
	sp.UpdatedAt = e.At
	e.Action, e.Subject, e.SP = "sp-add", sp.EntityID, sp.EntityID
	var refused error
	err := p.Store.ServiceProviders().PutIf(ctx, sp, func(was *store.ServiceProvider) error {
		refused = may(was) // it can run twice
		return refused
	}, e)
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return fmt.Errorf("store service provider %s: %w", sp.EntityID, err)
	}
	return nil
}
