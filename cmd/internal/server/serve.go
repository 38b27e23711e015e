package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ssobridge/cmd/internal/config"
	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// What one connection may take. The write timeout covers the slowest page: a sign-in
// that waits for the directory and for the outcome of a creation.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 20 * time.Second
	writeTimeout      = 45 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 96 << 10 // a query of 64 KiB, which carries a request with a long RelayState, and cookies

	stopTimeout    = 15 * time.Second // for running requests and partner calls after SIGTERM
	lastTimeout    = 4 * time.Second  // for what is written when they have ended
	spansTimeout   = time.Second      // for the last spans
	optimizeRounds = 60               // of purges
	purgeInterval  = time.Minute
	purgeRest      = purgeInterval / 3 // how long a round rests between its pieces, for the sign-ins beside it
)

// Listeners are what Serve serves on. Serve closes them.
type Listeners struct {
	Pages   net.Listener
	Console net.Listener // of the console alone; nil: it is served on Pages
	Metrics net.Listener // nil: none
}

// Listen opens the listeners of the configuration, so that a port that is taken is
// known before anything is reported ready.
func Listen(ctx context.Context, cfg config.Config) (Listeners, error) {
	var lc net.ListenConfig
	pages, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return Listeners{}, fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	l := Listeners{Pages: pages}
	for _, more := range []struct {
		listener      *net.Listener
		address, what string
	}{{&l.Console, cfg.Console.Listen, "the console"}, {&l.Metrics, cfg.Metrics.Listen, "metrics"}} {
		if more.address == "" {
			continue
		}
		opened, err := lc.Listen(ctx, "tcp", more.address)
		if err != nil {
			return Listeners{}, errors.Join(fmt.Errorf("listen on %s for %s: %w", more.address, more.what, err), l.close())
		}
		*more.listener = opened
	}
	return l, nil
}

// Serve serves the pages, runs the worker, refreshes metadata and clears what has expired, until ctx
// ends; then it finishes running requests and partner calls within 15 seconds.
// ready is called once all of it runs; it may be nil. The parts stay open.
//
// Before anything is served, a database that was restored is settled; ErrUnsettled where an admin has to look first.
func (p *App) Serve(ctx context.Context, l Listeners, ready func()) error {
	if err := p.Store.ServeAlone(ctx); err != nil {
		return errors.Join(fmt.Errorf("serve the database alone: %w", err), l.close())
	}
	// First the secret keys: what is read of the journal needs them.
	replica := NewReplica(p)
	if err := replica.begin(ctx); err != nil {
		return errors.Join(err, l.close())
	}
	if err := p.settle(ctx); err != nil {
		return errors.Join(err, l.close())
	}
	if fault := OpenFilesFault(); fault != "" {
		p.log.Warn("too few files can be open at a time", "cause", fault, "hint", OpenFilesFix)
	}
	health := newHealthKeeper(p, replica.self.ID)
	p.keeper.Store(health)
	health.readOnce(ctx) // before anybody asks
	figures := newMetrics(p, health)
	started, stopping := make(chan struct{}), make(chan struct{})
	pages, err := p.pages(p.Config, figures, started, stopping)
	if err != nil {
		return errors.Join(err, l.close())
	}
	// The console's own listener, where there is one, serves the same program under the same certificate.
	front, console := &swapped{}, &swapped{}
	front.set(p.inTheirTrace(pages.Handler()))
	all := []*served{newServed(front, l.Pages, p.log, p.Now)}
	if l.Console != nil {
		handler := pages.ConsoleHandler()
		if handler == nil {
			return errors.Join(errors.New("console.listen is open, and there is no console of an address of its own"), l.close())
		}
		console.set(p.inTheirTrace(handler))
		all = append(all, newServed(console, l.Console, p.log, p.Now))
	}
	for _, one := range all { // the metrics, which come later, ask for themselves
		one.server.BaseContext = func(net.Listener) context.Context { return store.ForRequests(context.Background()) }
	}
	reloaded := reloads{front: front, console: console, again: func(cfg config.Config) (*web.Server, error) {
		return p.pages(cfg, figures, started, stopping)
	}}
	if t := p.Config.TLS; t.Cert != "" {
		reload, err := newCertificate(t.Cert, t.Key, p.Now, p.log)
		if err != nil {
			return errors.Join(err, l.close())
		}
		for _, f := range TLSFaults(p.Config, p.Now()) {
			// It is served all the same: a proxy in front may take it, and the next one is read without a restart.
			p.log.Error("the TLS certificate keeps browsers away", "file", t.Cert, "cause", f.Text, "hint", f.Fix)
		}
		reloaded.certificate = reload
		for _, one := range all {
			one.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: reload.get,
				NextProtos: []string{"h2", "http/1.1"}}
			one.listener = tls.NewListener(one.listener, one.server.TLSConfig)
		}
	}
	if l.Metrics != nil {
		all = append(all, newServed(figures.handler(), l.Metrics, p.log, p.Now))
	}
	if _, err := p.alignAccounts(ctx); err != nil && ctx.Err() == nil {
		p.log.Warn("client accounts that are stored in another case were not brought to the listed form; tried again in a "+
			"minute", "error", err)
	}
	// Before the first sign-in: what the version before has issued is its people's.
	if _, err := p.IdP.TakeOverNameIDs(ctx); err != nil && ctx.Err() == nil {
		p.log.Warn("NameIDs that the version before has issued were not taken over; tried again in a minute", "error", err)
	}
	engine, err := p.noticeEngine(replica.self.ID)
	if err != nil {
		return errors.Join(err, l.close())
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, one := range all {
		g.Go(one.serve)
	}
	g.Go(func() error {
		if err := p.Provisioning.Run(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("run the worker: %w", err)
		}
		return nil
	})
	chained := make(chan struct{})
	g.Go(func() error { return p.purge(ctx, chained) })
	g.Go(func() error { return p.countRequests(ctx) })
	g.Go(func() error { return p.recount(ctx) })
	g.Go(func() error { return p.sendOrders(ctx) })
	g.Go(func() error { return p.watchStore(ctx) })
	g.Go(func() error { return p.reloadWhenAsked(ctx, reloaded) })
	g.Go(func() error { return replica.run(ctx) })
	g.Go(func() error { return health.run(ctx) })
	g.Go(func() error { return p.keepChain(ctx, chained) })
	g.Go(func() error { return p.keepJournal(ctx) })
	if p.Traces != nil {
		// It outlives the requests that are finished after ctx has ended; their traces are stored at the very end.
		g.Go(func() error { return p.Traces.Run(ctx, p.log) })
	}
	if p.Tracer != nil {
		g.Go(func() error { return p.Tracer.Run(ctx) })
	}
	g.Go(func() error { return engine.Run(ctx) })
	g.Go(func() error { return p.Refresher.Run(ctx) })
	p.resolveAtStart(ctx)
	close(started)
	g.Go(func() error { return p.IdP.RunGroups(ctx) })
	g.Go(func() error { return newExpiryLog(p).run(ctx) })
	g.Go(func() error {
		<-ctx.Done()
		close(stopping)
		p.log.Info("stopping: no new requests, running ones are finished", "within", stopTimeout)
		// The ended ctx must not cut the running requests short.
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		var stops sync.WaitGroup
		for _, one := range all {
			stops.Go(func() { one.stop(wait, p.log) })
		}
		stops.Wait()
		return nil
	})
	if ready != nil {
		g.Go(func() error { return p.announce(ctx, ready) })
	}
	err = g.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTimeout)
	defer cancel()
	p.reportStrangers(last)
	p.storeCounts(last)
	if p.Traces != nil {
		if flush := p.Traces.Flush(last); flush != nil {
			p.log.Warn("the last traces of sign-ins are lost", "error", flush)
		}
	}
	if p.Tracer != nil { // last, and not for long: a collector that does not answer must not delay the end
		short, cancel := context.WithTimeout(last, spansTimeout)
		defer cancel()
		p.Tracer.Flush(short)
	}
	return err
}

// announce calls ready as soon as /readyz says so too: the store can be written and is the right one, and a signing key
// opens. It returns when ctx ends.
func (p *App) announce(ctx context.Context, ready func()) error {
	const again = time.Second
	tick := time.NewTicker(again)
	defer tick.Stop()
	for said := ""; ; {
		err := p.Status().Ready(ctx)
		if err == nil {
			ready()
			return nil
		}
		if text := err.Error(); text != said && ctx.Err() == nil {
			said = text
			p.log.Error("not ready: no sign-in can be served yet", "cause", err, "hint",
				"ssobridge check names what is missing; it is looked at again every second")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// startPatience bounds how long the start waits for the directory.
const startPatience = 5 * time.Second

// resolveAtStart asks for the groups that are named by DNs. A directory that is down keeps nobody waiting: known groups
// go on by the ids that are stored, new ones give nobody anything until they resolve.
func (p *App) resolveAtStart(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	uses, err := p.IdP.ResolveGroups(ctx, false)
	if err != nil {
		p.log.Warn("the groups that configuration and service providers name were not resolved; tried again in a minute",
			"error", err)
	}
	for _, u := range uses {
		if act := u.Action(); act != "" {
			p.log.Warn("a group that is named by its DN needs attention", "group", u.Written, "by", u.By, "what", act)
		}
	}
}

// pages makes the web room.
func (p *App) pages(cfg config.Config, figures *metrics, started, stopping <-chan struct{}) (*web.Server, error) {
	ready := func(ctx context.Context) error {
		select {
		case <-stopping:
			return errors.New("the program is stopping")
		default:
		}
		select {
		case <-started:
			return p.Status().Ready(ctx)
		default: // who is in a group that is not resolved yet would be refused
			return errors.New("the program is starting: it asks the directory for the groups that the settings name")
		}
	}
	branding, err := brandingOf(cfg.Branding)
	if err != nil {
		return nil, err
	}
	var former [][]byte
	for _, id := range p.Sealer.KeyIDs()[1:] {
		key, _ := p.Sealer.DeriveBy(id, "csrf") // it is known
		former = append(former, key)
	}
	programs, err := p.api()
	if err != nil {
		return nil, err
	}
	s, err := web.New(web.Options{
		IdP: p.IdP, PublicURL: p.Config.PublicURL, TrustedProxies: p.Config.Proxies(), Branding: branding,
		CSRFKey: p.Sealer.Derive("csrf"), FormerCSRFKeys: former, Ready: ready, Health: p.health, Stopping: stopping,
		Observe: figures.observe, Span: p.beginSpan(), Logger: p.log,
		Now: p.Now, Random: rand.Reader,
		HSTS: strings.HasPrefix(p.Config.PublicURL, "https://"), SessionLife: 0, SignInLife: p.Config.SignIn.Life,
		Footprints: p.Footprints, References: &p.References,
		HowTo:         func(act idp.Act, about string) string { return p.HowTo(admin.Act(act), about) },
		ConfirmLaunch: p.Config.SignIn.ConfirmLaunch, RememberLogin: p.Config.SignIn.RememberLogin,
		Webhook: p.webhook(cfg), Console: p.console(), API: programs, SelfService: p.Config.SelfService.Enabled,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the pages: %w", err)
	}
	return s, nil
}

// webhook is what Constant Contact's webhooks lead to; nil when they are off.
func (p *App) webhook(cfg config.Config) *web.Webhook {
	cc := cfg.ConstantContact
	if cc.Webhook.Secret == "" {
		return nil
	}
	return &web.Webhook{
		Secret: string(cc.Webhook.Secret), APIKeys: []string{string(cc.APIKey)},
		Hint: func(ctx context.Context, account, event string) (bool, error) {
			id, err := p.Provisioning.Account(ctx, account)
			switch {
			case errors.Is(err, store.ErrUnlistedAccount), errors.Is(err, store.ErrAmbiguousAccount),
				errors.Is(err, store.ErrBadAccount):
				return false, nil // none of ours
			case err != nil:
				return false, err
			}
			return p.Provisioning.HintAccount(ctx, id, event)
		},
	}
}

// alignAccounts brings stored client accounts to the form of the list. Whoever reads them in between resolves them.
func (p *App) alignAccounts(ctx context.Context) (int, error) {
	changes, err := p.Store.Changes(ctx)
	if err != nil {
		return 0, err
	}
	if p.aligned.Load() == changes {
		return 0, nil // looked at since the last change of configuration
	}
	done, err := p.IdP.AlignAccounts(ctx, store.Event{At: p.Now(), Actor: "worker"})
	if err == nil {
		p.aligned.Store(changes)
	}
	for _, m := range done {
		p.log.Info("rows that named a client account in another case have the listed form now", "table", m.Table, "was",
			m.Account, "is", m.Listed)
	}
	return len(done), err
}

// purge deletes what has expired, and writes down switches of keys whose time has come, once a minute. A failure is
// logged and tried again: what has expired is not used in any case. It begins once chained is closed: the audit log's
// chain can be cut at the start's own checkpoint then, and not one purge later.
func (p *App) purge(ctx context.Context, chained <-chan struct{}) error {
	select {
	case <-chained:
	case <-ctx.Done():
		return nil
	}
	tick := time.NewTicker(purgeInterval)
	defer tick.Stop()
	for round := 0; ; round++ {
		ctx := store.Gently(ctx, purgeRest)
		var errs []error
		if round%optimizeRounds == 0 {
			if err := p.Store.Optimize(ctx); err != nil {
				errs = append(errs, err)
			}
		}
		batches := map[string]func() (int, error){
			// Rows in another case come from a version before, or from the time before the list of accounts was read.
			"account forms": func() (int, error) { return p.alignAccounts(ctx) },
			// Replicas of the version before issue on, and note nothing.
			"name IDs to take over": func() (int, error) { return p.IdP.TakeOverNameIDs(ctx) },
		}
		if p.mayDelete(ctx) {
			maps.Copy(batches, p.retention(ctx))
		}
		for what, batch := range batches {
			n, err := batch()
			if err != nil {
				errs = append(errs, fmt.Errorf("clear expired %s: %w", what, err))
			} else if n > 0 {
				p.log.Debug("cleared what had expired", "what", what, "count", n)
			}
		}
		p.reportStrangers(ctx)
		if err := p.countFigures(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("the figures of the console's charts were not counted; tried again in a minute", "error", err)
		}
		if err := p.Keys().Settle(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("a switch of signing keys was not written down; tried again in a minute, and it holds all the same",
				"error", err)
		}
		if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
			p.log.Warn("clearing what has expired failed; tried again in a minute", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// retention is everything that deletes for its age, by name.
func (p *App) retention(ctx context.Context) map[string]func() (int, error) {
	return map[string]func() (int, error){
		"sign-ins": func() (int, error) { return p.Store.SignIns().Purge(ctx) },
		"sessions": func() (int, error) { return p.Store.Sessions().Purge(ctx, p.Config.Sessions.Idle) },
		"logouts":  func() (int, error) { return p.Store.Logouts().Purge(ctx) },
		"failures": func() (int, error) { return p.Store.Throttle().Purge(ctx) },
		"tokens":   func() (int, error) { return p.Store.APITokens().Purge(ctx) },
		"answers":  func() (int, error) { return p.Store.APIAnswers().Purge(ctx) },
		"launches": func() (int, error) { return p.Store.Sources().Purge(ctx) },
		"forms":    func() (int, error) { return p.Store.Forms().Purge(ctx) },
		"undo":     func() (int, error) { return p.Store.ServiceProviders().PurgeUndo(ctx) },
		"traces":   func() (int, error) { return p.Store.Traces().Purge(ctx, p.Config.Traces.Keep) },
		"captures": func() (int, error) { return p.Store.Captures().Purge(ctx) },
		"counts":   func() (int, error) { return p.Store.RequestCounts().Purge(ctx, max(p.Config.Traces.Keep, CountsKept)) },
		"figures":  func() (int, error) { return p.Store.Statistics().Purge(ctx) },
		"names":    func() (int, error) { return p.Store.People().Purge(ctx) },
		"people": func() (int, error) {
			return p.Store.SourcePeople().Purge(ctx, p.Config.SourceLives(), config.SourceKeep)
		},
		"notices": func() (int, error) { return p.Store.Notices().Purge(ctx) },
		"orders":  func() (int, error) { return p.Store.SelfOrders().Purge(ctx, p.Config.SelfService.Keep) },
		"audit":   func() (int, error) { return p.purgeAudit(ctx) },
		"seals":   func() (int, error) { return p.Store.Audit().PurgeCheckpoints(ctx) },
		"words":   func() (int, error) { return p.purgeRevocations(ctx) },
	}
}

// reportStrangers writes down what requests by nobody known came to, as far as they had no traces, log lines and events
// of their own.
func (p *App) reportStrangers(ctx context.Context) {
	if err := p.IdP.ReportStrangers(ctx); err != nil && ctx.Err() == nil {
		p.log.Warn("counts of failed logins were not stored; tried again in a minute", "error", err)
	}
	lines, reasons := p.Footprints.LeftOut(), p.Footprints.Reasons()
	requests := int64(0)
	for _, n := range reasons {
		requests += n
	}
	// One line a minute, whatever there was: a flood must not fill the log.
	if requests > 0 || len(lines) > 0 {
		p.log.Info("requests were only counted", "requests", requests, "reasons", reasons, "log_lines_left_out", lines)
	}
}

// CountsKept is how long counts of requests are kept at least, also where no traces are.
const CountsKept = 8 * 24 * time.Hour

// countInterval is how often counts of requests are stored: a program that is killed loses so much of them.
const countInterval = 10 * time.Second

// countRequests stores how many requests were only counted, until ctx ends. A failure is logged and tried again.
func (p *App) countRequests(ctx context.Context) error {
	tick := time.NewTicker(countInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil // the last ones are stored after the last request
		case <-tick.C:
			p.storeCounts(ctx)
		}
	}
}

func (p *App) storeCounts(ctx context.Context) {
	all := p.Footprints.Counted()
	if err := p.Store.RequestCounts().Add(ctx, all...); err != nil {
		p.Footprints.Uncounted(all)
		if ctx.Err() == nil {
			p.log.Warn("counts of requests were not stored; tried again in ten seconds", "reasons", len(all), "error", err)
		}
	}
}

func (l Listeners) close() error {
	var errs []error
	for _, one := range []net.Listener{l.Pages, l.Console, l.Metrics} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}

// countFigures counts what the console's charts and the lists of refusals show.
func (p *App) countFigures(ctx context.Context) error {
	b, err := p.Budget.Status(ctx)
	if err != nil {
		return err
	}
	return p.Store.Statistics().Count(ctx, b.Used)
}

// brandingOf reads the pictures that the configuration names.
func brandingOf(b config.Branding) (web.Branding, error) {
	branding := web.Branding{Name: b.Name, Color: b.Color, Background: b.Background, HelpURL: b.HelpURL,
		ForgotPasswordURL: b.ForgottenPasswordURL}
	for _, logo := range []struct {
		key, file string
		data      *[]byte
		kind      *string
	}{
		{"branding.logo", b.Logo, &branding.Logo, &branding.LogoType},
		{"branding.logo_dark", b.LogoDark, &branding.LogoDark, &branding.LogoDarkType},
	} {
		if logo.file == "" {
			continue
		}
		var err error
		if *logo.data, *logo.kind, err = config.ReadLogo(logo.file); err != nil {
			return branding, fmt.Errorf("read %s %s: %w", logo.key, logo.file, err)
		}
	}
	return branding, nil
}
