package claims

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Words of what a value of acr or amr is trusted for: classes of authentication context, from weak to strong, and that
// it counts as a second factor, which is the class of one too.
const (
	TrustPassword  = "password"
	TrustProtected = "password_protected"
	TrustFactor    = "second_factor"
)

// Trust is what one value of the claim acr, or one of the list amr, is trusted for.
type Trust struct {
	Claim, Value string // acr or amr, and the value
	For          []string
}

// Bounds of the two claims.
const (
	maxTrusts = 20
	maxAMR    = 20
)

// ParseTrust reads "acr=VALUE WORD ...", such as "amr=mfa second_factor".
func ParseTrust(text string) (t Trust, err error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return t, errors.New("want acr=VALUE or amr=VALUE, and behind it what that is trusted for")
	}
	var ok bool
	if t.Claim, t.Value, ok = strings.Cut(words[0], "="); !ok || t.Claim != "acr" && t.Claim != "amr" ||
		!plain(t.Value, maxText) {
		return t, errors.New("want acr=VALUE or amr=VALUE first")
	}
	for _, word := range words[1:] {
		switch word {
		case TrustPassword, TrustProtected, TrustFactor:
			t.For = append(t.For, word)
		default:
			return t, fmt.Errorf("%.40q is nothing to trust for: want %s, %s or %s", word, TrustPassword, TrustProtected,
				TrustFactor)
		}
	}
	return t, nil
}

// Proof names the value in one word: "amr=mfa".
func (t Trust) Proof() string { return t.Claim + "=" + t.Value }

// proofs are the values of a token that its source is trusted for something by. The others are not looked at.
func (s *Source) proofs(t *token) (all []string, bad *Fault) {
	if len(s.Trust) == 0 {
		return nil, nil
	}
	var said []string
	if acr, there, ok := t.text("acr", maxText); ok {
		said = append(said, "acr="+acr)
	} else if there {
		return nil, fault(ReasonClaims, "the token's acr is not a text of 1 to %d bytes", maxText)
	}
	if v, there := t.claims["amr"]; there {
		list, ok := v.([]any)
		if !ok || len(list) > maxAMR {
			return nil, fault(ReasonClaims, "the token's amr is not a list of at most %d texts", maxAMR)
		}
		for _, one := range list {
			method, ok := one.(string)
			if !ok || !plain(method, maxText) {
				return nil, fault(ReasonClaims, "the token's amr has something else in it than texts")
			}
			said = append(said, "amr="+method)
		}
	}
	for _, trust := range s.Trust {
		if proof := trust.Proof(); slices.Contains(said, proof) && !slices.Contains(all, proof) {
			all = append(all, proof)
		}
	}
	return all, nil
}
