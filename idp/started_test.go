package idp_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// isStored tells whether anything is stored of a sign-in or its request.
func (f *fixture) isStored(t testing.TB, handle, entityID, requestID string) bool {
	t.Helper()
	id, _, _ := strings.Cut(handle, ".")
	stored, used, err := f.db.SignIns().Find(context.Background(), id, entityID, requestID)
	if err != nil {
		t.Fatal(err)
	}
	return stored || used
}

// Row ID-10 (and WEB-09): whatever strangers start, look at and cancel, nothing of it is stored, and nobody else is
// refused for it.
func TestNothingIsStoredOfStrangers(t *testing.T) {
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.Caps = store.Caps{PerAddress: 1, Total: 4} })
	ctx := context.Background()
	before := len(f.events(t))
	v := visitor("b")
	for i := range 50 {
		r := newRequest(plain)
		var a idp.Answer
		var err error
		w := v
		if i%2 == 0 {
			a, err = f.SSO(ctx, byPost(t, r.xml(), "RelayState="+strings.Repeat("x", 100*i)), visitor(""))
			w.Own = must[idp.GoOn](t, a, err).Own
		} else {
			a, err = f.SSO(ctx, byRedirect(t, r.xml()), v)
		}
		id := must[idp.GoOn](t, a, err).SignIn
		a, err = f.Resume(ctx, id, w)
		id = must[idp.AskPassword](t, a, err).SignIn
		if f.isStored(t, id, plain, r.id) {
			t.Fatal("a request of nobody is stored")
		}
		a, err = f.Cancel(ctx, id, v)
		must[idp.Deliver](t, a, err)
		// It can be taken back: nothing of it was used up.
		a, err = f.Resume(ctx, id, v)
		must[idp.AskPassword](t, a, err)
		if f.isStored(t, id, plain, r.id) {
			t.Fatal("what nobody cancelled is stored")
		}
		a, err = f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
		if id = begun(t, a, err).SignIn; f.isStored(t, id, "", "") {
			t.Fatal("a launch of nobody is stored")
		}
	}
	f.directory.setDown(true)
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
	on := begun(t, a, err)
	a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", v)
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonDirectoryDown || f.isStored(t, r.SignIn, "", "") {
		t.Errorf("refusal %+v", r)
	}
	f.directory.setDown(false)
	if after := len(f.events(t)); after != before {
		t.Errorf("%d events, want the %d that there were", after, before)
	}
	// The right password stores it, with the session.
	a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", v)
	next := must[idp.GoOn](t, a, err).SignIn
	if !same(next, on.SignIn) || strings.Contains(next, ".") || !f.isStored(t, next, "", "") {
		t.Errorf("after the login it goes on as %s", next)
	}
	v.Session = a.NewSession
	a, err = f.Resume(ctx, next, v)
	must[idp.Deliver](t, a, err)
}

// Row ID-10: who takes their time on the login page, or comes back to it, goes on with it; not for ever.
func TestStartedLasts(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	ctx := context.Background()
	v := visitor("b")
	r := newRequest(plain)
	id := f.request(t, r, v)
	now.Advance(6 * time.Minute) // past the time in which the request itself is taken
	a, err := f.SSO(ctx, byRedirect(t, r.xml()), v)
	if refused := must[idp.Refusal](t, a, err); refused.Reason != idp.ReasonRequestTime {
		t.Errorf("refusal %+v", refused)
	}
	a, err = f.Resume(ctx, id, v)
	must[idp.AskPassword](t, a, err)
	late := f.request(t, newRequest(plain), v)
	now.Advance(53 * time.Minute)
	a, err = f.Login(ctx, id, "alice", "correct horse", v)
	must[idp.GoOn](t, a, err)
	v.Session = a.NewSession
	a, err = f.Resume(ctx, id, v)
	accept(t, peer(t, f, plain, plainACS), must[idp.Deliver](t, a, err), r.id)
	now.Advance(7 * time.Minute)
	a, err = f.Login(ctx, late, "alice", "correct horse", v)
	if refused := must[idp.Refusal](t, a, err); refused.Reason != idp.ReasonUnknownSignIn {
		t.Errorf("refusal %+v", refused)
	}
}

// Row ID-11: a sealed sign-in is good for its id, its browser and as it is.
func TestStartedIsSealed(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	ctx := context.Background()
	v := visitor("b")
	one, two := f.request(t, newRequest(plain), v), f.request(t, newRequest(ctct), v)
	idOne, textOne, _ := strings.Cut(one, ".")
	idTwo, textTwo, _ := strings.Cut(two, ".")
	flipped := []byte(textOne)
	flipped[len(flipped)/2] ^= 1
	for name, handle := range map[string]string{
		"another's text": idOne + "." + textTwo, "another id": idTwo + "." + textOne, "no text": idOne + ".",
		"no id":   "." + textOne,
		"changed": idOne + "." + string(flipped), "longer": one + "AAAA", "shorter": one[:len(one)-4], "padding": one + "=",
		"dots":  one + ".x",
		"plain": idOne + ".e30", "very long": idOne + "." + strings.Repeat("A", 1<<20), "only the id": idOne,
	} {
		a, err := f.Login(ctx, handle, "alice", "correct horse", v)
		if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonUnknownSignIn || a.NewSession != "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	// What another program's keys sealed is none.
	g := newFixture(t, "rsa-2048", func(o *idp.Options) { o.Sealer = anotherSealer(t) })
	a, err := g.Resume(ctx, one, v)
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonUnknownSignIn {
		t.Errorf("another secret key: %+v", r)
	}
	a, err = f.Login(ctx, one, "alice", "correct horse", visitor("another"))
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonOtherBrowser {
		t.Errorf("another browser: %+v", r)
	}
	a, err = f.Login(ctx, one, "alice", "correct horse", v)
	must[idp.GoOn](t, a, err)
}

// Rows REQ-08 and SP-07: of many who log in at once for copies of one request, on two replicas, one gets an assertion;
// and a form that is sent twice gives one Response.
func TestStartedOnce(t *testing.T) {
	var o idp.Options
	f := newFixture(t, "rsa-2048", func(options *idp.Options) { o = *options })
	other, err := idp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	request := newRequest(plain)
	var mu sync.Mutex
	pages := map[string]int{}
	var group sync.WaitGroup
	var begun []string
	for i := range 8 {
		a, err := f.SSO(ctx, byRedirect(t, request.xml()), visitor(fmt.Sprint("browser ", i)))
		begun = append(begun, must[idp.GoOn](t, a, err).SignIn)
	}
	for i, id := range begun {
		p := []*idp.IdP{f.IdP, other}[i%2]
		v := visitor(fmt.Sprint("browser ", i))
		group.Go(func() {
			a, err := p.Login(ctx, id, "alice", "correct horse", v)
			if on, ok := a.Page.(idp.GoOn); ok && err == nil {
				v.Session = a.NewSession
				a, err = p.Resume(ctx, on.SignIn, v)
			}
			if r, ok := a.Page.(idp.Refusal); ok && (r.Reason != idp.ReasonReplayed || a.NewSession != "") {
				t.Errorf("refusal %+v", r)
			}
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			pages[fmt.Sprintf("%T", a.Page)]++
		})
	}
	group.Wait()
	if pages["idp.Deliver"] != 1 || pages["idp.Refusal"] != 7 {
		t.Errorf("pages %v", pages)
	}

	v := visitor("twice")
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
	id := must[idp.AskPassword](t, a, err).SignIn
	var sessions []string
	for range 2 { // clicked twice
		a, err = f.Login(ctx, id, "alice", "correct horse", v)
		must[idp.GoOn](t, a, err)
		sessions = append(sessions, a.NewSession)
	}
	v.Session = sessions[1]
	a, err = f.Resume(ctx, id, v)
	must[idp.Deliver](t, a, err)
	a, err = f.Resume(ctx, id, v)
	must[idp.Finished](t, a, err)
	a, err = f.Login(ctx, id, "alice", "correct horse", v)
	must[idp.Finished](t, a, err)
}

// Row ID-12: an error status for nobody is signed, and leaves nothing behind; one for somebody is on record.
func TestStatusForNobody(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	ctx := context.Background()
	known := f.signIn(t, "alice", "correct horse")
	before := len(f.events(t))
	v := visitor("b")
	for name, change := range map[string]func(*authnRequest){
		"passive and new credentials": func(r *authnRequest) { r.attributes = `ForceAuthn="true" IsPassive="true"` },
		"passive":                     func(r *authnRequest) { r.attributes = `IsPassive="true"` },
		"NameIDPolicy": func(r *authnRequest) {
			r.inner = `<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"/>`
		},
	} {
		r := newRequest(plain)
		change(&r)
		for range 3 {
			a, err := f.SSO(ctx, byRedirect(t, r.xml()), v)
			if on, ok := a.Page.(idp.GoOn); ok && err == nil {
				a, err = f.Resume(ctx, on.SignIn, v)
			}
			d := must[idp.Deliver](t, a, err)
			if root(t, d).FindElement("./Signature") == nil || root(t, d).FindElement("//Assertion") != nil {
				t.Errorf("%s: %s", name, decode(t, d))
			}
		}
		if f.isStored(t, "", plain, r.id) {
			t.Errorf("%s: its request is on record", name)
		}
	}
	if after := len(f.events(t)); after != before {
		t.Errorf("%d events, want %d", after, before)
	}
	// Somebody's is on record, once.
	r := newRequest(plain)
	id := f.request(t, r, known)
	a, err := f.Cancel(ctx, id, known)
	must[idp.Deliver](t, a, err)
	a, err = f.Cancel(ctx, id, known)
	must[idp.Finished](t, a, err)
	if e := f.events(t)[0]; e.Reason != idp.ReasonCancelled || e.Actor != string(aliceID) ||
		!f.isStored(t, id, plain, r.id) {
		t.Errorf("event %+v", e)
	}
}

// Row ID-12: a flood of statuses from one address takes its share of the machine; others have their turn, and past the
// bounds the answer is 503.
func TestStatusSlots(t *testing.T) {
	slots := idp.NewSlots(1)
	ctx := context.Background()
	release, ok, err := slots.Take(ctx, "busy", time.Hour)
	if !ok || err != nil {
		t.Fatal("the first slot was not free")
	}
	type got struct {
		from    string
		release func()
	}
	served := make(chan got)
	var refused sync.WaitGroup
	queued := func() int { return slots.Waiting() }
	wait := func(n int) {
		for queued() != n {
			runtime.Gosched()
		}
	}
	for i := range idp.MaxWaitingBlock {
		go func() {
			release, ok, err := slots.Take(ctx, "flood", time.Hour)
			if !ok || err != nil {
				t.Errorf("flood %d: %v, %v", i, ok, err)
				return
			}
			served <- got{"flood", release}
		}()
	}
	wait(idp.MaxWaitingBlock)
	for range 20 {
		refused.Go(func() {
			if _, ok, err := slots.Take(ctx, "flood", time.Hour); ok || err != nil {
				t.Error("one address waits without bound")
			}
		})
	}
	refused.Wait()
	for _, from := range []string{"a", "b"} {
		go func() {
			release, _, _ := slots.Take(ctx, from, time.Hour)
			served <- got{from, release}
		}()
		wait(queued() + 1)
	}
	release()
	var order []string
	for range idp.MaxWaitingBlock + 2 {
		g := <-served
		order = append(order, g.from)
		g.release()
	}
	if head := strings.Join(order[:4], " "); !strings.Contains(head, "a") || !strings.Contains(head, "b") {
		t.Errorf("served %v", order)
	}
	// Who gives up, or has waited long enough, leaves; nothing is lost.
	release, _, _ = slots.Take(ctx, "a", time.Hour)
	if _, ok, err := slots.Take(ctx, "b", time.Nanosecond); ok || err != nil {
		t.Errorf("past its patience: %v, %v", ok, err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, ok, err := slots.Take(gone, "b", time.Hour); ok || err == nil {
		t.Errorf("gone: %v, %v", ok, err)
	}
	release()
	if _, ok, _ = slots.Take(ctx, "c", time.Hour); !ok || queued() != 0 {
		t.Error("a slot was lost")
	}
}

// While a replica of the version before is running, sign-ins are stored when they are started, as it does, and each
// understands both.
func TestOlderReplicas(t *testing.T) {
	older := true
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Older = func(context.Context) bool { return older }
		o.Caps = store.Caps{PerAddress: 3, Total: 8}
	})
	ctx := context.Background()
	v := visitor("b")
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
	launch := must[idp.GoOn](t, a, err).SignIn
	a, err = f.SSO(ctx, byPost(t, newRequest(plain).xml()), visitor(""))
	on := must[idp.GoOn](t, a, err)
	if strings.Contains(launch+on.SignIn, ".") || on.Own != "" {
		t.Errorf("started as %q and %+v", launch, on)
	}
	a, err = f.Resume(ctx, on.SignIn, v) // the first browser that comes has it, as before
	must[idp.AskPassword](t, a, err)
	a, err = f.Resume(ctx, on.SignIn, visitor("another"))
	must[idp.Refusal](t, a, err)
	f.request(t, newRequest(plain), v)
	a, err = f.SSO(ctx, byRedirect(t, newRequest(plain).xml()), v)
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonTooManySignIns || r.Status != http.StatusTooManyRequests {
		t.Errorf("past the caps: %+v", r)
	}
	// It has gone: what was stored goes on, what begins now is sealed.
	older = false
	sealed := f.request(t, newRequest(plain), v)
	for _, id := range []string{launch, on.SignIn, sealed} {
		a, err = f.Login(ctx, id, "alice", "correct horse", v)
		next := must[idp.GoOn](t, a, err).SignIn
		w := v
		w.Session = a.NewSession
		a, err = f.Resume(ctx, next, w)
		must[idp.Deliver](t, a, err)
	}
}
