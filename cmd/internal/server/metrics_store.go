package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ssobridge/store"
)

// stateCollector reads from the store what is no event: at each scrape, bounded in time, and by statements that cost
// the same however much is stored. What can't be read is left out, and the scrape still answers.
type stateCollector struct{ p *App }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ssobridge_"+name, help, labels, nil)
}

var (
	budgetUsed  = desc("budget_used", "Calls to Constant Contact today, all replicas together.")
	budgetLimit = desc("budget_limit", "Calls to Constant Contact that we may make a day.")
	budgetRate  = desc("budget_rate",
		"Calls a second that are made at most at present; lower than allowed after Constant Contact throttled.")
	throttled = desc("budget_throttled", "How often Constant Contact throttled today.")
	stopped   = desc("calls_stopped", "1 while calls to Constant Contact are stopped because of the cause.", "cause")
	held      = desc("creations_held", "1 while provisioning is paused.")
	ssoUsers  = desc("sso_users", "SSO users in the ledger by state.", "state")
	queued    = desc("queue", "SSO users that wait to be created, or whose creation is under way.")
	sessions  = desc("sessions", "Live sessions.")
)

// Describe lists the metrics.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{budgetUsed, budgetLimit, budgetRate, throttled, stopped, held, ssoUsers, queued,
		sessions} {
		ch <- d
	}
}

// Collect reads the metrics.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := gauges(ch)
	failed := func(what string, err error) {
		if err != nil {
			c.p.log.Warn("a figure for the metrics can't be read", "figure", what, "error", err)
		}
	}
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
		gauge(queued, float64(states[store.Wanted]+states[store.Sending]+states[store.Unknown]))
	}
	n, err := c.p.Store.Sessions().Count(ctx)
	if failed("sessions", err); err == nil {
		gauge(sessions, float64(n))
	}
}

// gauges writes gauges to where a collector is asked to.
func gauges(ch chan<- prometheus.Metric) func(d *prometheus.Desc, v float64, labels ...string) {
	return func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
}
