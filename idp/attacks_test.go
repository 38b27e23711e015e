package idp_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/idp"
)

// TestAttacks sends the corpus (REQ-02, REQ-03, REQ-06, REQ-07, REQ-09 to REQ-13,
// SLO-01, and section F of the rows). Each message is refused before any session
// is looked at, by the very check that it was made for, and the log says by which.
func TestAttacks(t *testing.T) {
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.SingleLogout = true })
	f.put(t, plainSP())
	f.put(t, signingSP(readKey(t, "sp-rsa").Certificate))
	other := signingSP(readKey(t, "sp-other").Certificate)
	other.EntityID = otherSP
	f.put(t, other)
	must := signingSP(readKey(t, "sp-rsa").Certificate)
	must.EntityID, must.RequestSignatures = mustSign, "required"
	f.put(t, must)
	v := f.signIn(t, "alice", "correct horse")
	reads, binds := f.directory.counts()

	folder := filepath.Join("testdata", "attacks")
	files := map[string]bool{}
	var table strings.Builder
	for _, a := range attacks(t) {
		t.Run(a.name, func(t *testing.T) {
			file, text := filepath.Join(folder, a.name+".xml"), a.post
			if a.query != "" {
				file, text = filepath.Join(folder, a.name+".query"), a.query
			}
			if files[file] {
				t.Fatal("two attacks have one name")
			}
			files[file] = true
			if *update {
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil { // #nosec G306 -- test data
					t.Fatal(err)
				}
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(data) != text {
				t.Fatalf("%s is not what is made for it: run go test -update", file)
			}
			if strings.HasPrefix(a.name, "xsw") && a.logout {
				content, _, bad := idp.VerifyElement(data, []*x509.Certificate{readKey(t, "sp-rsa").Certificate}, false)
				if bad == nil || bad.Reason != a.reason || !strings.Contains(bad.Detail, a.detail) || content != "" {
					t.Errorf("the verifier: %q, %+v; want %s: …%s…", content, bad, a.reason, a.detail)
				}
			}
			request := get(string(data))
			if a.query == "" {
				request = post("SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(data)) + "&" + a.form)
			}
			before := len(f.log.String())
			take := f.SSO
			if a.logout {
				take = f.SLO
			}
			answer, err := take(context.Background(), request, v)
			line := f.log.String()[before:]
			refused, ok := answer.Page.(idp.Refusal)
			if err != nil || !ok {
				t.Fatalf("%T %v", answer.Page, err)
			}
			detail := logged(line, "cause")
			if refused.Reason != a.reason || !strings.Contains(strings.ToLower(detail), strings.ToLower(a.detail)) ||
				logged(line, "fix") == "" ||
				!strings.Contains(line, "ref=REF1") {
				t.Errorf("%s: %s; want %s: …%s…", refused.Reason, detail, a.reason, a.detail)
			}
			if want := map[string]int{idp.ReasonTooLarge: http.StatusRequestEntityTooLarge}[a.reason]; want == 0 &&
				refused.Status != http.StatusBadRequest || want != 0 && refused.Status != want {
				t.Errorf("status %d", refused.Status)
			}
			if refused.SignIn != "" || refused.CanCancel {
				t.Errorf("it can be gone on with: %+v", refused)
			}
			fmt.Fprintf(&table, "%-46s → %-22s %s\n", a.name, refused.Reason, detail)
		})
	}
	if r, b := f.directory.counts(); r != reads || b != binds || len(f.gate.questions()) != 0 {
		t.Error("an attack came as far as the directory or the gate")
	}
	answer, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
	if _, ok := answer.Page.(idp.Deliver); !ok || err != nil {
		t.Errorf("the session is over after the attacks: %T %v", answer.Page, err)
	}
	t.Logf("the corpus: name → refused by what\n%s", table.String())
	all, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if !files[file] {
			t.Errorf("%s belongs to no attack", file)
		}
	}
}

// logged takes one value out of a line of the log.
func logged(line, name string) string {
	_, rest, _ := strings.Cut(line, " "+name+"=")
	if !strings.HasPrefix(rest, `"`) {
		value, _, _ := strings.Cut(rest, " ")
		return value
	}
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			return strings.ReplaceAll(rest[1:i], `\"`, `"`)
		}
	}
	return rest
}
