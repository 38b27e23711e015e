package e2e_test

import (
	"database/sql"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

// alertsOf is a world with metrics, and the judge of what they say.
func alertsOf(t *testing.T, s setting) (*world, *alerts) {
	t.Helper()
	rules, err := filepath.Abs("../../../docs/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	metrics := "127.0.0.1:" + freePort(t)
	if s.set == nil {
		s.set = map[string]string{}
	}
	s.quick, s.set["metrics.listen"] = true, metrics
	w := newWorld(t, s)
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return w, &alerts{t: t, rules: rules, url: "http://" + metrics + "/metrics", db: db}
}

// TestAlertsFireOfPartner: a clock that differs from Constant Contact's, credentials that it refuses, and users that
// are not created (OPS-05).
func TestAlertsFireOfPartner(t *testing.T) {
	t.Parallel()
	var ahead atomic.Bool
	w, a := alertsOf(t, setting{around: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if ahead.Load() {
				rw.Header().Set("Date", time.Now().Add(-20*time.Second).UTC().Format(http.TimeFormat))
			}
			next.ServeHTTP(rw, r)
		})
	}})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(books)), "alice", password)))
	a.wait("the clock is right", "\nssobridge_clock_offset_seconds ")
	well := a.scrape()

	// Both come by the next token, which a 401 asks for.
	ahead.Store(true)
	w.sandbox.ForgetTokens()
	c.get(w.launch(bakery))
	a.wait("the clock is off", "\nssobridge_clock_offset_seconds 2")
	a.fires(well, a.scrape(), "10m", "ClockOff")
	ahead.Store(false)

	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultGateway, Path: sandbox.TokenPath,
		Status: http.StatusUnauthorized, Body: `{"error":"invalid_client","error_description":"No client."}`})
	w.sandbox.ForgetTokens()
	other := newClient(t)
	other.login(other.get(w.launch(club)), "bob", password)
	a.wait("the credentials are refused", `ssobridge_calls_stopped{cause="credentials"} 1`)
	a.fires(well, a.scrape(), "5m", "CredentialsRefused")

	// Calls stay stopped, and the user that Bob waits for has been due for twenty minutes.
	// The call that finds out whether the others work again may take the user in between, and put it off once more.
	var stuck string
	if !within(90*time.Second, func() bool {
		a.execute(`UPDATE sso_users SET due_at = $1, next_attempt = $1 WHERE state = 'wanted'`,
			time.Now().Add(-20*time.Minute).UnixMicro())
		a.due()
		stuck = a.scrape()
		return strings.Contains(stuck, "\nssobridge_queue_overdue_seconds 12")
	}) {
		t.Fatalf("the queue is not stuck:\n%s", stuck)
	}
	a.fires(well, stuck, "10m", "QueueStuck")
}

// TestAlertsFireOfGuesses: somebody who knows one person's password and guesses codes is seen, though each person has
// no more than sign_in.login_failures wrong ones in sign_in.login_window; two slips in that time are not (OPS-05).
func TestAlertsFireOfGuesses(t *testing.T) {
	t.Parallel()
	w, a := alertsOf(t, setting{})
	w.command(t, "accounts", "set-factor", club, "required")
	owner := newClient(t)
	owner.enrolApp(owner.login(owner.get(w.launch(club)), "bob", password))
	well := a.scrape()
	guesser := newClient(t)
	p := guesser.login(guesser.get(w.launch(club)), "bob", password).says("One more step")
	for range 2 {
		p = guesser.submit(p, "code", "code", "000000").status(http.StatusUnprocessableEntity)
	}
	slips := a.scrape()
	a.every = 15 * time.Minute // what follows is as much as one window lets pass
	a.judge(well, slips, "3h", "SecondFactorGuessed", `count(ALERTS{alertname="SecondFactorGuessed"}) or vector(0)`, 0)
	for range 3 {
		p = guesser.submit(p, "code", "code", "000000").status(http.StatusUnprocessableEntity)
	}
	guesser.submit(p, "code", "code", "000000").status(http.StatusTooManyRequests)
	a.fires(well, a.scrape(), "3h", "SecondFactorGuessed")
}

// TestAlertsFireOfReplica: what goes wrong in one process (OPS-05).
func TestAlertsFireOfReplica(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	w, a := alertsOf(t, setting{set: map[string]string{"state_dir": state, "sign_in.patience": "4s",
		"log.level": "debug"}})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(books)), "alice", password)))
	well := a.scrape()

	// Constant Contact takes its time, and people wait for their user within the request.
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultSlow, Delay: 3500 * time.Millisecond})
	slow := newClient(t)
	slow.login(slow.get(w.launch(club)), "bob", password)
	a.fires(well, a.scrape(), "15m", "SlowPages")
	w.sandbox.ClearFaults()

	// The disk of the journal is gone.
	if err := os.Rename(state, state+".gone"); err != nil {
		t.Fatal(err)
	}
	if out, err := w.tryCommand("admin", "invite", "heidi"); err == nil {
		t.Logf("revoked without a journal: %s", out)
	}
	c.get(w.url + "/sessions")
	a.wait("the journal can't be written", "ssobridge_revocation_journal 0")
	a.fires(well, a.scrape(), "10m", "RevocationJournalUnwritable")
	if err := os.Rename(state+".gone", state); err != nil {
		t.Fatal(err)
	}
	a.wait("the journal is written", "ssobridge_revocation_journal 1")

	// Another version, of the same program, on the same day.
	second := filepath.Join(t.TempDir(), "ssobridge")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags",
		"-X ssobridge/cmd/internal/cli.release=9.9.9", "-o", second, "ssobridge/cmd/ssobridge").CombinedOutput()
	if err != nil {
		t.Fatalf("build another version: %v\n%s", err, out)
	}
	one := a.scrape()
	w.stop(t)
	w.binary = second
	w.start(t)
	// Two replicas, as Prometheus sees them.
	both := one
	for line := range strings.Lines(a.scrape()) {
		if strings.HasPrefix(line, "ssobridge_build_info") {
			both += line
		}
	}
	if strings.Count(both, "ssobridge_build_info{") != 2 {
		t.Fatalf("not two versions:\n%s", both)
	}
	a.fires(well, both, "65m", "VersionsDiffer")
	a.judge(well, one, "2h", "VersionsDiffer", `count(ALERTS{alertname="VersionsDiffer"}) or vector(0)`, 0)
}

// TestAlertsFireOfLog: nobody reads the log any more (OPS-05).
func TestAlertsFireOfLog(t *testing.T) {
	t.Parallel()
	w, a := alertsOf(t, setting{set: map[string]string{"log.level": "debug"}})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(books)), "alice", password)))
	well := a.scrape()
	release := w.out.block()
	defer release()
	var crowd sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		crowd.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.try(http.MethodGet, w.launch(books), nil); err != nil {
					return
				}
			}
		})
	}
	lost := within(90*time.Second, func() bool { return !a.has("ssobridge_log_lines_lost_total 0\n") })
	close(stop)
	crowd.Wait()
	if !lost {
		t.Fatal("no line is lost")
	}
	a.fires(well, a.scrape(), "5m", "LogLinesLost")
}

// TestAlertsFireOfLibcrypto: OpenSSL's library makes wrong signatures (OPS-05).
func TestAlertsFireOfLibcrypto(t *testing.T) {
	t.Parallel()
	w, a := alertsOf(t, setting{})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(books)), "alice", password)))
	well := a.scrape()
	w.stop(t)
	folder := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-w", "-DFAULT=WRONG", `-DREAL=""`,
		"-o", filepath.Join(folder, "libcrypto.so.3"), "../../../certs/testdata/libcrypto.c", "-ldl").CombinedOutput()
	if err != nil {
		t.Fatalf("compile the library: %v\n%s", err, out)
	}
	w.env = []string{"LD_LIBRARY_PATH=" + folder}
	w.start(t)
	c.deliver(c.get(w.launch(books)))
	if !a.has("ssobridge_libcrypto_failed 1") {
		t.Fatalf("libcrypto is in use:\n%s", a.scrape())
	}
	a.fires(well, a.scrape(), "5m", "LibcryptoFailed")
}
