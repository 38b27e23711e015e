package certs

import (
	"encoding/asn1"
	"math/big"
)

// maxIterations bounds how often a PKCS #12 file may have its passphrase hashed. What programs write lies between 2,048
// and about a million; a file that names billions would keep the import busy for hours.
const maxIterations = 5_000_000

// maxNested bounds how deep a PKCS #12 file is looked into.
const maxNested = 24

// costly tells whether a PKCS #12 file names a count of iterations past the bound: a number behind the salt, in
// MacData, pkcs-12PbeParams and PBKDF2-params alike (RFC 7292 4, RFC 8018 A.2). What is encrypted can't be seen; it is
// reached only after what encrypts it, and by whoever knows the passphrase.
func costly(der []byte, depth int) bool {
	if depth > maxNested {
		return false
	}
	salted := false
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return false
		}
		der = rest
		universal := v.Class == asn1.ClassUniversal
		switch {
		case universal && v.Tag == asn1.TagInteger && salted:
			n := new(big.Int).SetBytes(v.Bytes) // a negative one is as large
			if n.Cmp(big.NewInt(maxIterations)) > 0 {
				return true
			}
		case v.IsCompound, universal && v.Tag == asn1.TagOctetString: // which may hold more of it
			if costly(v.Bytes, depth+1) {
				return true
			}
		}
		salted = universal && v.Tag == asn1.TagOctetString
	}
	return false
}
