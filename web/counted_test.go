package web_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/web"
)

// TestRefusalsAreOnlyCounted: past ten in a second of a kind, the page, the header and the JSON answer name a reference
// that carries its reason; there is no log line, and the request is counted (rows COST-01 and COST-03).
func TestRefusalsAreOnlyCounted(t *testing.T) {
	sealer, err := certs.NewSealer(bytes.Repeat([]byte{1}, certs.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	refs := idp.NewReferences(sealer)
	var footprints *idp.Footprints
	r := newRig(t, func(o *web.Options) {
		footprints = idp.NewFootprints(o.Now)
		o.Footprints, o.References = footprints, &refs
		o.Logger = slog.New(idp.Quiet(o.Logger.Handler(), footprints))
	})
	shown := regexp.MustCompile(`[0-9A-Z]{14}|[0-9A-Z]{10}`)
	pageRef := func(body string) string {
		t.Helper()
		i := strings.Index(body, "Reference")
		if i < 0 {
			t.Fatalf("no reference on the page:\n%s", body)
		}
		return shown.FindString(body[i:])
	}
	coded := func(what, ref, reason string) {
		t.Helper()
		got, ok := refs.Read(ref)
		if !ok || got.Reason != reason || !got.Minute.Equal(now.Truncate(time.Minute)) {
			t.Errorf("%s: the reference %q is read as %+v, %v, want %s", what, ref, got, ok, reason)
		}
	}
	for i := range 30 {
		res := r.get("/no/such/page")
		ref := pageRef(res.body)
		if header := res.Header.Get("X-Request-Id"); header != ref {
			t.Errorf("request %d: %s on the page, %s in the header", i+1, ref, header)
		}
		if res.StatusCode != http.StatusNotFound {
			t.Fatalf("request %d: status %d", i+1, res.StatusCode)
		}
		coded("page", ref, "not_found") // also the first ten, which have a log line: there is no trace of such a page
	}
	if !strings.Contains(r.logged(), `"cause":"There is no such page."`) || !strings.Contains(r.logged(), `"fix":"Compare`) {
		t.Errorf("the log does not say cause and fix: %s", r.logged())
	}
	// A refusal that left a trace keeps the reference of that.
	r.idp.answer = &idp.Answer{Page: idp.Refusal{Reason: idp.ReasonChooseProvider, Status: http.StatusBadRequest}}
	r.idp.footprint = func(f *idp.Footprint) { f.Traced() }
	if ref := pageRef(r.get("/launch").body); len(ref) != 10 {
		t.Errorf("a refusal with a trace has the reference %s", ref)
	}
	r.idp.footprint, r.idp.answer = nil, nil
	if n, left := strings.Count(r.logged(), `"reason":"not_found"`), footprints.LeftOut(); n != 10 ||
		left["request"] != 20 {
		t.Errorf("%d lines are written and %v left out, want 10 and 20", n, left)
	}
	// Another kind in the middle of it, from the same address.
	coded("another kind", pageRef(r.do(http.MethodDelete, "/launch", nil).body), "method_not_allowed")
	for range 10 {
		r.get("/login/progress?t=none")
	}
	res := r.get("/login/progress?t=none")
	var told struct{ Error, Ref string }
	if err := json.Unmarshal([]byte(res.body), &told); err != nil || told.Ref != res.Header.Get("X-Request-Id") {
		t.Fatalf("JSON: %s, %v; header %s", res.body, err, res.Header.Get("X-Request-Id"))
	}
	coded("JSON", told.Ref, told.Error)

	// A page that is no refusal says so: past the strangers' bound it has no log line either.
	r.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: "x"}}
	coded("login page", r.get("/launch").Header.Get("X-Request-Id"), idp.ReasonAnswered)

	// Somebody with a session is no stranger, also where nothing but the refusal looks at it.
	r.idp.answer = nil
	r.idp.sessions["token"] = "anna"
	coded("of a known person", pageRef(r.get("/no/such/page", "Cookie", sessionCookie+"=token").body), "not_found")

	sums := map[string]int64{}
	for _, n := range footprints.Counted() {
		sums[n.Reason] += n.Requests
	}
	if want := map[string]int64{"not_found": 20, told.Error: 1, idp.ReasonAnswered: 1}; !maps.Equal(sums, want) {
		t.Errorf("counted: %v, want %v", sums, want)
	}
	if got := footprints.Reasons(); !maps.Equal(got, sums) {
		t.Errorf("for the log: %v, stored: %v", got, sums)
	}
}

// TestAlikeAnswersHaveAlikeReferences: where an answer must not tell whether a login exists, its reference does not
// either, though one person's trace is kept and a stranger's is not (row COST-03).
func TestAlikeAnswersHaveAlikeReferences(t *testing.T) {
	sealer, err := certs.NewSealer(bytes.Repeat([]byte{1}, certs.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	refs := idp.NewReferences(sealer)
	r := newRig(t, func(o *web.Options) { o.Footprints, o.References = idp.NewFootprints(o.Now), &refs })
	refused := idp.Answer{Page: idp.Refusal{Provider: "Constant Contact", Reason: idp.ReasonBusy,
		Status: http.StatusServiceUnavailable}}
	wrong := idp.Answer{Page: idp.AskPassword{SignIn: "x", Problem: "bad_credentials"}}
	for i := range 30 { // past the bound from the middle on
		for what, f := range map[string]func(*idp.Footprint){
			"a login that exists":    func(f *idp.Footprint) { f.Known(); f.Alike() },
			"one that does not":      func(f *idp.Footprint) { f.Refused("bad_credentials"); f.Alike() },
			"one that several match": func(f *idp.Footprint) { f.Refused("ambiguous"); f.Alike() },
		} {
			r.idp.footprint, r.idp.answer = f, &refused
			if got, ok := refs.Read(r.get("/launch").Header.Get("X-Request-Id")); !ok || got.Reason != idp.ReasonBusy {
				t.Errorf("request %d: refused, %s has a reference of %+v, %v", i+1, what, got, ok)
			}
			r.idp.answer = &wrong
			res := r.get("/launch")
			if ref := res.Header.Get("X-Request-Id"); len(ref) != 10 || !strings.Contains(res.body, "<code>"+ref+"</code>") {
				t.Errorf("request %d: asked again, %s has the reference %s in its header, and the page:\n%s", i+1, what, ref,
					res.body)
			}
		}
	}
}
