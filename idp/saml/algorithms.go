package saml

import (
	"crypto"
	"slices"
)

// What metadata may say of our algorithms is made of what is really accepted and used. SHA-1 and CBC, which a service
// provider's record can allow, are never offered.

// SigningMethods are the algorithms of signatures that are verified, the first choice first.
func SigningMethods() []string { return offered(signatureMethods) }

// DigestMethods are the digests that a signature may be over, the first choice first.
func DigestMethods() []string { return offered(digestMethods) }

// offered puts the shortest hash first, which every product knows, and RSA before ECDSA.
func offered(all map[string]algorithm) []string {
	var uris []string
	for uri, a := range all {
		if a.hash != crypto.SHA1 {
			uris = append(uris, uri)
		}
	}
	slices.SortFunc(uris, func(a, b string) int {
		x, y := all[a], all[b]
		if x.key != y.key {
			return int(x.key) - int(y.key)
		}
		return int(x.hash) - int(y.hash)
	})
	return uris
}

// EncryptionMethods are the algorithms that assertions are encrypted by, unless the service provider's metadata says
// otherwise.
func EncryptionMethods() (uris []string) {
	for _, c := range contentCiphers {
		if !c.cbc {
			uris = append(uris, c.algorithm)
		}
	}
	for _, t := range transports {
		uris = append(uris, t.algorithm)
	}
	return uris
}
