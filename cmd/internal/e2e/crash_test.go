package e2e_test

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// The steps of a creation at which the program is killed.
const (
	stepStored   = "the intention is stored, nothing was sent"
	stepArrived  = "the call has arrived, nothing was done"
	stepActed    = "the user was created, no answer was sent"
	stepAnswered = "the answer was sent"
)

// killer stands before the sandbox and kills the program at one step of the next creation.
type killer struct {
	path  string // with which that of a creation ends; "": of a user
	mu    sync.Mutex
	step  string
	kill  func()
	fired chan struct{}
}

func (k *killer) arm(step string, kill func()) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.step, k.kill, k.fired = step, kill, make(chan struct{})
	return k.fired
}

// at kills if the program is to be killed at this step, once.
func (k *killer) at(step string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.step != step {
		return false
	}
	k.step = ""
	k.kill()
	close(k.fired)
	return true
}

func (k *killer) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		create := r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, cmp.Or(k.path, "/users/sso"))
		switch {
		case r.URL.Path == sandbox.TokenPath && k.at(stepStored), create && k.at(stepArrived):
			panic(http.ErrAbortHandler)
		case !create:
			next.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		if k.at(stepActed) {
			panic(http.ErrAbortHandler)
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		k.at(stepAnswered)
	})
}

// Killed at each step of a creation: the person's page goes on, and exactly one user exists (row API-03).
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	onBothDatabases(t, func(t *testing.T, on func(setting) setting) {
		k := &killer{}
		s := on(crowd(t, 4))
		s.around = k.around
		s.sandbox.TokenLife = 2 * time.Second // so that a creation begins with asking for a token
		w := newWorld(t, s)
		for i, step := range []string{stepStored, stepArrived, stepActed, stepAnswered} {
			t.Run(step, func(t *testing.T) {
				<-time.After(s.sandbox.TokenLife)
				fired := k.arm(step, func() { _ = w.cmd.Process.Kill() })
				login := directorytest.LoadLogin(i)
				c := newClient(t)
				page, err := c.try(http.MethodGet, w.launch(books), nil)
				if err != nil {
					t.Fatal(err)
				}
				f := page.form("password")
				f.Fields.Set("login", login)
				f.Fields.Set("password", password)
				// Its answer may be lost with the program; the person reloads.
				_, _ = c.try(http.MethodPost, page.resolve(f.Action), f.Fields)
				select {
				case <-fired:
				case <-time.After(patience):
					t.Fatal("no creation came that far")
				}
				_ = w.cmd.Wait()
				w.cmd = nil
				w.start(t)
				again := c.goOn(c.get(w.launch(books)))
				if !again.delivers() {
					again = c.goOn(c.login(again, login, password))
				}
				if err := c.handOver(again, login); err != nil {
					t.Error(err)
				}
				w.agree(t, i+1)
			})
		}
	})
}

// Killed many times at random while a plan of a thousand is applied, with Constant Contact failing in every way: in the
// end each person exists once and the ledger says what the sandbox says. Without faults no call was ever over the
// limits.
func TestCrowdKilledAtRandom(t *testing.T) {
	const people = 1000
	onBothDatabases(t, func(t *testing.T, on func(setting) setting) {
		for _, faults := range []bool{false, true} {
			name := "all is well"
			if faults {
				name = "everything fails now and then"
			}
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, on(crowd(t, people)))
				w.command(t, "provision", "plan")
				if faults {
					for kind, share := range map[sandbox.FaultKind]float64{
						sandbox.FaultFailBefore: 0.03, sandbox.FaultFailAfter: 0.03, sandbox.FaultThrottle: 0.01,
						sandbox.FaultActAndHang: 0.004,
					} {
						w.sandbox.Fault(sandbox.Fault{Kind: kind, Path: "users/sso", Share: share})
					}
				}
				w.command(t, "provision", "apply", "--max", "5000", "--yes", "--detach")
				kills := 0
				for end := time.Now().Add(4 * time.Minute); ; {
					<-time.After(time.Duration(200+rand.IntN(1300)) * time.Millisecond)
					// Enough is enough: who is to be tried again in a while must get to live so long.
					if kills < 80 {
						kills++
						w.kill(t)
						if faults {
							w.sandbox.ForgetTokens()
						}
						w.start(t)
						end = time.Now().Add(4 * time.Minute) // how long 80 starts take is the machine's matter
					}
					p := w.plan(t)
					if p.State == "done" {
						break
					}
					if p.State != "applying" || time.Now().After(end) {
						t.Fatalf("after %d kills the plan stands at %+v", kills, p)
					}
				}
				if kills < 3 {
					t.Errorf("killed %d times only: the plan was over too soon to prove anything", kills)
				}
				w.sandbox.ClearFaults()
				w.settled(t, people)
				w.agree(t, people)
				if s := w.sandbox.Summary(); !faults && s.ByStatus[http.StatusTooManyRequests] > 0 {
					t.Errorf("%d of %d calls were answered 429, want none", s.ByStatus[http.StatusTooManyRequests], s.Calls)
				}
				t.Logf("killed %d times, %d calls for %d people", kills, w.creations(), people)
			})
		}
	})
}

// settled waits until nothing is on its way in the ledger any more.
func (w *world) settled(t testing.TB, people int) {
	t.Helper()
	var last []ledgerUser
	if !within(2*time.Minute, func() bool {
		last = w.ledger(t)
		for _, u := range last {
			if u.State != "active" && u.State != "assumed" {
				return false
			}
		}
		return len(last) == people
	}) {
		states := map[string]int{}
		for _, u := range last {
			states[u.State]++
		}
		t.Errorf("the ledger does not come to rest: %v, want %d users that are there", states, people)
	}
}
