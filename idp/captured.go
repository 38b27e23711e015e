package idp

import "ssobridge/idp/saml"

// Captured is what another identity provider sent, for a comparison with a preview.
type Captured = saml.Captured

// CapturedAttribute is one attribute of it.
type CapturedAttribute = saml.Attribute

// ReadCaptured reads a captured Response or assertion. Nothing of it is checked or believed.
func ReadCaptured(data []byte) (Captured, error) { return saml.ReadCaptured(data) }
