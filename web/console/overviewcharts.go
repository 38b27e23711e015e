package console

import (
	"fmt"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// chartRange is the time that the charts show.
type chartRange struct {
	name       string // in the query, with a text overview.range.NAME
	span, step time.Duration
}

// chartRanges are those that can be chosen, the usual one first.
var chartRanges = []chartRange{{"24h", 24 * time.Hour, time.Hour}, {"7d", 7 * 24 * time.Hour, 6 * time.Hour},
	{"30d", 30 * 24 * time.Hour, 24 * time.Hour}}

// begin is when the first row begins. The last one is under way.
func (c chartRange) begin(now time.Time) time.Time {
	return now.UTC().Truncate(c.step).Add(c.step - c.span)
}

// day is that of the budget, which begins at 00:00 UTC.
const day = 24 * time.Hour

// rows are those of a chart.
func (c chartRange) rows(now time.Time, columns int) []chartRow {
	rows := make([]chartRow, 0, c.span/c.step)
	for at := c.begin(now); len(rows) < cap(rows); at = at.Add(c.step) {
		rows = append(rows, chartRow{At: at, Values: make([]int64, columns)})
	}
	return rows
}

// place is the row of a time, -1 outside.
func (c chartRange) place(rows []chartRow, at time.Time) int {
	if len(rows) == 0 || at.Before(rows[0].At) {
		return -1
	}
	if i := int(at.Sub(rows[0].At) / c.step); i < len(rows) {
		return i
	}
	return -1
}

func (k *Console) signInChart(r *request, figures []store.Statistic, c chartRange) chart {
	rows := c.rows(k.now(), 3)
	columns := map[string]int{store.StatisticSignIns: 0, store.StatisticLogins: 1, store.StatisticRefusals: 2}
	for _, f := range figures {
		column, ok := columns[f.Kind]
		if i := c.place(rows, f.At); ok && i >= 0 {
			rows[i].Values[column] += f.Value
		}
	}
	drawn := newChart("", r.text("overview.time"), []string{r.text("overview.ok"), r.text("overview.wrong"),
		r.text("overview.refused")}, rows, c.step)
	drawn.Summary = r.text("overview.signinsum", "ok", drawn.Series[0].Sum, "wrong", drawn.Series[1].Sum,
		"refused", drawn.Series[2].Sum)
	return drawn
}

// callChart shows the calls of each step of time. The figures count from 00:00 UTC on, so that each is its own less the
// one before on the same day; they begin with the day in which the chart begins. The last one is the budget's own, so
// that chart and budget agree.
func (k *Console) callChart(r *request, figures []store.Statistic, c chartRange, b store.BudgetStatus) chart {
	rows := c.rows(k.now(), 1)
	var last store.Statistic
	add := func(f store.Statistic) {
		calls := f.Value
		if last.At.Truncate(day).Equal(f.At.Truncate(day)) {
			calls -= last.Value
		}
		last = f
		if i := c.place(rows, f.At); i >= 0 {
			rows[i].Values[0] += max(calls, 0)
		}
	}
	for _, f := range figures {
		if f.Kind == store.StatisticCalls {
			add(f)
		}
	}
	add(store.Statistic{At: k.now().UTC(), Value: int64(b.Used)})
	drawn := newChart("", r.text("overview.time"), []string{r.text("overview.callcolumn")}, rows, c.step)
	drawn.Summary = r.text("overview.callsum", "calls", drawn.Series[0].Sum, "used", b.Used, "limit", b.Limit,
		"reserve", b.Limit-b.Background)
	return drawn
}

// refusedRow is why people were refused, and how often.
type refusedRow struct {
	Reason, Cause string
	Count         int64
}

// refusedShown is how many reasons the overview names; refusedMost bounds how many are read.
const (
	refusedShown = 5
	refusedMost  = 100
)

// refusedRows sums up the refusals since a time by their reasons, as the chart counts them: those of a sign-in, not
// wrong passwords. All beyond the most frequent are one row, so that the sum is the chart's.
func (k *Console) refusedRows(r *request, since time.Time) (all []refusedRow, err error) {
	list, err := k.Store.Statistics().Refusals(r.ctx(), since, refusedMost)
	if err != nil {
		return nil, fmt.Errorf("sum up the refusals: %w", err)
	}
	at := map[string]int{}
	for _, one := range list {
		if one.Action != "refusal" {
			continue
		}
		i, there := at[one.Reason]
		if !there {
			i = min(len(all), refusedShown)
			if i == len(all) {
				all = append(all, refusedRow{Reason: one.Reason, Cause: r.said(idp.TextOf(one.Reason).Cause)})
			}
			if i == refusedShown {
				all[i] = refusedRow{Cause: r.text("overview.otherreasons"), Count: all[i].Count}
			}
			at[one.Reason] = i
		}
		all[i].Count += one.Requests
	}
	return all, nil
}
