package idp_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// shown is what the record has under a key.
func shown(t testing.TB, sp store.ServiceProvider, key string) string {
	t.Helper()
	for _, k := range idp.Settings() {
		if k.Name == key {
			return strings.Join(k.Show(sp), " | ")
		}
	}
	t.Fatalf("no key %s", key)
	return ""
}

// TestSetProvider: each setting is changed, shows as it was given, and leaves a
// record that passes the check (RSP-09, RSP-12, RSP-13, SP-04, KEY-01).
func TestSetProvider(t *testing.T) {
	_, der := spKey(t)
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	const mail = "cn=mail,ou=groups,dc=partner,dc=test"
	for _, c := range []struct{ key, value, show string }{
		{"name", "The Wiki", "The Wiki"},
		{"enabled", "false", "false"},
		{"groups+", mail, staff + " | " + mail},
		{"groups+", "CN=staff, ou=Groups,dc=partner,dc=test", "CN=staff, ou=Groups,dc=partner,dc=test"}, // the same group
		{"groups", mail, mail},
		{"groups-", "CN=Staff,OU=groups,DC=partner,DC=test", ""},
		{"groups", "", ""},
		{"acs", "https://new.partner.test/acs", "https://new.partner.test/acs"},
		{"acs-", plainACS2, plainACS + " | https://wiki.partner.test/artifact"},
		{"acs+", plainACS2, plainACS + " | " + plainACS2 + " | https://wiki.partner.test/artifact"},
		{"acs+", "https://new.partner.test/acs", plainACS + " | " + plainACS2 +
			" | https://wiki.partner.test/artifact | https://new.partner.test/acs"},
		{"form_action", plainACS + "?x=1", plainACS + "?x=1"},
		{"form_action", "", ""},
		{"recipient", plainACS, plainACS},
		{"destination", plainACS, plainACS},
		{"audience", "urn:wiki", "urn:wiki"},
		{"name_id_format", "email", "email"},
		{"name_id_format", "transient", "transient"},
		{"name_id_format", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified", "unspecified"},
		{"name_id_format", "urn:x:y", "urn:x:y"},
		{"name_id", "{mail}", "{mail}"},
		{"attributes", "email={mail}", "email={mail}"},
		{"attributes", "", ""},
		{"attributes", "urn:oid:2.5.4.42={first_name};format=uri;friendly=givenName",
			"urn:oid:2.5.4.42={first_name};format=uri;friendly=givenName"},
		{"attributes", "a={mail};b;format=urn:f", "a={mail};b;format=urn:f"},
		{"attributes+", "groups=attr:memberOf", "urn:oid:2.5.4.11=attr:department;format=uri;friendly=ou | mail={mail} | " +
			"phone={attr:telephoneNumber} | groups=attr:memberOf"},
		{"attributes+", "mail={login}@x.test", "urn:oid:2.5.4.11=attr:department;format=uri;friendly=ou | " +
			"mail={login}@x.test | phone={attr:telephoneNumber}"},
		{"attributes-", "mail", "urn:oid:2.5.4.11=attr:department;format=uri;friendly=ou | phone={attr:telephoneNumber}"},
		{"sign", "response", "response"},
		{"sign", "assertion", "assertion"},
		{"sign", "both", "both"},
		{"encryption", "required", "required"},
		{"encryption", "if-published", "if-published"},
		{"encryption", "", "off"},
		{"encryption_keys", certificate, fingerprint(der)},
		{"encryption_keys", "", ""},
		{"encryption_methods", "", ""},
		{"allow_cbc", "true", "true"},
		{"request_signatures", "required", "required"},
		{"request_signatures", "", "if-present"},
		{"allow_sha1", "true", "true"},
		{"certificates+", certificate, fingerprint(der)},
		{"holds_certificates", "one", "one"},
		{"lifetime", "90s", "1m30s"},
		{"skew", "0s", "0s"},
		{"relay_states", "home=https://wiki.partner.test/?a=b", "home=https://wiki.partner.test/?a=b"},
		{"relay_states+", "b=two", "b=two"},
		{"relay_state_in", "query", "query"},
	} {
		t.Run(c.key+"="+c.value[:min(len(c.value), 20)], func(t *testing.T) {
			sp := plainSP()
			if err := idp.SetSetting(&sp, c.key, c.value); err != nil {
				t.Fatal(err)
			}
			if got := shown(t, sp, strings.TrimRight(c.key, "+-")); got != c.show {
				t.Errorf("shows %q, want %q", got, c.show)
			}
			if faults := idp.CheckProvider(sp, false); len(faults) > 0 {
				t.Errorf("faults: %v", faults)
			}
		})
	}

	// What shows can be given again, and makes the same record.
	from := constantContact()
	from.EncryptionKeys = []store.EncryptionKey{{Certificate: der}}
	to := plainSP()
	to.Kind, to.EntityID = from.Kind, from.EntityID
	for _, k := range idp.Settings() {
		if k.File {
			continue
		}
		values := k.Show(from)
		if k.List {
			first := true
			for _, v := range values {
				key := k.Name + "+"
				if first {
					key, first = k.Name, false
				}
				if err := idp.SetSetting(&to, key, v); err != nil {
					t.Error(err)
				}
			}
			if len(values) == 0 {
				if err := idp.SetSetting(&to, k.Name, ""); err != nil {
					t.Error(err)
				}
			}
			continue
		}
		if err := idp.SetSetting(&to, k.Name, strings.Join(values, "")); err != nil {
			t.Error(err)
		}
	}
	for _, k := range idp.Settings() {
		if got, want := k.Show(to), k.Show(from); !k.File && !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", k.Name, got, want)
		}
	}

	// The default RelayState follows its id through a change of the value.
	sp := constantContact()
	for _, set := range [][2]string{{"default_relay_state", "other"}, {"relay_states+", "other=changed"}} {
		if err := idp.SetSetting(&sp, set[0], set[1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := shown(t, sp, "default_relay_state"); got != "other" || sp.RelayStates[1].Value != "changed" ||
		sp.RelayStates[0].Default {
		t.Errorf("RelayStates %+v", sp.RelayStates)
	}
	if err := idp.SetSetting(&sp, "default_relay_state", ""); err != nil || shown(t, sp, "default_relay_state") != "" {
		t.Errorf("no default: %v", err)
	}

	// An encryption key that stays keeps the methods of its metadata; methods can
	// be named for keys without metadata.
	sp = encrypted(t, "required", aes256GCM)
	if err := idp.SetSetting(&sp, "encryption_keys+", certificate); err != nil ||
		!slices.Equal(sp.EncryptionKeys[0].Methods, []string{aes256GCM}) {
		t.Errorf("keys %+v: %v", sp.EncryptionKeys, err)
	}
	for _, set := range [][2]string{{"allow_cbc", "true"}, {"encryption_methods", "aes128-cbc"},
		{"encryption_methods+", "rsa-oaep"}} {
		if err := idp.SetSetting(&sp, set[0], set[1]); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(sp.EncryptionKeys[0].Methods, []string{aes128CBC, oaep11}) ||
		shown(t, sp, "encryption_methods") != "aes128-cbc | rsa-oaep" {
		t.Errorf("methods %q", sp.EncryptionKeys[0].Methods)
	}
	if err := idp.SetSetting(&sp, "encryption_keys-", strings.ToUpper(fingerprint(der))); err != nil ||
		len(sp.EncryptionKeys) != 0 {
		t.Errorf("remove by fingerprint: %v", err)
	}
}

// TestSetProviderRefuses names key, fault and fix, and leaves the record as it was.
func TestSetProviderRefuses(t *testing.T) {
	private := "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	for _, c := range []struct{ key, value, field, want string }{
		{"nonsense", "1", "nonsense", "take one of name,"},
		{"kind", "saml", "kind", "no such setting"},
		{"entity_id", "x", "entity_id", "no such setting"},
		{"name", "a\nb", "name", "printable"},
		{"name+", "x", "name", "set it to the one value"},
		{"enabled", "yes", "enabled", "true or false"},
		{"groups", "staff", "groups[0]", "whole name"},
		{"groups+", "", "groups", "empties the list"},
		{"groups-", "cn=other,dc=test", "groups", "not in the list"},
		{"acs", "http://wiki.partner.test/acs", "acs[0].url", "https"},
		{"acs+", "javascript:alert(1)", "acs[3].url", "https"},
		{"acs", "", "acs", "can't be empty"},
		{"acs-", "https://other.test/", "acs", "not in the list"},
		{"form_action", "javascript:alert(1)", "form_action", "https"},
		{"recipient", "x", "recipient", "complete URL"},
		{"destination", "https://a:b@x.test/", "destination", "password"},
		{"audience", "a b", "audience", "URI"},
		{"name_id_format", "urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted", "name_id_format", "not offered"},
		{"name_id_format", "", "name_id_format", "missing"},
		{"name_id", "{nonsense}", "name_id", "not known"},
		{"name_id", "{external_id}", "name_id", "Constant Contact alone"},
		{"attributes", "email", "attributes", "NAME=TEMPLATE"},
		{"attributes+", "x={y}", "attributes[3].value", "not known"},
		{"attributes+", "x=attr:a b", "attributes[3].value", "attr:memberOf"},
		{"attributes-", "x", "attributes", "not in the list"},
		{"sign", "neither", "sign", "both or response or assertion"},
		{"encryption", "maybe", "encryption", "off or if-published or required"},
		{"encryption_keys", private, "encryption_keys", "private key"},
		{"encryption_keys", "hello", "encryption_keys", "PEM"},
		{"encryption_keys", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "encryption_keys",
			"can't be read"},
		{"encryption_methods", "aes128-gcm", "encryption_methods", "no key"},
		{"encryption_methods", "rsa-1_5", "encryption_methods", "aes128-gcm"},
		{"certificates-", "00", "certificates", "not in the list"},
		{"allow_cbc", "1", "allow_cbc", "true or false"},
		{"request_signatures", "never", "request_signatures", "if-present or required"},
		{"holds_certificates", "three", "holds_certificates", "two or one"},
		{"lifetime", "6m", "lifetime", "5m0s"},
		{"lifetime", "soon", "lifetime", "90s"},
		{"lifetime", "0s", "lifetime", "more than 0s"},
		{"skew", "-1s", "skew", "0s to 5m0s"},
		{"relay_states", "x", "relay_states", "ID=VALUE"},
		{"relay_states", "a b=x", "relay_states[0].id", "letters"},
		{"relay_states", "a=" + strings.Repeat("x", 81), "relay_states[0].value", "80 bytes"},
		{"default_relay_state", "x", "default_relay_state", "add it to relay_states"},
		{"relay_state_in", "cookie", "relay_state_in", "field or query"},
		{"name", strings.Repeat("x", 5000), "name", "at most 4096"},
	} {
		t.Run(c.key+"="+c.value[:min(len(c.value), 20)], func(t *testing.T) {
			sp := plainSP()
			err := idp.SetSetting(&sp, c.key, c.value)
			var e *idp.FieldError
			if !errors.As(err, &e) {
				t.Fatalf("error %v", err)
			}
			if e.Field != c.field || e.Fault == "" || e.Fix == "" || !strings.Contains(e.Error(), c.want) ||
				len(e.Error()) > 1000 {
				t.Errorf("error %q of field %s, want %s about %q", e, e.Field, c.field, c.want)
			}
			if !reflect.DeepEqual(sp, plainSP()) {
				t.Error("the record was changed all the same")
			}
		})
	}
}

// TestProviderKeys: every setting says what it takes and what it is for.
func TestProviderKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range idp.Settings() {
		if seen[k.Name] || k.Values == "" || !strings.HasSuffix(k.Help, ".") {
			t.Errorf("key %+v", k)
		}
		seen[k.Name] = true
	}
	// What is not set by a key is set by other commands, or never.
	record := reflect.TypeFor[store.ServiceProvider]()
	for i := range record.NumField() {
		name, _, _ := strings.Cut(record.Field(i).Tag.Get("json"), ",")
		switch name {
		case "entity_id", "kind", "sign_assertion", "sign_response", "authn_requests_signed", "logout", "metadata", "source",
			"updated_at", "valid_until":
		default:
			if !seen[name] {
				t.Errorf("field %s has no key", name)
			}
		}
	}
	// A record that is at fault can be fixed.
	sp := plainSP()
	sp.Lifetime = 0
	if err := idp.SetSetting(&sp, "lifetime", "5m"); err != nil || sp.Lifetime != 5*time.Minute {
		t.Errorf("lifetime %s: %v", sp.Lifetime, err)
	}
}

// TestCheckProviderSettings: the settings beside those of TestCheckProvider, each
// with field, fault and fix.
func TestCheckProviderSettings(t *testing.T) {
	_, der := spKey(t)
	for _, c := range []struct {
		name, field string
		spoil       func(*store.ServiceProvider)
	}{
		{"request signatures", "request_signatures", func(sp *store.ServiceProvider) { sp.RequestSignatures = "never" }},
		{"certificates held", "holds_certificates", func(sp *store.ServiceProvider) { sp.HoldsCertificates = "three" }},
		{"encryption", "encryption", func(sp *store.ServiceProvider) { sp.Encryption = "maybe" }},
		{"encryption key", "encryption_keys[0]",
			func(sp *store.ServiceProvider) { sp.EncryptionKeys = []store.EncryptionKey{{Certificate: []byte{1}}} }},
		{"encryption key that is of no use", "encryption_keys", func(sp *store.ServiceProvider) {
			sp.Encryption, sp.EncryptionKeys = "if-published",
				[]store.EncryptionKey{{Certificate: der, Methods: []string{rsa15}}}
		}},
		{"CBC without a signature around it", "allow_cbc", func(sp *store.ServiceProvider) {
			sp.AllowCBC,
				sp.SignResponse = true, false
		}},
		{"logout address", "logout[0].url", func(sp *store.ServiceProvider) {
			sp.Logout = []store.LogoutEndpoint{{URL: "javascript:alert(1)",
				Binding: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"}}
		}},
		{"logout answer address", "logout[0].response_url", func(sp *store.ServiceProvider) {
			sp.Logout = []store.LogoutEndpoint{{URL: plainACS, ResponseURL: "http://x.test/",
				Binding: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"}}
		}},
		{"logout binding", "logout[0].binding",
			func(sp *store.ServiceProvider) { sp.Logout = []store.LogoutEndpoint{{URL: plainACS, Binding: "POST"}} }},
		{"neither signed", "sign", func(sp *store.ServiceProvider) { sp.SignAssertion, sp.SignResponse = false, false }},
	} {
		t.Run(c.name, func(t *testing.T) {
			sp := plainSP()
			c.spoil(&sp)
			faults := idp.CheckProvider(sp, false)
			var e *idp.FieldError
			if len(faults) != 1 || !errors.As(faults[0], &e) || e.Field != c.field || e.Fault == "" || e.Fix == "" {
				t.Errorf("faults %v, want one of %s with its fix", faults, c.field)
			}
		})
	}
	// A key that is of no use harms nothing where encryption is off: metadata may
	// have it for other software.
	sp := plainSP()
	sp.EncryptionKeys = []store.EncryptionKey{{Certificate: der, Methods: []string{rsa15}}}
	if faults := idp.CheckProvider(sp, false); len(faults) > 0 {
		t.Errorf("faults %v", faults)
	}
}
