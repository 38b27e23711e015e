package mfa

import (
	"fmt"
	"slices"
)

// Policy says what is asked of people beside the password. "" is Off.
type Policy string

// The policies.
const (
	Off      Policy = "off"      // nothing
	Offered  Policy = "offered"  // a second factor of those who have enrolled one; others are offered to
	Required Policy = "required" // a second factor of everybody; who has none enrols one first
)

// ParsePolicy accepts off, offered and required.
func ParsePolicy(text string) (Policy, error) {
	switch p := Policy(text); p {
	case Off, Offered, Required:
		return p, nil
	}
	return "", fmt.Errorf("%.40q is no policy for second factors: want off, offered or required", text)
}

// Asks reports whether a policy asks anybody for a second factor.
func (p Policy) Asks() bool { return p == Offered || p == Required }

// Stricter is the policy that asks for more; "" asks for nothing, and is none.
func Stricter(a, b Policy) Policy {
	order := []Policy{"", Off, Offered, Required}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}
