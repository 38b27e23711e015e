package idp

import dsig "github.com/russellhaering/goxmldsig"

// OwnCanonical is the canonicalizer of what leaves.
func OwnCanonical() dsig.Canonicalizer { return ownCanonical{} }
