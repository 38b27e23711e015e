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
		get("/admin/overview/live", idp.Viewer, k.healthLive).stream(),
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
	health, err := k.Status.Health(r.ctx(), r.scope())
	if err != nil {
		return fmt.Errorf("read the health snapshot: %w", err)
	}
	view := struct {
		Now         admin.ProvisioningStatus
		Health      healthView
		Todo        []todo
		Expiries    []admin.Expiry
		ExpiryFault bool
		SignIns     chart
		Calls       chart
		Well        bool
		Sessions    int
	}{Now: now, Health: k.healthView(r, health)}
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
	view.Well = len(view.Todo) == 0 && due == 0 && !view.ExpiryFault && health.Level() == admin.OK && !health.Stale()
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

// healthView is the health snapshot as the page shows it.
type healthView struct {
	Parts []partRow
	At    time.Time
	Age   time.Duration
	Stale bool
}

// partRow is one part of it.
type partRow struct {
	admin.PartHealth
	Name, State, Text, Hint string
	Fix                     fix
}

func (k *Console) healthView(r *request, h admin.Health) healthView {
	v := healthView{At: h.At, Age: h.Age, Stale: h.Stale()}
	for _, part := range h.Parts {
		row := partRow{PartHealth: part, Name: r.text("health." + string(part.Part))}
		row.State = r.text("health." + part.Level.Word())
		if f := part.Worst(); f.Name != "" {
			row.Text, row.Hint = f.Name, f.Hint
			if f.Detail != "" {
				row.Text += ": " + f.Detail
			} else {
				row.Text += ". " + r.text("overview.cause")
			}
			row.Fix, _ = r.fixOf(f.Act, f.About)
		}
		v.Parts = append(v.Parts, row)
	}
	return v
}

// healthLive sends the table of the parts again whenever it has changed.
func (k *Console) healthLive(r *request) error {
	return r.stream("overview-health", func() (any, error) {
		h, err := k.Status.Health(r.ctx(), r.scope())
		if err != nil {
			return nil, fmt.Errorf("read the health snapshot: %w", err)
		}
		return k.healthView(r, h), nil
	})
}

// found is what a page says of a Finding. The log of the replica that looked has the cause of an error that is nobody's
// sentence.
func (r *request) found(f admin.Finding) string {
	if f.Detail == "" && f.Level == admin.Failure {
		return r.text("overview.cause")
	}
	return f.Detail
}
