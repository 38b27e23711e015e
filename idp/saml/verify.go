package saml

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // #nosec G505 -- only for a service provider that was allowed SHA-1, and warned about
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/certs"
)

// MostRSABits is the largest RSA key that signatures are checked with. The time grows by the square of it, and whoever
// names a service provider as sender has its keys tried: one of a million bits would take a minute for each message.
const MostRSABits = 16384

// Trust is what signatures of one service provider are verified with.
type Trust struct {
	// certificates hold the public keys, signing or unmarked (row REQ-13). They are
	// key holders and no more: expiry and chain say nothing here, since whoever
	// registered the service provider vouched for the key (saml-metadata 2.4.1.1).
	certificates []*x509.Certificate
	allowSHA1    bool
	warn         func(detail, fix string) // nil: nobody learns what is weak and allowed
}

// NewTrust reads certificates. One that can't be read is left out and named in faults: the others still serve.
func NewTrust(certificates [][]byte, allowSHA1 bool) (t Trust, faults []error) {
	t.allowSHA1 = allowSHA1
	for i, der := range certificates {
		c, err := certs.ParseHolder(der)
		if err != nil {
			faults = append(faults, fmt.Errorf("certificates[%d]: %w", i, err))
			continue
		}
		if public, ok := c.PublicKey.(*rsa.PublicKey); ok && public.N.BitLen() > MostRSABits {
			faults = append(faults, fmt.Errorf("certificates[%d]: its RSA key has %d bits, at most %d are taken", i,
				public.N.BitLen(), MostRSABits))
			continue
		}
		t.certificates = append(t.certificates, c)
	}
	return t, faults
}

// Certificates are those that could be read.
func (t Trust) Certificates() []*x509.Certificate { return t.certificates }

// Warning is the same trust, which calls warn where it accepts what is weak and allowed.
func (t Trust) Warning(warn func(detail, fix string)) Trust {
	t.warn = warn
	return t
}

// accepts checks an algorithm against the allow-list (row REQ-12), before
// anything is computed with it.
func (t Trust) accepts(a algorithm, known bool, kind, uri string) *Fault {
	switch {
	case strings.Contains(uri, "hmac"):
		// Its key would be the public key, which is no secret.
		return badAlgorithm(fmt.Sprintf("%s is %.80q, and an HMAC proves nothing", kind, uri),
			"sign with RSA or ECDSA and SHA-256")
	case !known:
		return badAlgorithm(fmt.Sprintf("%s %.80q is not accepted", kind, uri),
			"sign with RSA or ECDSA and SHA-256, SHA-384 or SHA-512")
	case a.hash == crypto.SHA1 && !t.allowSHA1:
		return badAlgorithm(kind+" is SHA-1",
			"let the service provider sign with SHA-256; if it can't, set allow_sha1 for it")
	case a.hash == crypto.SHA1 && t.warn != nil:
		t.warn(kind+" is SHA-1, which is allowed for this service provider",
			"let the service provider sign with SHA-256 and take allow_sha1 back")
	}
	return nil
}

// VerifyQuery checks the signature of a message in the HTTP-Redirect binding
// (row REQ-10, saml-bindings 3.4.4.1). message is SAMLRequest or SAMLResponse.
// What is verified are the octets of the query as they were received, put in the
// order of the specification; they are never decoded and encoded again. signed
// is false where neither SigAlg nor Signature is sent: whether that will do is
// the caller's to decide, and so is a ds:Signature in the XML (see unsignedXML).
func VerifyQuery(rawQuery, message string, t Trust) (signed bool, bad *Fault) {
	found, bad := rawParameters(rawQuery, message)
	if bad != nil {
		return false, bad
	}
	sigAlg, hasAlg := found["SigAlg"]
	signature, hasSignature := found["Signature"]
	switch {
	case !hasAlg && !hasSignature:
		return false, nil
	case !hasAlg:
		return true, badParameters("Signature is sent and SigAlg is missing",
			"send both, as saml-bindings 3.4.4.1 describes it")
	case !hasSignature:
		return true, badParameters("SigAlg is sent and Signature is missing",
			"send both, as saml-bindings 3.4.4.1 describes it")
	case sigAlg == "":
		return true, badParameters("SigAlg is empty", "name the algorithm of the signature")
	case signature == "":
		return true, badParameters("Signature is empty", "sign the query, or leave out both SigAlg and Signature")
	}
	if found[message] == "" {
		return true, badParameters("a signature is sent without "+message, "send the message that is signed")
	}
	uri, err := url.QueryUnescape(sigAlg)
	if err != nil {
		return true, badParameters("SigAlg is not URL-encoded", "encode the parameters (saml-bindings 3.4.4.1)")
	}
	method, known := signatureMethods[uri]
	if bad := t.accepts(method, known, "SigAlg", uri); bad != nil {
		return true, bad
	}
	text, err := url.QueryUnescape(signature)
	if err != nil {
		return true, badParameters("Signature is not URL-encoded", "encode the parameters (saml-bindings 3.4.4.1)")
	}
	var value []byte
	for _, text := range base64Texts(text) { // no signature covers how it is written itself
		if value, bad = decodeText(text, "Signature"); bad == nil {
			break
		}
	}
	if bad != nil {
		return true, badParameters("Signature is not base64", bad.Fix)
	}
	if len(t.certificates) == 0 {
		return true, noCertificate()
	}
	if t.verifies(method, signedQuery(found, message, asReceived), value) {
		return true, nil
	}
	for _, encoding := range []func(string) string{encodedAgain, encodedLower} {
		if t.verifies(method, signedQuery(found, message, encoding), value) {
			// Still refused: only octets that were signed are acted upon.
			return true, badSignature("the signature is over another URL encoding of the same values",
				"look for what decodes and encodes the query again on its way here, such as a proxy or a rewrite rule; the "+
					"service provider must send the octets that it signed")
		}
	}
	return true, badSignature(fmt.Sprintf("none of the %d certificates on record verifies the signature of the query",
		len(t.certificates)),
		"import the service provider's metadata again; if its key is right, compare what it signs with what it sends "+
			"(saml-bindings 3.4.4.1)")
}

// rawParameters finds the still encoded values that a signature covers.
func rawParameters(rawQuery, message string) (map[string]string, *Fault) {
	found := make(map[string]string, 4)
	for pair := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil {
			return nil, BadRequest("a parameter's name is not URL-encoded", "encode the parameters (saml-bindings 3.4.4.1)")
		}
		switch name {
		case message, "RelayState", "SigAlg", "Signature":
		case "SAMLRequest", "SAMLResponse":
			return nil, BadRequest(name+" is sent beside "+message, "send one message")
		default:
			continue
		}
		if _, twice := found[name]; twice {
			return nil, BadRequest(name+" is given twice", "send each parameter once") // row REQ-02
		}
		found[name] = value
	}
	return found, nil
}

// signedQuery puts together what the signature is over.
func signedQuery(found map[string]string, message string, encoding func(string) string) []byte {
	var b bytes.Buffer
	for _, name := range []string{message, "RelayState", "SigAlg"} {
		value, sent := found[name]
		if !sent {
			continue // only RelayState can be missing here
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name + "=" + encoding(value))
	}
	return b.Bytes()
}

func asReceived(value string) string { return value }

// encodedAgain and encodedLower are what other software would have made of a
// value. They serve to name the fault in the log, never to accept.
func encodedAgain(value string) string {
	plain, err := url.QueryUnescape(value)
	if err != nil {
		return value
	}
	return url.QueryEscape(plain)
}

func encodedLower(value string) string {
	again := []byte(encodedAgain(value))
	for i := 0; i+2 < len(again); i++ {
		if again[i] == '%' {
			copy(again[i+1:], bytes.ToLower(again[i+1:i+3]))
		}
	}
	return string(again)
}

// VerifyDocument reads a document and checks its enveloped signature as that of a message in the HTTP-POST binding.
// signed is false, with nothing verified, where there is no signature at all.
func VerifyDocument(document []byte, t Trust) (verified *etree.Element, signed bool, bad *Fault) {
	root, err := parseXML(document, maxDepth, maxElements)
	if err != nil {
		return nil, false, BadRequest(err.Error(), "send one document as XML in UTF-8")
	}
	return verifyElement(root, t)
}

// verifyElement checks the enveloped signature of a message in the HTTP-POST
// binding, or of another signed document, whose root parseXML returned (row
// REQ-11, saml-core 5.4). signed is false, with nothing verified, where there is
// no signature at all. Else verified is read back from the very octets whose
// digest was signed: read the message from it and never from root.
func verifyElement(root *etree.Element, t Trust) (verified *etree.Element, signed bool, bad *Fault) {
	signature, bad := signatureOf(root)
	if bad != nil || signature == nil {
		return nil, bad != nil, bad
	}
	s, bad := readSignature(signature)
	if bad != nil {
		return nil, true, bad
	}
	// The SignedInfo that counts is the one in canonical form: it is read from those
	// octets, its algorithms are checked, then the signature over them, and only
	// then is the document touched.
	canonical, err := canonicalSignedInfo(signature, s)
	if err != nil {
		return nil, true, badForm("SignedInfo has no canonical form: "+err.Error(), "sign as saml-core 5.4 describes it")
	}
	info, bad := signedInfoOf(canonical)
	if bad != nil {
		return nil, true, bad
	}
	id, _ := AttributeOf(root, "ID")
	if id == "" || info.uri != "#"+id {
		return nil, true, badForm(fmt.Sprintf("the signature's reference %.80q is not the message's own ID", info.uri),
			"sign the whole message, by a reference to its ID (saml-core 5.4.2)")
	}
	if bad := t.accepts(info.method, info.methodKnown, "SignatureMethod", info.methodURI); bad != nil {
		return nil, true, bad
	}
	if bad := t.accepts(info.digest, info.digestKnown, "DigestMethod", info.digestURI); bad != nil {
		return nil, true, bad
	}
	if len(t.certificates) == 0 {
		return nil, true, noCertificate()
	}
	if !t.verifies(info.method, canonical, s.value) {
		return nil, true, t.unverified(s)
	}
	octets, err := canonicalWithout(root, signature, info.prefixes)
	if err != nil {
		return nil, true, badForm("the message has no canonical form: "+err.Error(), "sign as saml-core 5.4 describes it")
	}
	if sum := digest(info.digest.hash, octets); !bytes.Equal(sum, info.digestValue) {
		return nil, true, badSignature("the message is not the one that was signed: its digest differs",
			"look for what changes the message between the service provider's signature and here")
	}
	verified, err = readXML(octets, maxDepth, maxElements)
	if err != nil {
		return nil, true, badForm("the signed octets: "+err.Error(), "sign as saml-core 5.4 describes it")
	}
	if again, _ := AttributeOf(verified, "ID"); again != id || hasSignature(verified) {
		return nil, true, badForm("the signed octets are another message", "sign as saml-core 5.4 describes it")
	}
	return verified, true, nil
}

// canonicalWithout is the canonical form of root without its own signature: both
// transforms of the reference.
func canonicalWithout(root, signature *etree.Element, prefixes string) ([]byte, error) {
	at := signature.Index()
	el := root.Copy()
	el.RemoveChildAt(at)
	return dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(prefixes).Canonicalize(el)
}

// unverified says why no certificate verifies a signature, as far as it can be told.
func (t Trust) unverified(s *xmlSignature) *Fault {
	if s.certificate != nil {
		known := false
		for _, c := range t.certificates {
			known = known || bytes.Equal(c.Raw, s.certificate)
		}
		if !known {
			return badSignature(fmt.Sprintf("the message names a certificate (SHA-256 %x…) that is not on record, and none of "+
				"the %d on record verifies it",
				digest(crypto.SHA256, s.certificate)[:8], len(t.certificates)),
				"import the service provider's metadata again, if that certificate is its own")
		}
	}
	return badSignature(fmt.Sprintf("none of the %d certificates on record verifies the signature of the message",
		len(t.certificates)),
		"import the service provider's metadata again; if its key is right, something changes SignedInfo on its way here")
}

// verifies tries each certificate, one by one (row REQ-13).
func (t Trust) verifies(a algorithm, signed, value []byte) bool {
	sum := digest(a.hash, signed)
	for _, c := range t.certificates {
		switch public := c.PublicKey.(type) {
		case *rsa.PublicKey:
			if a.key == x509.RSA && rsa.VerifyPKCS1v15(public, a.hash, sum, value) == nil {
				return true
			}
		case *ecdsa.PublicKey:
			if a.key == x509.ECDSA && verifiesECDSA(public, sum, value) {
				return true
			}
		}
	}
	return false
}

// verifiesECDSA takes r and s one after the other, each as long as the curve's
// order (xmldsig-core1 6.4.3), and the ASN.1 form, which several service
// providers send in a query, where no schema says otherwise. Both are the same two numbers.
func verifiesECDSA(public *ecdsa.PublicKey, sum, value []byte) bool {
	size := (public.Curve.Params().N.BitLen() + 7) / 8
	if len(value) == 2*size {
		r, s := new(big.Int).SetBytes(value[:size]), new(big.Int).SetBytes(value[size:])
		if ecdsa.Verify(public, sum, r, s) {
			return true
		}
	}
	return ecdsa.VerifyASN1(public, sum, value)
}

func digest(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}

func badParameters(detail, fix string) *Fault {
	return &Fault{ReasonSignatureParameters, http.StatusBadRequest, detail, fix}
}

func badForm(detail, fix string) *Fault {
	return &Fault{ReasonSignatureForm, http.StatusBadRequest, detail, fix}
}

func badAlgorithm(detail, fix string) *Fault {
	return &Fault{ReasonSignatureAlgorithm, http.StatusBadRequest, detail, fix}
}

func badSignature(detail, fix string) *Fault {
	return &Fault{ReasonBadSignature, http.StatusBadRequest, detail, fix}
}

func noCertificate() *Fault {
	return &Fault{ReasonNoCertificate, http.StatusBadRequest,
		"the message is signed and there is no certificate on record to check it with",
		"import the service provider's metadata with its signing certificate"}
}
