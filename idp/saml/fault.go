package saml

import "net/http"

// Fault is a message that is refused: which check failed, as a fixed word, and for the log in detail with what would
// fix it. A nil *Fault is a passed check.
type Fault struct {
	Reason string
	Status int    // of HTTP, for the page about it
	Detail string // never text from the message, unless quoted and cut short
	Fix    string
}

// Reasons of a Fault. They are fixed words, which stand in the log, in audit events and on pages.
const (
	ReasonMethod     = "method_not_allowed" // neither GET nor POST
	ReasonTooLarge   = "too_large"          // query, form or inflated message over its limit
	ReasonBadRequest = "bad_request"        // it can't be read as one SAML message of its kind
	ReasonUnsigned   = "unsigned_request"   // it has to be signed and is not
	// SigAlg and Signature don't belong together, or not to this binding
	ReasonSignatureParameters = "signature_parameters"
	// inside the XML on the HTTP-Redirect binding, where the query is signed in its place
	ReasonSignatureInXML = "signature_in_xml"
	// it is not built as SAML wants it, or is not over the whole message
	ReasonSignatureForm      = "signature_form"
	ReasonSignatureAlgorithm = "signature_algorithm" // its algorithm is not accepted
	// the message is signed and no certificate is on record to check it with
	ReasonNoCertificate = "no_signing_certificate"
	// no certificate on record verifies it, or the content is not what was signed
	ReasonBadSignature     = "bad_signature"
	ReasonWrongDestination = "wrong_destination" // the message was meant for another address
	ReasonRequestTime      = "request_time"      // it is too old, or from the future
)

// BadRequest is the fault of what can't be read as what it claims to be.
func BadRequest(detail, fix string) *Fault {
	return &Fault{ReasonBadRequest, http.StatusBadRequest, detail, fix}
}

func tooLarge(detail string) *Fault {
	return &Fault{ReasonTooLarge, http.StatusRequestEntityTooLarge, detail,
		"a genuine AuthnRequest is a few kilobytes: look at what the service provider sends"}
}
