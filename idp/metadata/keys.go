package metadata

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"

	"ssobridge/certs"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

const (
	nsSignature11 = "http://www.w3.org/2009/xmldsig11#"
	leastRSABits  = 1024 // of a key whose signatures are checked; Go checks none by a smaller one
	// mostKeys bounds the certificates of one entity. Each message is tried with each of them, by anybody who sends one,
	// and an import compares them in pairs. A key and its successor, for each use, are four.
	mostKeys = 20
)

// descriptor is one md:KeyDescriptor with what it holds.
type descriptor struct {
	el      *etree.Element
	use     string // signing, encryption, or "" for both
	methods []string
	held    []heldKey
}

// heldKey is a certificate, which may have been made for a key without one.
type heldKey struct {
	*x509.Certificate
	el *etree.Element
}

// keys takes the certificates: to check signatures, those marked for signing or
// not at all; to encrypt, those marked for that or not at all (saml-metadata
// 2.4.1.1, erratum E62). A certificate is a holder of its key and no more: that it
// has ended is noted and no fault.
//
// A key that can't be read is passed over beside one that can. Where none can, that is a fault: a service provider that
// publishes keys means them.
func (e *spEntity) keys(role *etree.Element) {
	var all []descriptor
	var unread []Fault
	readable, count := false, 0
	for _, k := range saml.Children(role, saml.NSMetadata, "KeyDescriptor") {
		d := descriptor{el: k}
		if d.use = strings.ToLower(attribute(k, "use")); d.use != "" && d.use != "signing" && d.use != "encryption" {
			e.note(k, "passed over a key whose use is %.40q, which is neither signing nor encryption", d.use)
			readable = true // what it is for can't be told: nothing is wrong with the others
			continue
		}
		held, faults, weak := e.held(k)
		unread = append(unread, faults...)
		readable = readable || len(held) > 0 || weak
		for _, m := range saml.Children(k, saml.NSMetadata, "EncryptionMethod") {
			if algorithm := attribute(m, "Algorithm"); algorithm != "" {
				d.methods = append(d.methods, algorithm)
			}
		}
		d.held = held
		all = append(all, d)
		if count += len(held); count > mostKeys {
			e.fault(k, "ask the service provider for metadata with the keys that are in use",
				"it has more than %d certificates", mostKeys)
			return
		}
	}
	for _, f := range unread {
		// A private key is never passed over in silence: it is known to everybody by now.
		if !readable || strings.Contains(f.Fault, certs.ErrPrivateKey.Error()) {
			e.faults = append(e.faults, f)
			continue
		}
		e.im.Notes = append(e.im.Notes, fmt.Sprintf("line %d: passed over: %s", f.Line, f.Fault))
	}
	e.withoutAuthorities(all)
	for _, d := range all {
		for _, c := range d.held {
			e.take(d, c)
		}
	}
}

// take puts a key into the record.
func (e *spEntity) take(d descriptor, c heldKey) {
	sp := &e.im.Provider
	if !e.o.Now.IsZero() && !c.NotAfter.IsZero() && e.o.Now.After(c.NotAfter) {
		e.note(c.el, "a certificate ended on %s; its key is used nonetheless", c.NotAfter.UTC().Format(time.DateOnly))
	}
	if flaw := certs.Flaw(c.Raw); flaw != nil {
		e.note(c.el, "a certificate breaks the rules of X.509 (%s); its key is taken", strings.TrimPrefix(flaw.Error(),
			"x509: "))
	}
	if d.use != "encryption" {
		switch fault := signingFault(c.PublicKey, c.PublicKeyAlgorithm); {
		case fault != "":
			e.note(c.el, "passed over a signing key: %s", fault)
		case !slices.ContainsFunc(sp.Certificates, func(der []byte) bool { return bytes.Equal(der, c.Raw) }):
			sp.Certificates = append(sp.Certificates, c.Raw)
		}
	}
	if d.use == "signing" {
		return
	}
	if _, err := saml.ReadEncryptionKey(c.Raw); err != nil {
		if d.use == "encryption" {
			e.note(c.el, "passed over a key for encryption: %s", err)
		}
		return
	}
	i := slices.IndexFunc(sp.EncryptionKeys, func(k store.EncryptionKey) bool { return bytes.Equal(k.Certificate, c.Raw) })
	switch {
	case i < 0:
		sp.EncryptionKeys = append(sp.EncryptionKeys, store.EncryptionKey{Certificate: c.Raw, Methods: d.methods})
	case len(sp.EncryptionKeys[i].Methods) == 0: // named again, and now with its methods
		sp.EncryptionKeys[i].Methods = d.methods
	}
}

// signingFault says why signatures by a key can't be checked; "": they can.
func signingFault(public crypto.PublicKey, algorithm x509.PublicKeyAlgorithm) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		switch n := k.N.BitLen(); {
		case n < leastRSABits:
			return fmt.Sprintf("it is RSA of %d bits, and signatures by fewer than %d prove nothing", n, leastRSABits)
		case n > saml.MostRSABits:
			return fmt.Sprintf("it is RSA of %d bits, and %d are the most: one signature would take too long", n,
				saml.MostRSABits)
		}
	case *ecdsa.PublicKey:
	default:
		return fmt.Sprintf("it is of type %s, which is neither RSA nor ECDSA", algorithm)
	}
	return ""
}

// held reads the keys of one descriptor: its certificates, else the bare key that stands in their place. weak tells of
// a key that was read and is no good.
func (e *spEntity) held(k *etree.Element) (held []heldKey, faults []Fault, weak bool) {
	fault := func(el *etree.Element, fix, format string, args ...any) {
		faults = append(faults, Fault{e.lines[el], "md:KeyDescriptor" + fmt.Sprintf(format, args...), fix})
	}
	const ask = "ask the service provider for metadata with a ds:X509Certificate in each key"
	empty := true
	infos := saml.Children(k, saml.NSSignature, "KeyInfo")
	for _, info := range infos {
		for _, data := range saml.Children(info, saml.NSSignature, "X509Data") {
			var group []heldKey
			for _, el := range saml.Children(data, saml.NSSignature, "X509Certificate") {
				value, err := saml.TextOf(el)
				if err == nil && value == "" {
					continue
				}
				empty = false
				var all []*x509.Certificate
				if err == nil {
					all, err = certs.ReadHolders(value)
				}
				switch {
				case errors.Is(err, certs.ErrPrivateKey):
					fault(el, "tell the service provider: everybody who has this file knows the key, so it has to be replaced",
						": %s", err)
				case err != nil:
					fault(el, ask, ": its certificate can't be read: %s", strings.TrimPrefix(err.Error(), "x509: "))
				}
				for _, c := range all {
					group = append(group, heldKey{c, el})
				}
			}
			held = append(held, e.meant(data, group)...)
		}
	}
	if len(faults) > 0 {
		// What can't be read may be the certificate that is meant, and an authority beside it the end of its chain.
		held = slices.DeleteFunc(held, func(c heldKey) bool { return authority(c.Certificate) })
	}
	if len(held) > 0 {
		return held, faults, false
	}
	for _, info := range infos {
		bare, err := bareKey(info)
		switch {
		case err != nil:
			empty = false
			fault(info, ask, ": its key can't be read: %s", err)
		case bare != nil:
			if why := signingFault(bare, x509.UnknownPublicKeyAlgorithm); why != "" {
				e.note(info, "passed over a key: %s", why)
				return nil, faults, true
			}
			der, err := certs.KeyHolder(bare)
			if err == nil {
				var c *x509.Certificate
				if c, err = x509.ParseCertificate(der); err == nil {
					e.note(info, "a key comes without a certificate, so only a new import can replace it")
					return []heldKey{{c, info}}, faults, false
				}
			}
			empty = false
			fault(info, ask, ": its key can't be used: %s", err)
		}
	}
	if empty {
		fault(k, ask, " holds no certificate and no key")
	}
	return nil, faults, false
}

// meant takes of several certificates the one that their ds:X509Data names beside them: the others are there to verify
// it (xmldsig 4.5.4). Without such a name, or where it fits none, all stay.
func (e *spEntity) meant(data *etree.Element, group []heldKey) []heldKey {
	if len(group) < 2 {
		return group
	}
	var named []heldKey
	for _, c := range group {
		if namedIn(data, c.Certificate) {
			named = append(named, c)
		}
	}
	if len(named) == 0 {
		return group
	}
	for _, c := range group {
		if !slices.Contains(named, c) {
			e.note(c.el, "passed over the certificate %.80q, which stands beside the one that is named", c.Subject.String())
		}
	}
	return named
}

// namedIn tells whether an X509Data names a certificate by its subject, its issuer and number, or its key.
func namedIn(data *etree.Element, c *x509.Certificate) bool {
	text := func(parent *etree.Element, name string) (all []string) {
		for _, el := range saml.Children(parent, saml.NSSignature, name) {
			if value, err := saml.TextOf(el); err == nil {
				all = append(all, value)
			}
		}
		return all
	}
	for _, subject := range text(data, "X509SubjectName") {
		if sameName(subject, c.Subject.String()) {
			return true
		}
	}
	for _, el := range saml.Children(data, saml.NSSignature, "X509IssuerSerial") {
		if slices.Contains(text(el, "X509SerialNumber"), c.SerialNumber.String()) {
			return true
		}
	}
	return len(c.SubjectKeyId) > 0 &&
		slices.Contains(text(data, "X509SKI"), base64.StdEncoding.EncodeToString(c.SubjectKeyId))
}

// sameName compares two distinguished names as people and tools write them: in either order, with blanks or without.
// It is no more than a hint which of the certificates at hand is meant.
func sameName(a, b string) bool {
	parts := func(name string) []string {
		all := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune(",/+;", r) })
		for i := range all {
			all[i] = strings.ReplaceAll(strings.TrimSpace(all[i]), " = ", "=")
		}
		slices.Sort(all)
		return all
	}
	return slices.Equal(parts(a), parts(b))
}

// bareKey reads a key that stands without a certificate (xmldsig 4.5.2, xmldsig11 4.5.2.2, 4.5.9); nil: there is none.
func bareKey(info *etree.Element) (crypto.PublicKey, error) {
	octets := func(parent *etree.Element, namespace, name string) ([]byte, error) {
		found := saml.Children(parent, namespace, name)
		if len(found) != 1 {
			return nil, fmt.Errorf("it has %d elements %s", len(found), name)
		}
		text, err := saml.TextOf(found[0])
		if err != nil {
			return nil, err
		}
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil || len(data) == 0 {
			return nil, fmt.Errorf("its %s is not base64", name)
		}
		return data, nil
	}
	for _, value := range saml.Children(info, saml.NSSignature, "KeyValue") {
		for _, el := range saml.Children(value, saml.NSSignature, "RSAKeyValue") {
			modulus, err := octets(el, saml.NSSignature, "Modulus")
			if err != nil {
				return nil, err
			}
			exponent, err := octets(el, saml.NSSignature, "Exponent")
			if err != nil {
				return nil, err
			}
			n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
			if !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 || n.Sign() == 0 {
				return nil, errors.New("it is no RSA key")
			}
			return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
		}
		for _, el := range saml.Children(value, nsSignature11, "ECKeyValue") {
			return ellipticKey(el, octets)
		}
	}
	if len(saml.Children(info, nsSignature11, "DEREncodedKeyValue")) > 0 {
		der, err := octets(info, nsSignature11, "DEREncodedKeyValue")
		if err != nil {
			return nil, err
		}
		return x509.ParsePKIXPublicKey(der)
	}
	return nil, nil
}

func ellipticKey(el *etree.Element,
	octets func(parent *etree.Element, namespace, name string) ([]byte, error)) (crypto.PublicKey, error) {
	named := saml.Children(el, nsSignature11, "NamedCurve")
	if len(named) != 1 {
		return nil, errors.New("it names no curve")
	}
	curve, known := map[string]elliptic.Curve{
		"urn:oid:1.2.840.10045.3.1.7": elliptic.P256(), "urn:oid:1.3.132.0.34": elliptic.P384(),
		"urn:oid:1.3.132.0.35": elliptic.P521(),
	}[attribute(named[0], "URI")]
	if !known {
		return nil, fmt.Errorf("its curve %.60q is not offered", attribute(named[0], "URI"))
	}
	point, err := octets(el, nsSignature11, "PublicKey")
	if err != nil {
		return nil, err
	}
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}

// withoutAuthorities takes out the certificates of authorities that a chain brings along: whoever got any certificate
// from such an authority could sign as the service provider, if its key were taken for one (xmldsig 4.5.4 lets chains
// stand beside the certificate that is meant). A certificate that calls itself an authority and stands alone is the
// service provider's own: tools make such ones.
func (e *spEntity) withoutAuthorities(all []descriptor) {
	var every []heldKey
	for _, d := range all {
		every = append(every, d.held...)
	}
	for i := range all {
		d := &all[i]
		leaf := slices.ContainsFunc(d.held, func(c heldKey) bool { return !authority(c.Certificate) })
		kept := slices.DeleteFunc(slices.Clone(d.held), func(c heldKey) bool {
			chain := len(d.held) > 1 && authority(c.Certificate) &&
				(leaf || !bytes.Equal(c.RawSubject, c.RawIssuer))
			return chain || slices.ContainsFunc(every, func(o heldKey) bool { return issued(c.Certificate, o.Certificate) })
		})
		for _, c := range d.held {
			if !slices.Contains(kept, c) {
				e.note(c.el, "passed over the certificate of an authority, %.80q: its key signs certificates and no messages",
					c.Subject.String())
			}
		}
		if len(kept) > 1 {
			e.note(d.el, "one key is said to be %d certificates; all of them are taken", len(kept))
		}
		d.held = kept
	}
}

func authority(c *x509.Certificate) bool { return c.BasicConstraintsValid && c.IsCA }

// issued tells whether one certificate is the issuer of another. Two certificates of one name that follow each other
// are no issuer and issued: the signature says so.
func issued(by, c *x509.Certificate) bool {
	if len(by.RawSubject) == 0 || !bytes.Equal(by.RawSubject, c.RawIssuer) ||
		bytes.Equal(by.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) {
		return false
	}
	if !bytes.Equal(c.RawSubject, c.RawIssuer) {
		return true
	}
	return by.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}
