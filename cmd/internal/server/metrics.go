package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ssobridge/idp"
)

// metrics are the program's figures for Prometheus. They carry no person, no
// account and no address, since whoever reaches the listener reads them.
type metrics struct {
	registry *prometheus.Registry
	ours     []prometheus.Collector // all but those of Go and of the process
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// newSignIns counts what the answers of sign-ins came to. It is made before the identity provider, which counts. Each
// series is there from the start, so that its first event is an increase.
func newSignIns() *prometheus.CounterVec {
	signIns := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ssobridge_sign_ins_total",
		Help: "What steps of sign-ins came to: delivered, entered, cancelled, wrong_password, wrong_second_factor, " +
			"refused, failed; the reason beside it.",
	}, []string{"outcome", "reason"})
	for outcome, reasons := range idp.Outcomes() {
		for _, reason := range reasons {
			signIns.WithLabelValues(outcome, reason)
		}
	}
	return signIns
}

func newMetrics(p *App, health *healthKeeper) *metrics {
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
	m.ours = []prometheus.Collector{
		m.requests, m.duration, p.signIns, &stateCollector{p}, &healthCollector{p, health},
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ssobridge_store_statements_total", Help: "Statements that this process ran in the database.",
		}, func() float64 { return float64(p.Store.Usage().Statements) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ssobridge_store_request_statements_total", Help: "Of these statements, those that requests asked for.",
		}, func() float64 { return float64(p.Store.Usage().RequestStatements) }),
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
		}, func() float64 { return float64(p.Store.Usage().Transactions) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ssobridge_store_request_transactions_total", Help: "Of these transactions, those that requests asked for.",
		}, func() float64 { return float64(p.Store.Usage().RequestTransactions) }),
	}
	m.registry.MustRegister(m.ours...)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
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

// flag is 1 for yes.
func flag(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
