package metadata_test

import (
	"strings"
	"testing"

	"ssobridge/idp/metadata"
)

// TestNameIDFormats (REAL-01, REAL-02): a format is known under every URI that products use, and transient is what is
// given where nothing else is named.
func TestNameIDFormats(t *testing.T) {
	const (
		v1, v11, v2 = "urn:oasis:names:tc:SAML:1.0:nameid-format:", "urn:oasis:names:tc:SAML:1.1:nameid-format:",
			"urn:oasis:names:tc:SAML:2.0:nameid-format:"
	)
	for _, c := range []struct {
		name           string
		formats        []string
		want, template string
	}{
		{"none", nil, v2 + "persistent", "{person_id}"},
		{"mail of 2.0", []string{v2 + "emailAddress"}, v11 + "emailAddress", "{mail}"},
		{"mail by another name", []string{"\n " + v11 + "email "}, v11 + "emailAddress", "{mail}"},
		{"unspecified of 1.0", []string{v1 + "unspecified"}, v11 + "unspecified", "{login}"},
		{"persistent of 1.1", []string{v11 + "persistent"}, v2 + "persistent", "{person_id}"},
		{"transient alone", []string{v2 + "transient"}, v2 + "transient", "{person_id}"},
		{"transient alone, of 1.1, twice", []string{v11 + "transient", v2 + "Transient"}, v2 + "transient", "{person_id}"},
		{"transient first", []string{v2 + "transient", v2 + "persistent"}, v2 + "persistent", "{person_id}"},
		{"transient and what is unknown", []string{v2 + "transient", "urn:x"}, v2 + "persistent", "{person_id}"},
		{"unknown", []string{"urn:x"}, v2 + "persistent", "{person_id}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all string
			for _, f := range c.formats {
				all += "<md:NameIDFormat>" + f + "</md:NameIDFormat>"
			}
			im, err := metadata.Read(strings.NewReader(peerHead+peerRole+all+peerTail), metadata.ReadOptions{Now: peerNow})
			if err != nil || im.Provider.NameIDFormat != c.want || im.Provider.NameID != c.template {
				t.Errorf("%s with %s, %v; want %s with %s", im.Provider.NameIDFormat, im.Provider.NameID, err, c.want, c.template)
			}
		})
	}
}
