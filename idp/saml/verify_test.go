package saml_test

import (
	"bytes"
	"crypto/rsa"
	"math/big"
	"testing"

	"ssobridge/certs"
	"ssobridge/idp/saml"
)

// REAL-22: whoever names a service provider as sender has its keys tried, so one that takes minutes is left out,
// wherever it came from, and named; the largest that is taken stays.
func TestTrustBoundsKeys(t *testing.T) {
	var all [][]byte
	for _, size := range []int{saml.MostRSABits / 8, saml.MostRSABits/8 + 1} {
		der, err := certs.KeyHolder(&rsa.PublicKey{N: new(big.Int).SetBytes(bytes.Repeat([]byte{0xff}, size)), E: 65537})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, der)
	}
	trust, faults := saml.NewTrust(all, false)
	if kept := trust.Certificates(); len(kept) != 1 || !bytes.Equal(kept[0].Raw, all[0]) || len(faults) != 1 {
		t.Errorf("%d certificates, faults %v", len(kept), faults)
	}
}
