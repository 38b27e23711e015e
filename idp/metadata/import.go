package metadata

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"io"
	"strings"
	"time"

	"ssobridge/idp/saml"
	"ssobridge/store"
)

// defaultSkew is that of an imported record.
const defaultSkew = time.Minute

// ReadOptions for Read.
type ReadOptions struct {
	EntityID          string            // which entity of a document that describes several; "": the only one
	TrustKey          *x509.Certificate // whose key must have signed the document or the entity; nil: not checked
	AllowLoopbackHTTP bool              // for endpoints on this very machine; https otherwise
	MaxBytes          int64             // of the document; 0: DefaultMaxBytes
	IgnoreEnd         bool              // its validUntil counts for nothing, also where it is past
	Now               time.Time
}

// Imported is what was understood of a service provider's metadata. Nothing of
// it is stored yet.
type Imported struct {
	// Provider is the record that the metadata gives for a service provider that
	// is new here; Replacing makes one for a service provider that is known.
	Provider store.ServiceProvider

	ValidUntil    time.Time     // zero: without end
	CacheDuration time.Duration // 0: none is named
	Signed        bool          // by the trust key
	Entities      int           // that the document describes
	Requested     []RequestedAttribute
	Notes         []string // what was passed over, and what to look at
}

// RequestedAttribute is one that the metadata asks for. It is shown to whoever
// decides what is released, and never released because it is asked for (row RSP-13).
type RequestedAttribute struct {
	Name, NameFormat, FriendlyName string
	Required                       bool
}

// Read reads a service provider's metadata, alone or among many in one
// document, within fixed bounds, of which one entity at a time is held
// (rows MD-04, MD-05). Nothing is fetched and nothing is stored. What is unambiguous is taken, what is not needed and
// can't be read is passed over with a note. What it can't
// accept is a *Error that names every fault with its line; other errors
// are those of reading from r.
//
// What metadata does not say gets a default: both signatures, assertions of 5
// minutes, a skew of 60 s, no attributes, and no groups, which means nobody. The
// record still has to pass the checks of its settings.
func Read(r io.Reader, o ReadOptions) (Imported, error) {
	e, err := readEntity(r, strings.Trim(o.EntityID, " \t\r\n"), o.TrustKey, o.MaxBytes)
	if err != nil {
		return Imported{}, err
	}
	return importEntity(e, o)
}

// Parse is Read of a document in memory that describes one
// entity, without a clock: its dates and its signature are not checked.
func Parse(data []byte) (store.ServiceProvider, error) {
	im, err := Read(bytes.NewReader(data), ReadOptions{})
	return im.Provider, err
}

// Replacing is the record after the metadata has taken the place of what was
// known of old. Taken are what only the service provider knows: its addresses,
// keys, logout and whether it signs. What an admin has set stays: kind, NameID,
// attributes, RelayStates, who may use it, and all else. The name follows the
// metadata as long as it came from there.
//
// Overrides of the form action, Recipient and Destination belong to one address:
// they go when the default assertion consumer service is another one. notes says so.
func (im Imported) Replacing(old store.ServiceProvider) (sp store.ServiceProvider, notes []string) {
	sp = old
	from := im.Provider
	sp.ACS, sp.Certificates, sp.EncryptionKeys, sp.Logout = from.ACS, from.Certificates, from.EncryptionKeys, from.Logout
	sp.AuthnRequestsSigned, sp.Metadata = from.AuthnRequestsSigned, from.Metadata
	if before, err := Parse(old.Metadata); err == nil && before.Name == old.Name {
		sp.Name = from.Name
	}
	was, _ := DefaultACS(old.ACS)
	is, _ := DefaultACS(sp.ACS)
	if was.URL != is.URL {
		for _, a := range []struct {
			field string
			value *string
		}{{"form_action", &sp.FormAction}, {"recipient", &sp.Recipient}, {"destination", &sp.Destination}} {
			if *a.value != "" {
				notes = append(notes, a.field+" "+*a.value+" is dropped: it belonged to the former address; set it again if it "+
					"is still wanted")
				*a.value = ""
			}
		}
	}
	return sp, notes
}

// DefaultACS is the first with isDefault="true", else the first that does not
// say "false", else the first (saml-metadata 2.2.3, erratum E37), of those that
// take a POST.
func DefaultACS(all []store.Endpoint) (store.Endpoint, bool) {
	var unmarked, first *store.Endpoint
	for i := range all {
		e := &all[i]
		switch {
		case e.Binding != saml.BindingPost:
			continue
		case e.IsDefault != nil && *e.IsDefault:
			return *e, true
		case e.IsDefault == nil && unmarked == nil:
			unmarked = e
		}
		if first == nil {
			first = e
		}
	}
	if e := cmp.Or(unmarked, first); e != nil {
		return *e, true
	}
	return store.Endpoint{}, false
}
