package console

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

func (k *Console) overviewRoutes() []route {
	return []route{
		get(web.ConsoleHome, idp.Viewer, k.overview),
		get("/admin/overview/probe", idp.Viewer, k.probe),
		get(web.FreshPath, idp.Viewer, (*request).GoOn).fresh(),
	}
}

// todo is something that waits for the reader, with the way there.
type todo struct {
	Text  string
	Count int
	Path  string
}

func (k *Console) overview(r *request) error {
	now, err := k.Plans.Status(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	view := struct {
		Now         admin.ProvisioningStatus
		Todo        []todo
		Expiries    []admin.Expiry
		ExpiryFault bool
		SignIns     chart
		Calls       chart
		Well        bool
		Sessions    int
	}{Now: now}
	if view.Todo, err = k.todo(r, now); err != nil {
		return err
	}
	// What could be read comes also with an error: one broken file hides no other.
	if view.Expiries, err = k.Expiries.List(r.ctx(), r.scope()); err != nil {
		r.Log(err)
		view.ExpiryFault = true
	}
	due := 0
	for _, e := range view.Expiries {
		if e.Due {
			due++
		}
	}
	if view.Sessions, err = k.Store.Sessions().Count(r.ctx()); err != nil {
		return fmt.Errorf("count sessions: %w", err)
	}
	view.Well = len(view.Todo) == 0 && due == 0 && !view.ExpiryFault
	end := k.now().UTC().Truncate(store.StatisticStep)
	figures, err := k.Store.Statistics().Since(r.ctx(), end.Add(-24*time.Hour))
	if err != nil {
		return err
	}
	view.SignIns = k.signInChart(r, figures, end)
	view.Calls = k.callChart(r, figures, end, now.Budget)
	return r.show(http.StatusOK, "overview", r.text("area.overview"), view)
}

// todo lists what waits for the reader, the most urgent first.
func (k *Console) todo(r *request, now admin.ProvisioningStatus) (all []todo, err error) {
	needs, err := k.Attention.List(r.ctx(), r.scope(), now)
	if err != nil {
		return nil, err
	}
	for _, n := range needs {
		text := n.Text
		if n.Finding != nil {
			text = n.Finding.Name + ": " + r.found(*n.Finding)
		}
		fix, _ := r.fixOf(n.Act, n.About)
		all = append(all, todo{text, n.Count, cmp.Or(fix.Path, providersPath)})
	}
	return all, nil
}

// quarters are the rows of a day's chart, one for each quarter of an hour up to end.
func quarters(end time.Time, columns int) []chartRow {
	rows := make([]chartRow, 0, 97)
	for at := end.Add(-24 * time.Hour); !at.After(end); at = at.Add(store.StatisticStep) {
		rows = append(rows, chartRow{At: at, Values: make([]int64, columns)})
	}
	return rows
}

// place is the row of a time, -1 outside.
func place(rows []chartRow, at time.Time) int {
	if len(rows) == 0 || at.Before(rows[0].At) {
		return -1
	}
	if i := int(at.Sub(rows[0].At) / store.StatisticStep); i < len(rows) {
		return i
	}
	return -1
}

func (k *Console) signInChart(r *request, figures []store.Statistic, end time.Time) chart {
	rows := quarters(end, 3)
	var sums [3]int64
	for _, f := range figures {
		n := map[string]int{store.StatisticSignIns: 0, store.StatisticRefusals: 1, store.StatisticLogins: 2}
		if column, ok := n[f.Kind]; ok {
			if i := place(rows, f.At); i >= 0 {
				rows[i].Values[column] = f.Value
				sums[column] += f.Value
			}
		}
	}
	return newChart(r.text("overview.signins"), r.text("overview.signinsum", "ok", sums[0], "refused", sums[1],
		"wrong", sums[2]),
		[]string{r.text("overview.time"), r.text("overview.ok"), r.text("overview.refused"), r.text("overview.wrong")}, rows)
}

// callChart shows the calls of each quarter: the figures count from 00:00 UTC on, so
// that each is its own less the one before on the same day.
func (k *Console) callChart(r *request, figures []store.Statistic, end time.Time, b store.BudgetStatus) chart {
	rows := quarters(end, 1)
	var last store.Statistic
	var sum int64
	for _, f := range figures {
		if f.Kind != store.StatisticCalls {
			continue
		}
		calls := f.Value
		if !last.At.IsZero() && last.At.Truncate(24*time.Hour).Equal(f.At.Truncate(24*time.Hour)) {
			calls -= last.Value
		} else if last.At.IsZero() && f.At.Truncate(24*time.Hour) != f.At {
			calls = 0 // what was before it is not known
		}
		last = f
		if i := place(rows, f.At); i >= 0 {
			rows[i].Values[0] = max(calls, 0)
			sum += max(calls, 0)
		}
	}
	return newChart(r.text("overview.calls"), r.text("overview.callsum", "calls", sum, "used", b.Used, "limit", b.Limit,
		"reserve", b.Limit-b.Background),
		[]string{r.text("overview.time"), r.text("overview.callcolumn")}, rows)
}

// probe looks at what is outside: the directory's servers and Constant Contact.
func (k *Console) probe(r *request) error {
	var rows []probeRow
	err := k.Status.Look(r.ctx(), r.scope(), admin.ForProbe, func(f admin.Finding) {
		row := probeRow{Finding: f, Failed: f.Level == admin.Failure, Text: r.found(f)}
		if fix, ok := r.fixOf(f.Act, f.About); ok && f.Hint == "" {
			row.Hint = fix.Text
		}
		rows = append(rows, row)
	})
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "overview-probe", r.text("overview.probe"), struct{ Probes []probeRow }{rows})
}

// probeRow is one step of a probe.
type probeRow struct {
	admin.Finding
	Failed bool
	Text   string
}

// found is what a page says of a Finding. The chain of an error that is nobody's sentence goes to the log.
func (r *request) found(f admin.Finding) string {
	if f.Level == admin.Failure {
		r.Log(fmt.Errorf("%s: %w", f.Name, f.Cause()))
	}
	if f.Detail == "" && f.Level == admin.Failure {
		return r.text("overview.cause")
	}
	return f.Detail
}
