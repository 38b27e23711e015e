package saml

// XML namespaces.
const (
	NSAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	NSProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	NSMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	NSSignature = "http://www.w3.org/2000/09/xmldsig#"
)

// Bindings (saml-bindings 3). All of SAML 2.0 begin with BindingPrefix.
const (
	BindingPrefix   = "urn:oasis:names:tc:SAML:2.0:bindings:"
	BindingPost     = BindingPrefix + "HTTP-POST"
	BindingRedirect = BindingPrefix + "HTTP-Redirect"
)

// Status codes (saml-core 3.2.2.2).
const (
	statusPrefix = "urn:oasis:names:tc:SAML:2.0:status:"

	StatusSuccess               = statusPrefix + "Success"
	StatusRequester             = statusPrefix + "Requester"
	StatusResponder             = statusPrefix + "Responder"
	StatusVersionMismatch       = statusPrefix + "VersionMismatch"
	StatusAuthnFailed           = statusPrefix + "AuthnFailed"
	StatusInvalidNameIDPolicy   = statusPrefix + "InvalidNameIDPolicy"
	StatusNoAuthnContext        = statusPrefix + "NoAuthnContext"
	StatusNoPassive             = statusPrefix + "NoPassive"
	StatusPartialLogout         = statusPrefix + "PartialLogout"
	StatusRequestDenied         = statusPrefix + "RequestDenied"
	StatusRequestUnsupported    = statusPrefix + "RequestUnsupported"
	StatusRequestVersionTooHigh = statusPrefix + "RequestVersionTooHigh"
	StatusRequestVersionTooLow  = statusPrefix + "RequestVersionTooLow"
	StatusUnknownPrincipal      = statusPrefix + "UnknownPrincipal"
	StatusUnsupportedBinding    = statusPrefix + "UnsupportedBinding"
)

// Formats of a NameID (saml-core 8.3), and the one of an attribute's name that is given by default (saml-core 8.2.3).
const (
	FormatPersistent    = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	FormatTransient     = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	FormatEntity        = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	FormatEncrypted     = "urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted"
	FormatEmail         = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	FormatUnspecified   = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	FormatWindowsDomain = "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName"

	FormatBasicAttribute = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
)

// Authentication context classes (saml-authn-context 3.4).
const (
	// ClassUnspecified says that it is not known how the person proved themselves (saml-authncontext 3.4.25).
	ClassUnspecified       = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"
	ClassPassword          = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
	ClassPasswordProtected = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
)
