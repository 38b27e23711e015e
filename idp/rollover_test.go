package idp_test

import (
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/store"
)

// addNewKey makes a fresh key in a state.
func (f *fixture) addNewKey(t testing.TB, state certs.State, holder string) *certs.Key {
	t.Helper()
	// The library that verifies looks at the machine's clock, whatever ours says.
	key, err := certs.Generate(certs.RSA2048, "sso.partner.test", 10*365*24*time.Hour, time.Date(2025, 1, 1, 0, 0, 0, 0,
		time.UTC), nil)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := key.PKCS8()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := f.sealer.Seal(pkcs8, "signing-key:"+key.ID)
	if err != nil {
		t.Fatal(err)
	}
	if holder != "" {
		sealed = nil
	}
	err = f.db.Keys().Add(context.Background(), store.SigningKey{
		ID: key.ID, Use: "signing", State: string(state), Algorithm: string(key.Algorithm),
		Certificate: key.Certificate.Raw, Private: sealed, Holder: holder, CreatedAt: now.Now(),
	}, store.Event{Action: "key-add", Outcome: "ok"})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// turn changes the keys by the rules of certs.
func (f *fixture) turn(t testing.TB, rule func(r *certs.Ring) error) {
	t.Helper()
	err := f.db.Keys().Change(context.Background(), func(stored *store.KeyRing) ([]store.Event, error) {
		r := certs.Ring{Keys: map[string]certs.Member{}, Choices: map[string]certs.Choice{}}
		for _, k := range stored.Keys {
			r.Keys[k.ID] = certs.Member{State: certs.State(k.State), CreatedAt: k.CreatedAt}
		}
		for entityID, c := range stored.Choices {
			r.Choices[entityID] = certs.Choice{Key: c.Key, Previous: c.Previous, Next: c.Next, SwitchAt: c.SwitchAt,
				Window: c.Window}
		}
		for _, sp := range stored.Providers {
			r.Holders = append(r.Holders, certs.Holder{EntityID: sp.EntityID, One: sp.HoldsCertificates == "one"})
		}
		if err := rule(&r); err != nil {
			return nil, err
		}
		for i, k := range stored.Keys {
			stored.Keys[i].State = string(r.Keys[k.ID].State)
		}
		for entityID, c := range r.Choices {
			stored.Choices[entityID] = store.KeyChoice{EntityID: entityID, Key: c.Key, Previous: c.Previous, Next: c.Next,
				SwitchAt: c.SwitchAt, Window: c.Window}
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) promote(t testing.TB, p certs.Promotion) {
	t.Helper()
	f.turn(t, func(r *certs.Ring) error { _, err := r.Promote(p, now.Now()); return err })
}

// strict is a service provider that trusts the certificates it has loaded and nothing else.
func strict(t testing.TB, f *fixture, entityID, acs string, loaded ...*certs.Key) *saml.ServiceProvider {
	t.Helper()
	sp := peer(t, f, entityID, acs)
	descriptor := &sp.IDPMetadata.IDPSSODescriptors[0]
	descriptor.KeyDescriptors = nil
	for _, k := range loaded {
		descriptor.KeyDescriptors = append(descriptor.KeyDescriptors, saml.KeyDescriptor{Use: "signing",
			KeyInfo: saml.KeyInfo{X509Data: saml.X509Data{
				X509Certificates: []saml.X509Certificate{{Data: base64.StdEncoding.EncodeToString(k.Certificate.Raw)}},
			}}})
	}
	return sp
}

func (f *fixture) launch(t testing.TB, entityID string, v idp.Visitor) idp.Deliver {
	t.Helper()
	a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: entityID}, v)
	return must[idp.Deliver](t, a, err)
}

// published are the certificates in our metadata, in order.
func published(t testing.TB, f *fixture) []string {
	t.Helper()
	data, err := f.Metadata(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, el := range parse(t, data).FindElements("//KeyDescriptor[@use='signing']//X509Certificate") {
		der, err := base64.StdEncoding.DecodeString(el.Text())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, certs.ID(der))
	}
	return all
}

// TestKEY01RollOverWithTwo: a strict service provider that knows only the old
// certificate, then both, then only the new one. No sign-in fails on the way, and
// nobody waits.
func TestKEY01RollOverWithTwo(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	before := readKey(t, "rsa-2048")
	v := f.signIn(t, "alice", "correct horse")
	step := func(doing string, want []string, loaded ...*certs.Key) {
		t.Helper()
		now.Advance(time.Minute)
		t.Log(doing)
		accept(t, strict(t, f, ctct, ctctACS, loaded...), f.launch(t, ctct, v))
		accept(t, strict(t, f, plain, plainACS, loaded...), f.launch(t, plain, v))
		if got := published(t, f); !slices.Equal(got, want) {
			t.Errorf("%s: metadata has %v, want %v", doing, got, want)
		}
	}
	step("one key", []string{before.ID}, before)
	after := f.addNewKey(t, certs.Next, "")
	step("a new one is made", []string{before.ID}, before)
	f.turn(t, func(r *certs.Ring) error { return r.Publish(after.ID, now.Now()) })
	step("published", []string{before.ID, after.ID}, before)
	step("loaded there", []string{before.ID, after.ID}, before, after)

	// One service provider has confirmed, the other has not loaded it yet.
	f.promote(t, certs.Promotion{Key: after.ID, EntityID: ctct, By: "Kim"})
	accept(t, strict(t, f, ctct, ctctACS, before, after), f.launch(t, ctct, v))
	accept(t, strict(t, f, ctct, ctctACS, after), f.launch(t, ctct, v))
	accept(t, strict(t, f, plain, plainACS, before), f.launch(t, plain, v))

	// One step back takes effect at once, and forward again.
	f.turn(t, func(r *certs.Ring) error { _, err := r.Rollback(ctct, now.Now()); return err })
	accept(t, strict(t, f, ctct, ctctACS, before), f.launch(t, ctct, v))
	f.promote(t, certs.Promotion{Key: after.ID, EntityID: ctct, By: "Kim"})

	f.promote(t, certs.Promotion{Key: after.ID, EntityID: plain, By: "Lee"})
	step("promoted for all", []string{after.ID, before.ID}, before, after)
	step("the old one is unloaded there", []string{after.ID, before.ID}, after)
	f.turn(t, func(r *certs.Ring) error { return r.Retire(before.ID, now.Now()) })
	step("retired", []string{after.ID}, after)
}

// TestKEY01RollOverWithOne: a service provider that holds a single certificate and
// changes it within 90 s of the agreed time. Whenever people come, they are signed
// in, or wait on a page and are signed in then; no Response is refused.
func TestKEY01RollOverWithOne(t *testing.T) {
	for _, off := range []time.Duration{-90 * time.Second, 0, 90 * time.Second} {
		t.Run(fmt.Sprintf("theirs %s", off), func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			sp := constantContact()
			sp.HoldsCertificates = "one"
			f.put(t, sp)
			before, after := readKey(t, "rsa-2048"), f.addNewKey(t, certs.Published, "")
			v := f.signIn(t, "alice", "correct horse")
			at := start.Add(10 * time.Minute)
			f.promote(t, certs.Promotion{Key: after.ID, EntityID: ctct, At: at})

			// What a Response meets there a moment after it was signed here.
			received := func(d idp.Deliver, requests ...string) {
				t.Helper()
				loaded := before
				if now.Advance(10 * time.Second); !now.Now().Before(at.Add(off)) {
					loaded = after
				}
				accept(t, strict(t, f, ctct, ctctACS, loaded), d, requests...)
				now.Advance(-10 * time.Second)
			}
			var waiting []string
			waited, delivered := 0, 0
			for now.Set(at.Add(-4 * time.Minute)); now.Now().Before(at.Add(5 * time.Minute)); now.Advance(15 * time.Second) {
				inWindow := !now.Now().Before(at.Add(-2*time.Minute)) && now.Now().Before(at.Add(3*time.Minute))
				// A launch, and a request from there.
				a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
				if err != nil {
					t.Fatal(err)
				}
				request := newRequest(ctct)
				id := f.request(t, request, v)
				b, err := f.resume(id, v)
				if err != nil {
					t.Fatal(err)
				}
				if !inWindow {
					received(must[idp.Deliver](t, a, nil))
					received(must[idp.Deliver](t, b, nil), request.id)
					delivered += 2
					continue
				}
				waiting = append(waiting, must[idp.GoOn](t, a, nil).SignIn)
				page := must[idp.Waiting](t, b, nil)
				if page.Progress.Cause != idp.CauseKeySwitch || !page.Progress.NextTry.Equal(at.Add(3*time.Minute)) ||
					!page.CanCancel {
					t.Errorf("page %+v", page)
				}
				pr, ready, err := f.Progress(context.Background(), id, v)
				if err != nil || ready || pr.Cause != idp.CauseKeySwitch {
					t.Errorf("progress %+v, ready %t, %v", pr, ready, err)
				}
				waited++
			}
			if waited != 20 || delivered != 32 {
				t.Errorf("%d times of waiting and %d Responses, want 20 and 32", waited, delivered)
			}
			// The window is over: whoever has waited goes on.
			for _, id := range waiting {
				if _, ready, err := f.Progress(context.Background(), id, v); err != nil || !ready {
					t.Fatalf("not ready after the window: %v", err)
				}
				a, err := f.Resume(context.Background(), id, v)
				received(must[idp.Deliver](t, a, err))
			}
			// People of other service providers have noticed nothing.
			accept(t, strict(t, f, plain, plainACS, before), f.launch(t, plain, v))
		})
	}
}

// TestKEY01PassiveDuringSwitch: where no page may be shown, the service provider is
// told to come back; and a person who does not want to wait can go back.
func TestKEY01PassiveDuringSwitch(t *testing.T) {
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.SwitchBefore, o.SwitchAfter = time.Minute, time.Minute })
	after := f.addNewKey(t, certs.Published, "")
	v := f.signIn(t, "alice", "correct horse")
	at := start.Add(10 * time.Minute)
	// Nobody has said that this one holds both, so it is treated as one that does not.
	f.promote(t, certs.Promotion{Key: after.ID, EntityID: plain, At: at})
	now.Set(at)

	r := newRequest(plain)
	r.attributes = `IsPassive="true"`
	a, err := f.Resume(context.Background(), f.request(t, r, v), v)
	responder := func(a idp.Answer, err error) {
		t.Helper()
		el := root(t, must[idp.Deliver](t, a, err))
		codes := el.FindElements("//StatusCode")
		if len(codes) != 1 || codes[0].SelectAttrValue("Value", "") != saml.StatusResponder ||
			el.FindElement("//Assertion") != nil {
			t.Errorf("status %d codes, want Responder alone and no assertion", len(codes))
		}
	}
	responder(a, err)

	id := f.request(t, newRequest(plain), v)
	a, err = f.resume(id, v)
	must[idp.Waiting](t, a, err)
	a, err = f.Cancel(context.Background(), id, v)
	responder(a, err)
}

// TestKEY01SwitchByClock: at the very moment of the switch each replica signs with the new
// key, without anything being written or started again; a step back takes effect
// at once, also for those who wait.
func TestKEY01SwitchByClock(t *testing.T) {
	var o idp.Options
	f := newFixture(t, "rsa-2048", func(options *idp.Options) { o = *options })
	other, err := idp.New(o) // another replica on the same store
	if err != nil {
		t.Fatal(err)
	}
	before, after := readKey(t, "rsa-2048"), f.addNewKey(t, certs.Published, "")
	v := f.signIn(t, "alice", "correct horse")
	at := start.Add(10 * time.Minute)
	f.promote(t, certs.Promotion{Key: after.ID, EntityID: ctct, At: at, By: "Kim"}) // holds both: nobody waits
	signedBy := func(p *idp.IdP) string {
		t.Helper()
		a, err := p.Launch(context.Background(), idp.LaunchRequest{EntityID: ctct}, v)
		el := find(t, root(t, must[idp.Deliver](t, a, err)), "./Signature//X509Certificate")
		der, err := base64.StdEncoding.DecodeString(el.Text())
		if err != nil {
			t.Fatal(err)
		}
		return certs.ID(der)
	}
	for _, c := range []struct {
		at   time.Time
		want string
	}{{at.Add(-time.Nanosecond), before.ID}, {at, after.ID}, {at.Add(30 * time.Minute), after.ID},
		{at.Add(-5 * time.Minute), before.ID}} {
		now.Set(c.at)
		for n, p := range []*idp.IdP{f.IdP, other} {
			if got := signedBy(p); got != c.want {
				t.Errorf("replica %d, %s: signed by %s, want %s", n, c.at.Sub(at), got, c.want)
			}
		}
	}

	// One that does not hold both waits, until the step back.
	f.promote(t, certs.Promotion{Key: after.ID, EntityID: plain, At: at})
	now.Set(at.Add(30 * time.Second))
	a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
	id := begun(t, a, err).SignIn
	a, err = other.Resume(context.Background(), id, v)
	must[idp.Waiting](t, a, err)
	f.turn(t, func(r *certs.Ring) error { _, err := r.Rollback(plain, now.Now()); return err })
	a, err = other.Resume(context.Background(), id, v)
	accept(t, strict(t, f, plain, plainACS, before), must[idp.Deliver](t, a, err))
}

// TestKEY01NoOtherKeyInItsPlace: a service provider whose key can't be used gets no
// Response by another one, which it may not know; the metadata keep both certificates.
func TestKEY01NoOtherKeyInItsPlace(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	before := readKey(t, "rsa-2048")
	held := f.addNewKey(t, certs.Published, "pkcs11:sign")
	f.promote(t, certs.Promotion{Key: held.ID, EntityID: ctct, By: "Kim"})
	v := f.signIn(t, "alice", "correct horse")
	if a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: ctct}, v); err == nil ||
		!strings.Contains(err.Error(), held.ID) {
		t.Errorf("page %T, %v, want an error that names the key", a.Page, err)
	}
	accept(t, strict(t, f, plain, plainACS, before), f.launch(t, plain, v))
	if got := published(t, f); len(got) != 2 {
		t.Errorf("metadata has %v, want both certificates", got)
	}
	if err := f.Ready(context.Background()); err != nil {
		t.Errorf("not ready, although others can be served: %v", err)
	}
	if !strings.Contains(f.log.String(), "a signing key can't be used") {
		t.Error("the log does not say so")
	}
}

// token is one that can be down.
type token struct {
	mu   sync.Mutex
	keys map[string]crypto.Signer
	down bool
}

func (k *token) Signer(label string) (crypto.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down || k.keys[label] == nil {
		return nil, errors.New("the token does not answer")
	}
	return k.keys[label], nil
}

// TestKEY02TokenSigns: a key that a token holds signs, and is found again once a
// token that was down is back, although nothing has changed in the store.
func TestKEY02TokenSigns(t *testing.T) {
	held := &token{keys: map[string]crypto.Signer{}, down: true}
	f := newFixture(t, "", func(o *idp.Options) { o.Token = held })
	key := f.addNewKey(t, certs.Active, "pkcs11:sign")
	held.keys["sign"] = key.Signer
	if err := f.Ready(context.Background()); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("ready says %v", err)
	}
	held.mu.Lock()
	held.down = false
	held.mu.Unlock()
	now.Advance(time.Second)
	if err := f.Ready(context.Background()); err == nil {
		t.Error("a token that failed is asked again at once")
	}
	now.Advance(5 * time.Second)
	if err := f.Ready(context.Background()); err != nil {
		t.Error(err)
	}
	v := f.signIn(t, "alice", "correct horse")
	accept(t, strict(t, f, ctct, ctctACS, key), f.launch(t, ctct, v))

	// A token that holds another key under the label signs nothing.
	g := newFixture(t, "", func(o *idp.Options) { o.Token = held })
	g.addNewKey(t, certs.Active, "pkcs11:sign")
	if err := g.Ready(context.Background()); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("another key under the label: %v", err)
	}
}
