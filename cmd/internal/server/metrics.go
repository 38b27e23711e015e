package server

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ssobridge/store"
	"ssobridge/web/admin"
)

// metrics are the program's figures for Prometheus. They carry no person, no
// account and no address, since whoever reaches the listener reads them.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// newSignIns counts what the answers of sign-ins came to. It is made before the identity provider, which counts.
func newSignIns() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ssobridge_sign_ins_total",
		Help: "What steps of sign-ins came to: delivered, entered, cancelled, wrong_password, wrong_second_factor, " +
			"refused, failed; the reason beside it.",
	}, []string{"outcome", "reason"})
}

func newMetrics(p *App) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ssobridge_http_requests_total", Help: "Requests by route and status.",
		}, []string{"route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ssobridge_http_request_duration_seconds", Help: "How long requests took, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
	}
	m.registry.MustRegister(m.requests, m.duration, p.signIns, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &stateCollector{p},
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ssobridge_store_statements_total", Help: "Statements that this process ran in the database.",
		}, func() float64 { return float64(p.Store.Usage().Statements) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ssobridge_log_lines_lost_total", Help: "Log lines that were lost, since whoever reads the log did not take " +
				"them.",
		}, func() float64 {
			if p.LogQueue == nil {
				return 0
			}
			lost, _ := p.LogQueue.Lost()
			return float64(lost)
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ssobridge_store_transactions_total", Help: "Transactions that this process ran in the database to change " +
				"something.",
		}, func() float64 { return float64(p.Store.Usage().Transactions) }))
	return m
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4,
		Timeout: 10 * time.Second}))
	return mux
}

// observe is told of each request by web. route is a pattern, so there are few.
func (m *metrics) observe(route string, status int, d time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route).Observe(d.Seconds())
}

// stateCollector reads from the store what is no event: at each scrape, bounded in
// time. What can't be read is left out, and the scrape still answers.
type stateCollector struct{ p *App }

var (
	budgetUsed = prometheus.NewDesc("ssobridge_budget_used", "Calls to Constant Contact today, all replicas together.",
		nil, nil)
	budgetLimit = prometheus.NewDesc("ssobridge_budget_limit", "Calls to Constant Contact that we may make a day.", nil,
		nil)
	budgetRate = prometheus.NewDesc("ssobridge_budget_rate",
		"Calls a second that are made at most at present; lower than allowed after Constant Contact throttled.", nil, nil)
	throttled = prometheus.NewDesc("ssobridge_budget_throttled", "How often Constant Contact throttled today.", nil, nil)
	stopped   = prometheus.NewDesc("ssobridge_calls_stopped",
		"1 while calls to Constant Contact are stopped because of the cause.", []string{"cause"}, nil)
	held      = prometheus.NewDesc("ssobridge_creations_held", "1 while creations by plans are held back.", nil, nil)
	journaled = prometheus.NewDesc("ssobridge_revocation_journal",
		"1 while the revocation journal is written, 0 while it can't be.", nil, nil)
	rsaSigner = prometheus.NewDesc("ssobridge_rsa_signer_info",
		"1 for who makes RSA signatures: libcrypto with its version, or go.", []string{"signer", "version"}, nil)
	libcrypto = prometheus.NewDesc("ssobridge_libcrypto_failed",
		"1 after libcrypto failed and was given up, until the next start.", nil, nil)
	ssoUsers = prometheus.NewDesc("ssobridge_sso_users", "SSO users in the ledger by state.", []string{"state"}, nil)
	sessions = prometheus.NewDesc("ssobridge_sessions", "Live sessions.", nil, nil)
	certEnd  = prometheus.NewDesc("ssobridge_certificate_not_after_seconds",
		"When a certificate, or the metadata of a service provider, ends, in Unix time.", []string{"use", "id", "sp"}, nil)
)

// Describe lists the figures.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{budgetUsed, budgetLimit, budgetRate, throttled, stopped, held, journaled,
		rsaSigner, libcrypto, ssoUsers, sessions, certEnd} {
		ch <- d
	}
}

// Collect reads the figures.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	failed := func(what string, err error) {
		if err != nil {
			c.p.log.Warn("a figure for the metrics can't be read", "figure", what, "error", err)
		}
	}
	gauge(journaled, flag(c.p.Journal.Fault() == ""))
	signer := c.p.Engine.Status()
	if signer.Libcrypto {
		gauge(rsaSigner, 1, "libcrypto", signer.Version)
	} else {
		gauge(rsaSigner, 1, "go", runtime.Version())
	}
	gauge(libcrypto, flag(signer.Failed))
	b, err := c.p.Budget.Status(ctx)
	if failed("budget", err); err == nil {
		gauge(budgetUsed, float64(b.Used))
		gauge(budgetLimit, float64(b.Limit))
		gauge(budgetRate, b.Rate)
		gauge(throttled, float64(b.Throttled))
	}
	open, err := c.p.Store.Breaker().State(ctx)
	if failed("breaker", err); err == nil {
		for _, cause := range []string{"credentials", "outage"} {
			gauge(stopped, flag(open.Cause == cause), cause)
		}
	}
	hold, err := c.p.Store.Ledger().ProvisioningPause(ctx)
	if failed("hold", err); err == nil {
		gauge(held, flag(!hold.Since.IsZero()))
	}
	states, err := c.p.Store.Ledger().CountByState(ctx)
	if failed("ledger", err); err == nil {
		for _, s := range []store.State{store.Wanted, store.Sending, store.Unknown, store.Active, store.Assumed,
			store.Conflict, store.Refused, store.Suspended} {
			gauge(ssoUsers, float64(states[s]), string(s))
		}
	}
	n, err := c.p.Store.Sessions().Count(ctx)
	if failed("sessions", err); err == nil {
		gauge(sessions, float64(n))
	}
	ends, err := c.p.Expiries().List(ctx, admin.Everything())
	failed("ends of certificates", err)
	for _, e := range ends {
		gauge(certEnd, float64(e.NotAfter.Unix()), e.Use, e.ID, e.EntityID)
	}
}

// flag is 1 for yes.
func flag(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
