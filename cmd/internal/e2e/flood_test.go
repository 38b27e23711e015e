package e2e_test

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
)

// floodVariable is how long each kind of flood lasts. At full length, one minute, on a machine of its own, each of the
// people is in within 3 s; the test itself reports their times and only demands that all get in.
const floodVariable = "SSOBRIDGE_TEST_FLOOD"

const (
	floodRate   = 1000 // requests and launches a second
	guessRate   = 100  // guesses a second
	floodPeople = 50   // half of them known from before
	floodGrowth = 1 << 20
	floodLog    = 1 << 20 // of a replica, in a minute that has begun
)

// flooder sends one kind of what strangers send. Its client address is a forged one, which the proxy that this test
// plays names.
type flooder struct {
	w       *world
	http    *http.Client
	sent    atomic.Int64
	refused atomic.Int64
}

func (f *flooder) do(ctx context.Context, method, target, address string, fields url.Values,
	cookies []*http.Cookie) (status int, body string, set []*http.Cookie, err error) {
	var text io.Reader
	if fields != nil {
		text = strings.NewReader(fields.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, target, text)
	if err != nil {
		return 0, "", nil, err
	}
	if fields != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("X-Forwarded-For", address)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	res, err := f.http.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	f.sent.Add(1)
	if res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusTooManyRequests {
		f.refused.Add(1)
	}
	return res.StatusCode, string(data), res.Cookies(), err
}

// begin gets a login page and returns its form, with the cookies that go with it.
func (f *flooder) begin(ctx context.Context, target, address string) (url.Values, []*http.Cookie) {
	_, body, cookies, err := f.do(ctx, http.MethodGet, target, address, nil, nil)
	if err != nil {
		return nil, nil
	}
	all, err := forms(body)
	if err != nil || len(all) == 0 {
		return nil, nil
	}
	return all[0].Fields, cookies
}

// kinds of floods: each call is one thing that strangers do.
func (f *flooder) kinds(t testing.TB) map[string]func(ctx context.Context, i int) {
	asked := func(change func(*request)) string {
		r := newRequest(f.w)
		if change != nil {
			change(&r)
		}
		return r.redirect(t, f.w, "")
	}
	start := func(ctx context.Context, i int, address string) {
		if i%2 == 0 {
			_, _, _, _ = f.do(ctx, http.MethodGet, asked(nil), address, nil, nil)
		} else {
			_, _, _, _ = f.do(ctx, http.MethodGet, f.w.launch(club), address, nil, nil)
		}
	}
	return map[string]func(context.Context, int){
		"5,000 addresses": func(ctx context.Context, i int) { start(ctx, i, fmt.Sprintf("198.18.%d.%d", i/250%20, 1+i%250)) },
		"one address":     func(ctx context.Context, i int) { start(ctx, i, "192.0.2.1") },
		"a mix": func(ctx context.Context, i int) {
			address := fmt.Sprintf("198.18.1.%d", 1+i%100)
			switch i % 4 {
			case 0:
				_, _, _, _ = f.do(ctx, http.MethodGet, f.w.launch(club), address, nil, nil)
			case 1:
				_, _, _, _ = f.do(ctx, http.MethodGet,
					asked(func(r *request) { r.attributes = map[string]string{"IsPassive": "true", "ForceAuthn": "true"} }),
					address, nil, nil)
			case 2:
				// A request whose sign-in is cancelled.
				_, _, cookies, err := f.do(ctx, http.MethodGet, asked(nil), address, nil, nil)
				if err != nil {
					return
				}
				for _, c := range cookies {
					if id, ok := strings.CutPrefix(c.Name, "__Host-ssobridge_start_"); ok {
						_, body, _, _ := f.do(ctx, http.MethodGet, f.w.url+"/login?t="+id, address, nil, cookies)
						if all, err := forms(body); err == nil && len(all) > 1 {
							_, _, _, _ = f.do(ctx, http.MethodPost, f.w.url+"/login/cancel", address, all[1].Fields, cookies)
						}
					}
				}
			default:
				r := newRequest(f.w)
				r.attributes = map[string]string{"ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"}
				_, _, _, _ = f.do(ctx, http.MethodGet, r.redirect(t, f.w, ""), address, nil, nil)
			}
		},
		"guesses": func(ctx context.Context, i int) {
			if i%(floodRate/guessRate) != 0 {
				return
			}
			address := fmt.Sprintf("198.19.%d.%d", i/250%20, 1+i%250)
			fields, cookies := f.begin(ctx, f.w.launch(club), address)
			if fields == nil {
				return
			}
			fields.Set("login", fmt.Sprintf("nobody%d-%s", i, randomHex()[:8]))
			fields.Set("password", "wrong")
			_, _, _, _ = f.do(ctx, http.MethodPost, f.w.url+"/login", address, fields, cookies)
		},
	}
}

// run sends at the rate until ctx ends: those of one moment together, and no more at once than there are workers.
func (f *flooder) run(ctx context.Context, one func(context.Context, int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range 64 {
		wg.Go(func() {
			for i := range next {
				one(ctx, i)
			}
		})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; {
		<-tick.C
		for range floodRate / 100 {
			select {
			case next <- i:
				i++
			case <-ctx.Done():
			}
		}
	}
	close(next)
	wg.Wait()
}

// Rows ID-10, ID-12 and WEB-09: whatever strangers send in any number, everybody gets in, and the store does not grow
// by it.
func TestCrowdFlood(t *testing.T) {
	last, err := time.ParseDuration(cmp.Or(os.Getenv(floodVariable), "4s"))
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, w *world, size func() int64, replicas ...*bridge) {
		logged := func() (n int) {
			for _, b := range replicas {
				n += len(b.out.String())
			}
			return n
		}
		before := size()
		f := &flooder{w: w, http: &http.Client{
			Timeout: patience, Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
		kinds := f.kinds(t)
		known := map[int]*client{}
		for i := range floodPeople / 2 {
			known[i] = newClient(t)
			if _, err := known[i].enter(w.launch(books), directorytest.LoadLogin(i), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		// Floods that nobody signs in beside, for what they leave.
		calm := size()
		t.Logf("the store had %d KB, and %d KB after %d people", before>>10, calm>>10, floodPeople/2)
		for _, name := range []string{"5,000 addresses", "one address", "a mix"} {
			lines, began := logged(), time.Now()
			ctx, stop := context.WithTimeout(t.Context(), last)
			f.run(ctx, kinds[name])
			stop()
			// Row COST-01: what is past the bounds is counted, also in the log.
			minutes := int(time.Since(began)/time.Minute) + 2
			if lines = logged() - lines; lines > minutes*len(replicas)*floodLog {
				t.Errorf("%s: %d KB of log in %s", name, lines>>10, time.Since(began))
			} else {
				t.Logf("%s: %d KB of log in %s", name, lines>>10, time.Since(began).Round(time.Second))
			}
		}
		t.Logf("floods: %d answers, %d of them refused", f.sent.Load(), f.refused.Load())
		if grown := size() - calm; grown > floodGrowth {
			t.Errorf("the store grew by %d KB", grown>>10)
		} else {
			t.Logf("the store grew by %d KB", grown>>10)
		}
		for _, name := range []string{"5,000 addresses", "one address", "a mix", "guesses"} {
			t.Run(name, func(t *testing.T) { people(t, w, f, kinds[name], known, last) })
		}
		t.Logf("afterwards the store has %d KB", size()>>10)
	}
	t.Run("SQLite", func(t *testing.T) {
		s := crowd(t, floodPeople)
		delete(s.set, "sign_in.pending_per_address")
		s.set["trusted_proxies"] = "127.0.0.1"
		w := newWorld(t, s)
		run(t, w, func() int64 {
			// What is kept. The log beside the database is bounded by itself, and written again from its beginning.
			emptyLog(t, filepath.Join(w.dir, "data", "ssobridge.db"))
			return folderSize(t, filepath.Join(w.dir, "data"))
		}, w.bridge)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		dsn := postgres(t)(t)
		s := crowd(t, floodPeople)
		delete(s.set, "sign_in.pending_per_address")
		s.env = append(s.env, "SSOBRIDGE_STORE_DSN="+dsn)
		c := newCluster(t, s, 2)
		// Sign-ins of the last hour, as a busy morning leaves them.
		inPostgres(t, dsn, `INSERT INTO sign_ins (id, browser, address, entity_id, request_id, account, session, counted, data, created_at, expires_at, finished_at)
			SELECT 'old' || n, sha256(('b' || n)::bytea), '192.0.2.' || n % 250, 'https://sp.example', '_old' || n, '', NULL, FALSE, NULL, at, at + 3600000000, at
			  FROM (SELECT n, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint - n::bigint * 30000 AS at FROM generate_series(1, 100000) n) old`)
		run(t, c.world, func() int64 {
			inPostgres(t, dsn, "CHECKPOINT")
			return inPostgres(t, dsn, "SELECT pg_database_size(current_database())")
		}, c.replicas...)
	})
}

// people sign in beside a flood: known ones and new ones, by launch and by a post, at the flooded address too.
func people(t *testing.T, w *world, f *flooder, one func(context.Context, int), known map[int]*client,
	last time.Duration) {
	for _, c := range known { // they keep the browser's cookie, and have no session
		c.submit(c.get(w.url+"/logout"), "csrf")
	}
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	flood.Go(func() { f.run(ctx, one) })
	sent := f.sent.Load()
	began := time.Now()
	var (
		mu    sync.Mutex
		times []time.Duration
		wg    sync.WaitGroup
	)
	for i := range floodPeople {
		wg.Go(func() {
			<-time.After(last * time.Duration(i) / floodPeople)
			c := known[i]
			if c == nil {
				c = newClient(t)
			}
			if i%3 == 0 {
				c.forwarded = "192.0.2.1"
			} else {
				c.forwarded = fmt.Sprint("203.0.113.", i)
			}
			login := directorytest.LoadLogin(i)
			at := time.Now()
			var err error
			if i%2 == 0 {
				_, err = c.enter(w.launch(books), login, time.Minute)
			} else {
				err = c.enterByPost(w, login)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			times = append(times, time.Since(at))
		})
	}
	wg.Wait()
	took := time.Since(began)
	stop()
	flood.Wait()
	slices.Sort(times)
	t.Logf("%d people in; half within %s, the last within %s; flooded by %.0f answers a second",
		len(times), times[len(times)/2].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond),
		float64(f.sent.Load()-sent)/took.Seconds())
}

// enterByPost signs somebody in by a service provider's request, and waits as enter does.
func (c *client) enterByPost(w *world, login string) error {
	r := newRequest(w)
	p, err := c.try(http.MethodPost, w.url+"/saml/sso", r.posted(c.t, ""))
	if err != nil {
		return err
	}
	if !strings.Contains(p.Body, `name="password"`) {
		return &errNotIn{login, p.text()}
	}
	f := p.form("password")
	f.Fields.Set("login", login)
	f.Fields.Set("password", password)
	if p, err = c.try(http.MethodPost, p.resolve(f.Action), f.Fields); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); strings.Contains(p.text(), "Setting up your access") &&
		time.Now().Before(end); {
		<-time.After(time.Second)
		if p, err = c.try(http.MethodGet, p.URL.String(), nil); err != nil {
			return err
		}
	}
	if !strings.Contains(p.text(), "Choose") && !p.delivers() {
		return &errNotIn{login, p.text()}
	}
	return nil
}

// emptyLog has everything in the write-ahead log written into the database, which the bridge goes on using.
func emptyLog(t testing.TB, file string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+file+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var busy, frames, done int
	if err := db.QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames,
		&done); err != nil || busy != 0 {
		t.Fatalf("empty the write-ahead log: busy %d, %v", busy, err)
	}
}

// folderSize is what the files below a folder have together.
func folderSize(t testing.TB, folder string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// inPostgres runs a statement as an administrator of the database would, and returns the number that it gives.
func inPostgres(t testing.TB, dsn, statement string) (n int64) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(t.Context(), statement).Scan(&n); err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("%s: %v", statement, err)
	}
	return n
}
