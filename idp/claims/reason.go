package claims

import "fmt"

// The reasons for which a token is refused: fixed words for log, trace and audit, one for each check.
const (
	ReasonForm      = "launch_form"       // it can't be read as a token
	ReasonHeader    = "launch_header"     // its header names keys or extensions
	ReasonType      = "launch_type"       // it is a token for another purpose
	ReasonIssuer    = "launch_issuer"     // no source has its iss
	ReasonSourceOff = "launch_source_off" // its source is disabled, or its tokens of that time were revoked
	ReasonKey       = "launch_key"        // its kid names no key of the source
	ReasonKeysDown  = "launch_keys_down"  // the source's keys can't be had
	ReasonAlgorithm = "launch_algorithm"  // its alg is not that of the key
	ReasonSignature = "launch_signature"  // the signature is wrong
	ReasonAudience  = "launch_audience"   // it is for somebody else
	ReasonClaims    = "launch_claims"     // a required claim is missing or can't be used
	ReasonLifetime  = "launch_lifetime"   // it was made to be valid for too long
	ReasonExpired   = "launch_expired"    // it is over
	ReasonFuture    = "launch_future"     // it is not valid yet
	ReasonUsed      = "launch_used"       // it was used before
	ReasonPerson    = "launch_person"     // what it says of the person can't be used
)

// The reasons for which the answer of an OpenID provider is refused, beside those of its tokens.
const (
	ReasonMixUp        = "oidc_mix_up"   // it is another provider's
	ReasonProviderSays = "oidc_error"    // the provider says that nobody signed in
	ReasonNoLogin      = "oidc_no_login" // nobody is signed in there, and no page may be shown
	ReasonProviderDown = "oidc_down"     // the provider can't be asked
	ReasonCode         = "oidc_code"     // the provider does not take its own code
	ReasonNonce        = "oidc_nonce"    // the ID token was made for another request
	ReasonTokenHash    = "oidc_at_hash"  // the ID token was made with another access token
	ReasonTenant       = "oidc_tenant"   // the person is of another tenant
	ReasonUserinfo     = "oidc_userinfo" // the rest of the claims can't be had, or is about somebody else
	ReasonOverage      = "oidc_groups"   // the ID token says where the groups are, and not what they are
)

// Reasons are all of them.
func Reasons() []string {
	return []string{ReasonForm, ReasonHeader, ReasonType, ReasonIssuer, ReasonSourceOff, ReasonKey, ReasonKeysDown,
		ReasonAlgorithm, ReasonSignature, ReasonAudience, ReasonClaims, ReasonLifetime, ReasonExpired, ReasonFuture,
		ReasonUsed, ReasonPerson, ReasonMixUp, ReasonProviderSays, ReasonNoLogin, ReasonProviderDown, ReasonCode,
		ReasonNonce, ReasonTokenHash, ReasonTenant, ReasonUserinfo, ReasonOverage}
}

// Fault is why a token is refused. Detail names claims and never their values.
type Fault struct {
	Reason string
	Detail string
}

// Error is the detail: callers name the reason beside it.
func (f *Fault) Error() string { return f.Detail }

func fault(reason, format string, args ...any) *Fault {
	return &Fault{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
