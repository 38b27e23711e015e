package sandbox

// Signing says whether the service provider signs its AuthnRequests.
type Signing string

// The ways with signatures of requests.
const (
	SigningOff    Signing = "off"    // never
	SigningAsked  Signing = "asked"  // where sign=1 asks for it; the key is in the metadata
	SigningAlways Signing = "always" // always; the key is in the metadata, which promise AuthnRequestsSigned
)
