package idp

import "ssobridge/idp/saml"

// newFault is a message that is refused on our own page for what only the flow knows.
func newFault(reason string, status int, detail, fix string) *saml.Fault {
	return &saml.Fault{Reason: reason, Status: status, Detail: detail, Fix: fix}
}
