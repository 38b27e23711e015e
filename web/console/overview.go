package console

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

func (k *Console) overviewRoutes() []route {
	return []route{
		get(web.ConsoleHome, idp.Viewer, k.overview),
		get("/admin/overview/live", idp.Viewer, k.overviewLive).stream(),
		get(setUpPath, idp.Viewer, k.setUp),
		get(web.FreshPath, idp.Viewer, (*request).GoOn).fresh(),
		post(languagePath, idp.Viewer, k.chooseLanguage),
	}
}

// overviewNow is what the overview says of the state that the bridge is in, all of it from one health snapshot.
type overviewNow struct {
	State  badge // the first sentence
	Tiles  []tile
	Todo   []todo
	Parts  []partRow
	At     time.Time // of the snapshot
	Age    time.Duration
	Stale  bool
	SetUp  admin.SetUpSteps // nil: it is done
	Users  admin.ProvisioningStatus
	health admin.Health
}

// todo is something that waits for the reader, with the way there.
type todo struct {
	Kind, Text, About string
	Fix               fix
}

// partRow is one part of the health snapshot.
type partRow struct {
	admin.PartHealth
	Name, Kind, State, Text, Hint string
	Fix                           fix
}

func (k *Console) overview(r *request) error {
	now, err := k.overviewNow(r)
	if err != nil {
		return err
	}
	view := struct {
		Now         overviewNow
		Ranges      []tab
		SignIns     chart
		Calls       chart
		Refused     []refusedRow
		Waiting     int
		States      []admin.StateCount
		Meter       meter
		Reserve     int
		Sessions    int
		Expiries    []admin.Expiry
		ExpiryFault bool
	}{Now: now}
	// What could be read comes also with an error: one broken file hides no other.
	if view.Expiries, err = k.Expiries.List(r.ctx(), r.scope()); err != nil {
		r.Log(err)
		view.ExpiryFault = true
	}
	if view.Sessions, err = k.Store.Sessions().Count(r.ctx()); err != nil {
		return fmt.Errorf("count sessions: %w", err)
	}
	chosen := chartRanges[0]
	for _, c := range chartRanges {
		if c.name == r.QueryParam("range") {
			chosen = c
		}
	}
	for _, c := range chartRanges {
		view.Ranges = append(view.Ranges, tab{r.text("overview.range." + c.name),
			web.ConsoleHome + "?" + url.Values{"range": {c.name}}.Encode() + "#sign-ins", c == chosen})
	}
	since := chosen.begin(k.now())
	figures, err := k.Store.Statistics().Since(r.ctx(), since.Truncate(day))
	if err != nil {
		return fmt.Errorf("read the statistics: %w", err)
	}
	b := now.Users.Budget
	view.SignIns, view.Calls = k.signInChart(r, figures, chosen), k.callChart(r, figures, chosen, b)
	if view.Refused, err = k.refusedRows(r, since); err != nil {
		return err
	}
	view.Waiting = now.Users.Count(store.Wanted) + now.Users.Count(store.Sending)
	for _, c := range now.Users.Users {
		if c.Count > 0 && c.State != store.Active {
			view.States = append(view.States, c)
		}
	}
	view.Reserve = b.Limit - b.Background
	view.Meter = newMeter(r.text("overview.callsused", "used", b.Used, "limit", b.Limit), b.Used, b.Background, b.Limit)
	return r.show(http.StatusOK, "overview", r.text("area.overview"), view)
}

// overviewNow reads how the bridge stands.
func (k *Console) overviewNow(r *request) (v overviewNow, err error) {
	if v.Users, err = k.Plans.Status(r.ctx(), r.scope()); err != nil {
		return v, err
	}
	h, err := k.Status.Health(r.ctx(), r.scope())
	if err != nil {
		return v, fmt.Errorf("read the health snapshot: %w", err)
	}
	v.health, v.At, v.Age, v.Stale = h, h.At, h.Age, h.Stale()
	if v.Todo, err = k.todo(r, v.Users); err != nil {
		return v, err
	}
	steps, err := k.SetUp.Steps(r.ctx(), r.scope(), h)
	if err != nil {
		return v, err
	}
	if steps.Missing() {
		v.SetUp = steps
	}
	for _, part := range h.Parts {
		v.Parts = append(v.Parts, r.partRow(part))
	}
	v.Tiles = k.tiles(r, h, v.Users.Budget)
	v.State = r.overviewState(v)
	return v, nil
}

// overviewState is the page's first sentence. It says that all is well only where a fresh snapshot finds nothing and
// nobody has anything to do.
func (r *request) overviewState(v overviewNow) badge {
	var down, warned []string
	for _, t := range v.Tiles {
		switch t.Kind {
		case "bad":
			down = append(down, t.Name)
		case "warn":
			warned = append(warned, t.Name)
		}
	}
	waiting := ""
	if n := len(v.Todo); n > 0 {
		waiting = " " + r.text("overview.state.todo", "n", n)
	}
	switch {
	case v.At.IsZero():
		return badge{"warn", r.text("overview.unlooked")}
	case v.Stale:
		return badge{"warn", r.text("overview.state.stale", "age", r.k.texts.Duration(v.Age))}
	case v.SetUp != nil:
		return badge{"warn", r.text("overview.state.setup", "done", v.SetUp.Done(), "all", len(v.SetUp))}
	case len(down) > 0:
		return badge{"bad", r.text("overview.state.down", "n", len(down), "parts", strings.Join(down, ", ")) + waiting}
	case len(warned) > 0:
		return badge{"warn", r.text("overview.state.warned", "n", len(warned), "parts", strings.Join(warned, ", ")) + waiting}
	case v.health.Level() != admin.OK: // of a part that no tile has; a test wants there to be none
		return badge{"warn", r.text("overview.state.other") + waiting}
	case len(v.Todo) > 0:
		return badge{"warn", r.text("overview.state.works") + waiting}
	default:
		return badge{"ok", r.text("overview.well")}
	}
}

// todo lists what waits for the reader, the most urgent first.
func (k *Console) todo(r *request, now admin.ProvisioningStatus) (all []todo, err error) {
	needs, err := k.Attention.List(r.ctx(), r.scope(), now)
	if err != nil {
		return nil, err
	}
	for _, n := range needs {
		one := todo{Kind: kindOf(n.Level), Text: r.said(n.Text)}
		one.Fix, _ = r.fixOf(n.Act, n.About)
		if f := n.Finding; f != nil {
			one.Text = upper(r.said(f.Name)) + ": " + r.found(*f)
			one.About = sentence(r.said(f.Hint))
		}
		if one.Fix.Path == web.ConsoleHome || one.Fix.Path == "" {
			if one.About == "" {
				one.About = one.Fix.Text
			}
			one.Fix = fix{Text: r.text("overview.details"), Path: tilePath(n.Part)}
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b todo) int { return cmp.Compare(urgency(b.Kind), urgency(a.Kind)) })
	return all, nil
}

func urgency(kind string) int {
	if kind == "bad" {
		return 1
	}
	return 0
}

// overviewLive sends the state again whenever it has changed: with each snapshot, and as what it says grows old.
func (k *Console) overviewLive(r *request) error {
	var last overviewNow
	return r.stream("overview-now", func() (any, error) {
		h, err := k.Status.Health(r.ctx(), r.scope())
		if err != nil {
			return nil, fmt.Errorf("read the health snapshot: %w", err)
		}
		if last.At.IsZero() || !h.At.Equal(last.At) || h.Stale() != last.Stale {
			if last, err = k.overviewNow(r); err != nil {
				return nil, err
			}
		}
		return last, nil
	})
}

func (r *request) partRow(part admin.PartHealth) partRow {
	row := partRow{PartHealth: part, Name: r.text("health." + string(part.Part)), Kind: kindOf(part.Level)}
	row.State = r.text("health." + part.Level.Word())
	if f := part.Worst(); f.Name != "" {
		row.Text, row.Hint = r.said(f.Name), r.said(f.Hint)
		if f.Detail != "" {
			row.Text += ": " + r.said(f.Detail)
		} else {
			row.Text += ". " + r.text("overview.cause")
		}
		row.Fix, _ = r.fixOf(f.Act, f.About)
	}
	return row
}

// kindOf is a level as the parts of the design system have it.
func kindOf(l admin.Level) string {
	switch l {
	case admin.Failure:
		return "bad"
	case admin.Warning:
		return "warn"
	default:
		return "ok"
	}
}

// found is what a page says of a Finding. The log of the replica that looked has the cause of an error that is nobody's
// sentence.
func (r *request) found(f admin.Finding) string {
	if f.Detail == "" && f.Level == admin.Failure {
		return r.text("overview.cause")
	}
	return r.said(f.Detail)
}
