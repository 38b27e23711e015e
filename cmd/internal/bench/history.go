package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

const (
	// historyPeople are in the directory: those who sign in, and those whose passwords are mistaken, so that nobody's
	// tries are used up.
	historyPeople = 4000
	// mistakeRate is how many wrong passwords come a second.
	mistakeRate = 8
	// historyViews of each page of the console in a turn.
	historyViews = 3
	pageSize     = 4096
)

// side is a bridge over the empty or the full store.
type side struct {
	name      string
	br        *bridge
	database  int // pid of the database's server; 0: it is in the bridge
	pages     func(context.Context) (float64, error)
	bytesSent float64 // what the load sent, which the bridge has read too
	launches  [][]byte
	mistakes  *counter
}

// turn is what a side did in a while.
type turn struct {
	each float64 // processor time of bridge and database for one, in nanoseconds
	took times
}

type turns struct{ empty, full turn }

func (t turns) ratio() float64 { return t.full.each / t.empty.each }

// history is one database with both sides.
type history struct {
	b           *bench
	name        string
	empty, full *side
	traces      func() (*sql.DB, error) // opens the full store
}

// measureHistory compares an empty store with a large one, on SQLite and on PostgreSQL.
func (b *bench) measureHistory(ctx context.Context) error {
	cache, err := b.historyCache(ctx)
	if err != nil {
		return err
	}
	slapd, err := b.newSlapd("history-directory", directorytest.SlapdOptions{People: historyPeople})
	if err != nil {
		return err
	}
	b.report.note("the full store", "%d traces, SSO users, sessions and replay records, %d audit events",
		b.o.rows, 5*b.o.rows)
	var failed []error
	for _, database := range []struct {
		name string
		open func(context.Context, *directorytest.Slapd, string) (*history, error)
	}{{"SQLite", b.sqliteHistory}, {"PostgreSQL", b.postgresHistory}} {
		b.progress("  %s", database.name)
		h, err := database.open(ctx, slapd, cache)
		if err == nil {
			h.name = database.name
			err = h.measure(ctx)
			err = errors.Join(err, h.empty.br.stop(), h.full.br.stop())
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", database.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func (b *bench) sqliteHistory(ctx context.Context, slapd *directorytest.Slapd, cache string) (*history, error) {
	filled, err := b.filledSQLite(ctx, cache)
	if err != nil {
		return nil, err
	}
	h := &history{b: b}
	for name, s := range map[string]**side{"empty": &h.empty, "full": &h.full} {
		at := place{}
		if name == "full" {
			at.database = filled
		}
		if *s, err = b.historySide(ctx, slapd, at, "SQLite-"+name, nil); err != nil {
			return nil, err
		}
		one := *s
		one.pages = func(context.Context) (float64, error) {
			read, err := bytesRead(one.br.cmd.Process.Pid)
			return (read - one.bytesSent) / pageSize, err
		}
	}
	h.traces = func() (*sql.DB, error) {
		return sql.Open("sqlite3", "file:"+h.full.br.database()+"?mode=ro&_busy_timeout=30000")
	}
	return h, nil
}

func (b *bench) postgresHistory(ctx context.Context, slapd *directorytest.Slapd, cache string) (*history, error) {
	c, err := b.filledPostgres(ctx, cache)
	if err != nil {
		return nil, err
	}
	h := &history{b: b}
	for name, s := range map[string]**side{emptyDatabase: &h.empty, fullDatabase: &h.full} {
		if *s, err = b.historySide(ctx, slapd, place{}, "PostgreSQL-"+name, set{"store.dsn": c.dsn(name)}); err != nil {
			return nil, err
		}
		(*s).database = c.pid
		(*s).pages = func(ctx context.Context) (float64, error) {
			// Servers report what they counted a second later at the latest.
			if err := pause(ctx, 2*time.Second, nil); err != nil {
				return 0, err
			}
			return c.pages(ctx, name)
		}
	}
	h.traces = func() (*sql.DB, error) { return c.open(fullDatabase) }
	return h, nil
}

// historySide sets a bridge up that keeps what there is, and introduces people.
func (b *bench) historySide(ctx context.Context, slapd *directorytest.Slapd, at place, name string,
	more set) (*side, error) {
	at.slapd = slapd
	at.sandbox = sandbox.Options{PerSecond: sandbox.Unlimited, PerDay: sandbox.Unlimited}
	group := slapd.GroupDN("ctct-" + account + "-account_manager")
	settings := set{
		"trusted_proxies": "127.0.0.1", "traces.keep": "8760h", "sign_in.login_failures": "100",
		"console.admin_group": group, "console.viewer_group": group, "second_factor.console": "off",
	}
	for key, value := range more {
		settings[key] = value
	}
	br, err := b.newBridgeAt(ctx, at, "history-"+name, "rsa-2048", settings)
	if err != nil {
		return nil, fmt.Errorf("set up a bridge: %w", err)
	}
	if _, err := br.start(ctx); err != nil {
		return nil, err
	}
	if err := br.introduce(ctx, b.o.people, true); err != nil {
		return nil, fmt.Errorf("sign people in for the first time: %w", err)
	}
	s := &side{name: name, br: br, mistakes: &counter{}}
	s.launches, err = br.sessions(ctx, launchers)
	return s, err
}

// processorTime of bridge and database so far.
func (s *side) processorTime() (time.Duration, error) {
	sum, err := processorTime(s.br.cmd.Process.Pid)
	if err == nil && s.database != 0 {
		var more time.Duration
		more, err = treeTime(s.database)
		sum += more
	}
	return sum, err
}

// turn does something at fixed moments for a while.
func (s *side) turn(ctx context.Context, rate float64, run time.Duration, worker func(*opened) func(int) (step,
	error)) (t turn, err error) {
	open := &opened{}
	defer open.close()
	before, err := s.processorTime()
	if err != nil {
		return t, err
	}
	if t.took, err = schedule(ctx, 2*connections, rate, run, worker(open)); err != nil {
		return t, err
	}
	after, err := s.processorTime()
	t.each = float64(after-before) / float64(int64(rate*run.Seconds()))
	return t, err
}

func (s *side) launch(ctx context.Context, rate float64, run time.Duration) (turn, error) {
	t, err := s.turn(ctx, rate, run, func(o *opened) func(int) (step, error) { return o.launcher(ctx, s.br, s.launches) })
	s.bytesSent += float64(int64(rate*run.Seconds()) * int64(len(s.launches[0])))
	if err != nil {
		err = fmt.Errorf("launch over the store %s: %w", s.name, err)
	}
	return t, err
}

func (s *side) fresh(ctx context.Context, rate float64, run time.Duration) (turn, error) {
	t, err := s.turn(ctx, rate, run, func(o *opened) func(int) (step, error) { return o.signer(ctx, s.br) })
	if err != nil {
		err = fmt.Errorf("sign in afresh over the store %s: %w", s.name, err)
	}
	return t, err
}

// mistake tries wrong passwords, each from an address of its own and for the next person of those who don't sign in.
func (s *side) mistake(ctx context.Context, rate float64, run time.Duration) (turn, error) {
	t, err := s.turn(ctx, rate, run, func(o *opened) func(int) (step, error) {
		return func(int) (step, error) {
			c, err := o.dial(ctx, s.br)
			if err != nil {
				return nil, err
			}
			v := &visitor{br: s.br, c: c}
			people := s.br.bench.o.people
			return func() error {
				v.address = fmt.Sprintf("10.%d.%d.%d", rand.IntN(256), rand.IntN(256), 1+rand.IntN(254))
				return v.mistake(directorytest.LoadLogin(people + s.mistakes.next()%(historyPeople-people)))
			}, nil
		}
	})
	if err != nil {
		err = fmt.Errorf("wrong passwords over the store %s: %w", s.name, err)
	}
	return t, err
}

// inTurns has both sides do the same, and who is first takes turns too. After it all, pages are how many each side
// read.
func (h *history) inTurns(ctx context.Context, do func(*side) (turn, error)) (all []turns, why string,
	pages [2]float64, err error) {
	count := func() (n [2]float64, err error) {
		for i, s := range []*side{h.empty, h.full} {
			if n[i], err = s.pages(ctx); err != nil {
				return n, err
			}
		}
		return n, nil
	}
	before, err := count()
	if err != nil {
		return nil, "", pages, err
	}
	n := 0
	all, _, why, err = inTurns(ctx, h.b.o.turns, h.b.cores, func() (t turns, err error) {
		order := []struct {
			s *side
			t *turn
		}{{h.empty, &t.empty}, {h.full, &t.full}}
		if n++; n%2 == 0 {
			slices.Reverse(order)
		}
		for _, o := range order {
			if *o.t, err = do(o.s); err != nil {
				return t, err
			}
		}
		return t, nil
	})
	if err != nil {
		return nil, "", pages, err
	}
	after, err := count()
	return all, why, [2]float64{(after[0] - before[0]) / float64(n), (after[1] - before[1]) / float64(n)}, err
}

// timesOf are the times of all turns, by side.
func timesOf(all []turns) (empty, full times) {
	for _, t := range all {
		empty, full = append(empty, t.empty.took...), append(full, t.full.took...)
	}
	slices.Sort(empty)
	slices.Sort(full)
	return empty, full
}

func (h *history) figure(what string, bound, value float64) {
	h.b.report.judge(target{name: h.name + ": " + what, bound: bound, show: ratio}, value)
}

// measure measures all of it over one database.
func (h *history) measure(ctx context.Context) error {
	b := h.b
	run := b.o.span(5)
	p, err := h.empty.br.launches(ctx, b.o.span(1), run)
	if err != nil {
		return err
	}
	half := p.rate / 2
	for _, a := range []struct {
		what  string
		rate  float64
		do    func(*side, context.Context, float64, time.Duration) (turn, error)
		bound bool // of processor time and pages too
	}{
		{"launch", half, (*side).launch, true},
		{"fresh sign-in", half / 2, (*side).fresh, false},
		{"wrong password", min(mistakeRate, half), (*side).mistake, false},
	} {
		all, why, pages, err := h.inTurns(ctx, func(s *side) (turn, error) { return a.do(s, ctx, a.rate, run) })
		if err != nil {
			return err
		}
		from := len(b.report.lines)
		t := median(all, turns.ratio)
		empty, full := timesOf(all)
		each := a.rate * run.Seconds()
		b.report.note(fmt.Sprintf("%s: %s, %.0f a second, empty / full", h.name, a.what, a.rate),
			"processor time %s / %s, p50 %s / %s, p99 %s / %s, pages %.1f / %.1f", ms(time.Duration(t.empty.each)),
			ms(time.Duration(t.full.each)),
			ms(empty.at(0.5)), ms(full.at(0.5)), ms(empty.at(0.99)), ms(full.at(0.99)), pages[0]/each, pages[1]/each)
		if a.bound {
			h.figure(a.what+", processor time, full / empty", 1.15, t.ratio())
			h.figure(a.what+", pages read, full / empty", 1.15, pages[1]/pages[0])
		}
		h.figure(a.what+", p99 over all turns, full / empty", 1.3, float64(full.at(0.99))/float64(empty.at(0.99)))
		if why != "" {
			b.report.doubt(from, why)
		}
		b.progress("    %s: %.2f of the processor time, p99 %s and %s", a.what, t.ratio(), ms(empty.at(0.99)),
			ms(full.at(0.99)))
	}
	if err := h.console(ctx); err != nil {
		return err
	}
	return h.purge(ctx, half)
}

// console looks at the lists and the overview.
func (h *history) console(ctx context.Context) error {
	pages := []string{
		"/admin/", "/admin/audit", "/admin/audit?action=sign-in", "/admin/audit?outcome=refused",
		"/admin/audit?outcome=failed", "/admin/trace",
		"/admin/trace?outcome=refused", "/admin/people", "/admin/accounts", "/admin/mappings", "/admin/provisioning",
		"/admin/provisioning/users?state=active",
	}
	visitors := map[*side]*visitor{}
	for _, s := range []*side{h.empty, h.full} {
		c, err := dial(ctx, s.br.address)
		if err != nil {
			return err
		}
		defer c.close()
		visitors[s] = &visitor{br: s.br, c: c}
		if err := visitors[s].enterConsole(directorytest.LoadLogin(0)); err != nil {
			return err
		}
	}
	byPage := map[string]*[2]times{}
	for _, p := range pages {
		byPage[p] = &[2]times{}
	}
	all, why, _, err := h.inTurns(ctx, func(s *side) (t turn, err error) {
		before, err := s.processorTime()
		if err != nil {
			return t, err
		}
		for _, page := range pages {
			for range historyViews {
				began := time.Now()
				a, err := visitors[s].send("GET", page, "")
				if err == nil && a.status != 200 {
					err = fmt.Errorf("GET %s: got status %d", page, a.status)
				}
				if err != nil {
					return t, fmt.Errorf("console over the store %s: %w", s.name, err)
				}
				took, i := time.Since(began), 0
				if s == h.full {
					i = 1
				}
				t.took, byPage[page][i] = append(t.took, took), append(byPage[page][i], took)
			}
		}
		after, err := s.processorTime()
		t.each = float64(after-before) / float64(len(pages)*historyViews)
		return t, err
	})
	if err != nil {
		return err
	}
	slowest, at := "", time.Duration(0)
	for _, p := range pages {
		slices.Sort(byPage[p][0])
		slices.Sort(byPage[p][1])
		p95 := byPage[p][1].at(0.95)
		h.b.progress("    %s: p95 %s over the empty store, %s over the full one", p, ms(byPage[p][0].at(0.95)), ms(p95))
		if p95 > at {
			slowest, at = p, p95
		}
	}
	empty, full := timesOf(all)
	t := median(all, turns.ratio)
	from := len(h.b.report.lines)
	h.b.report.note(h.name+": console's lists and overview, empty / full",
		"processor time %s / %s, p50 %s / %s, p99 %s / %s; the slowest is %s",
		ms(time.Duration(t.empty.each)), ms(time.Duration(t.full.each)), ms(empty.at(0.5)), ms(full.at(0.5)),
		ms(empty.at(0.99)), ms(full.at(0.99)), slowest)
	h.b.report.judge(target{name: h.name + ": console's lists and overview over the full store, slowest p95",
		bound: targets[consolePage].bound, show: span}, float64(at))
	if why != "" {
		h.b.report.doubt(from, why)
	}
	return nil
}

// purge launches while the traces of the full store are purged, beside launches before it.
func (h *history) purge(ctx context.Context, rate float64) (err error) {
	b, s := h.b, h.full
	run := b.o.span(5)
	others, from := b.watch(), len(b.report.lines)
	launches := func() (times, error) {
		t, err := s.launch(ctx, rate, run)
		return t.took, err
	}
	var calm, busy times
	for range 4 {
		more, err := launches()
		if err != nil {
			return err
		}
		calm = append(calm, more...)
	}
	if err := s.br.stop(); err != nil {
		return err
	}
	s.br.env = []string{"SSOBRIDGE_TRACES_KEEP=1h"}
	cutoff := time.Now().Add(-time.Hour).UnixMicro()
	began := time.Now()
	if _, err := s.br.start(ctx); err != nil {
		return err
	}
	db, err := h.traces()
	if err != nil {
		return fmt.Errorf("look at the purge: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// The purge goes slowly, so that others have their turn; it need not end while it is watched.
	left := b.o.rows
	for n := 0; left > 0 && n < b.o.turns; n++ {
		took, err := launches()
		if err != nil {
			return err
		}
		busy = append(busy, took...)
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM traces WHERE at <= $1 LIMIT 1) AS one",
			cutoff).Scan(&left); err != nil {
			return fmt.Errorf("look at the purge: %w", err)
		}
	}
	took := time.Since(began).Round(time.Second)
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM traces WHERE at <= $1", cutoff).Scan(&left); err != nil {
		return fmt.Errorf("look at the purge: %w", err)
	}
	slices.Sort(calm)
	slices.Sort(busy)
	b.report.note(h.name+": launches while retention purges, p99 before / meanwhile",
		"%s / %s (%d of %d rows went in %s, %d launches)",
		ms(calm.at(0.99)), ms(busy.at(0.99)), b.o.rows-left, b.o.rows, took, len(busy))
	if left == b.o.rows {
		return errors.New("no row was purged meanwhile")
	}
	h.figure("launch while retention purges, p99 / without", 1.5, float64(busy.at(0.99))/float64(calm.at(0.99)))
	if cores := others.cores(); cores > tolerableCores {
		b.report.doubt(from, fmt.Sprintf("disturbed: other processes used %.1f cores", cores))
	}
	return nil
}
