package idp_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// told keeps the traces that a provider tells of.
type told struct {
	mu  sync.Mutex
	all []store.Trace
}

func (k *told) Add(t store.Trace) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, t)
	return true
}

func (k *told) last(t testing.TB) store.Trace {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.all) == 0 {
		t.Fatal("no trace")
	}
	return k.all[len(k.all)-1]
}

func (k *told) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.all)
}

// step finds a step of a trace.
func step(t testing.TB, trace store.Trace, name string) store.TraceStep {
	t.Helper()
	for _, s := range trace.Steps {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no step %s in %+v", name, trace)
	return store.TraceStep{}
}

// A trace says what the log says, also where the page must not.
func TestTraceReasons(t *testing.T) {
	ctx := context.Background()
	newTraced := func(t *testing.T) (*fixture, *told) {
		kept := &told{}
		return newFixture(t, "rsa-2048", func(o *idp.Options) { o.Traces, o.LoginFailures = kept, 4 }), kept
	}
	login := func(t *testing.T, f *fixture, v idp.Visitor, name, password string) idp.Answer {
		t.Helper()
		a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
		a, err = f.Login(ctx, begun(t, a, err).SignIn, name, password, v)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}

	t.Run("guessing somebody's password makes nobody known", func(t *testing.T) {
		f, kept := newTraced(t)
		login(t, f, visitor("outsider"), "alice", "guess")
		got := kept.last(t)
		if got.Outcome != "refused" || got.Reason != string(directory.BadCredentials) || got.Person == "" {
			t.Errorf("the wrong password is told as %+v", got)
		}
		if !got.Stranger {
			t.Error("a guess counts as a sign-in of somebody known: guesses are outside of the bounds for strangers")
		}
		login(t, f, visitor("home"), "alice", "correct horse")
		if got := kept.last(t); got.Stranger || got.Person == "" {
			t.Errorf("after the right password: %+v", got)
		}
	})
	t.Run("a made-up entity ID writes no line of its own", func(t *testing.T) {
		f, kept := newTraced(t)
		if _, err := f.Launch(ctx, idp.LaunchRequest{EntityID: "https://x.example\n2026-01-01 ok\x1b[2J" +
			strings.Repeat("é", 200)}, visitor("home")); err != nil {
			t.Fatal(err)
		}
		got := kept.last(t)
		if !strings.HasPrefix(got.SP, "https://x.example 2026-01-01 ok [2Jéé") || len(got.SP) > 256 || !utf8.ValidString(got.SP) {
			t.Errorf("the service provider is %q", got.SP)
		}
	})
	t.Run("an account that is locked is known by its password", func(t *testing.T) {
		f, kept := newTraced(t)
		f.directory.change("alice", func(p *person) { p.problem = directory.Disabled })
		login(t, f, visitor("home"), "alice", "correct horse")
		if got := kept.last(t); got.Stranger || got.Reason != string(directory.Disabled) ||
			step(t, got, idp.StepDirectory).Reason != string(directory.Disabled) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("too many attempts under another spelling", func(t *testing.T) {
		f, kept := newTraced(t)
		f.directory.add("al", "correct horse", directory.Entry{DN: "uid=alice", ID: "11111111-aaaa-4bbb-8ccc-000000000001",
			Login: "alice"})
		for range 2 {
			login(t, f, visitor("outsider"), "alice", "guess")
		}
		a := login(t, f, visitor("outsider"), "al", "correct horse")
		if p := must[idp.AskPassword](t, a, nil); p.Problem != directory.BadCredentials {
			t.Fatalf("the page is %+v", p)
		}
		if got := kept.last(t); got.Outcome != "refused" || got.Reason != idp.ReasonTooManyAttempts {
			t.Errorf("outcome %s, reason %q: want refused, %q, as the log has it", got.Outcome, got.Reason,
				idp.ReasonTooManyAttempts)
		}
	})
	t.Run("a reload of a finished sign-in", func(t *testing.T) {
		f, kept := newTraced(t)
		v := f.signIn(t, "alice", "correct horse")
		id := f.request(t, newRequest(plain), v)
		a, err := f.Resume(ctx, id, v)
		must[idp.Deliver](t, a, err)
		got := kept.last(t)
		assertion := step(t, got, idp.StepAssertion)
		if got.Outcome != "ok" || got.SP != plain || !strings.Contains(assertion.Detail, plainACS) ||
			!strings.Contains(assertion.Detail, "in clear") {
			t.Errorf("the sign-in is told as %+v", got)
		}
		before := kept.count()
		a, err = f.Resume(ctx, id, v)
		must[idp.Finished](t, a, err)
		if kept.count() != before {
			t.Errorf("a reload is told as a sign-in of its own: %+v", kept.last(t))
		}
	})
	t.Run("a directory that was never read has no time", func(t *testing.T) {
		f, kept := newTraced(t)
		v := f.signIn(t, "alice", "correct horse")
		f.directory.setDown(true)
		now.Advance(16 * 60e9)
		a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
		must[idp.Refusal](t, a, err)
		if s := step(t, kept.last(t), idp.StepDirectory); s.Reason != string(directory.Unavailable) ||
			strings.Contains(s.Detail, "0001") {
			t.Errorf("got %+v", s)
		}
	})
	t.Run("Constant Contact refused the user", func(t *testing.T) {
		f, kept := newTraced(t)
		v := f.signIn(t, "alice", "correct horse")
		f.gate.set(func(q provisioning.Question) (provisioning.Decision, error) {
			d := granted(q)
			d.Outcome, d.Reason, d.Detail = provisioning.Denied, provisioning.RefusedByPartner, "the text of alice@partner.test"
			d.Assignment.Mapping.ID = 7
			d.User.Attempts, d.User.ErrorKey = 3, "contact.name.invalid"
			return d, nil
		})
		a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: ctct}, v)
		must[idp.Refusal](t, a, err)
		got := kept.last(t)
		if s := step(t, got, idp.StepMapping); s.Reason != "" || !strings.Contains(s.Detail, "mapping 7") {
			t.Errorf("the mapping did hit, and is told as %+v", s)
		}
		if s := step(t, got, idp.StepPartner); s.Reason != string(provisioning.RefusedByPartner) ||
			!strings.Contains(s.Detail, "attempt 3") || !strings.Contains(s.Detail, "contact.name.invalid") {
			t.Errorf("the refusal is told as %+v", s)
		}
		if all, err := json.Marshal(kept.all); err != nil || strings.Contains(string(all), "alice@partner.test") {
			t.Errorf("a text of Constant Contact or a mail is in a trace (%v): %s", err, all)
		}
	})
	t.Run("no mapping", func(t *testing.T) {
		f, kept := newTraced(t)
		v := f.signIn(t, "alice", "correct horse")
		f.gate.set(denied(provisioning.NoAssignment))
		a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: ctct}, v)
		must[idp.Refusal](t, a, err)
		got := kept.last(t)
		if s := step(t, got, idp.StepMapping); s.Reason != string(provisioning.NoAssignment) || got.Reason != s.Reason {
			t.Errorf("got %+v", got)
		}
		for _, s := range got.Steps {
			if s.Name == idp.StepPartner {
				t.Errorf("Constant Contact has no part in it: %+v", s)
			}
		}
	})
}
