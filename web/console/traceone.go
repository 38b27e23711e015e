package console

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// traceView is one sign-in.
type traceView struct {
	Form     form
	Ref      string
	Last     admin.Trace
	Why      idp.Why // Reason "": nothing stopped the sign-in
	Verdict  callout
	Requests []traceRow
	Took     string        // all steps together
	Captured []string      // references of requests of which an assertion was captured
	Others   []admin.Trace // the person's last sign-ins but this
}

// traceRow is one request of a sign-in, with what stopped it where that is another thing than what stopped the sign-in.
type traceRow struct {
	admin.Trace

	Why   idp.Why
	Trail []traceStep
}

// traceStep is one step as a bar of a timeline: from and length are of a thousand parts.
type traceStep struct {
	store.TraceStep

	Took         string
	From, Length int
	Missed       bool // the sign-in did not come so far
}

// othersShown is how many more sign-ins of the person stand below one.
const othersShown = 5

// trace is one sign-in, by any of the reference ids of its requests.
func (k *Console) trace(r *request) error {
	ref := admin.Reference(plaintext.Cut(r.Param("ref"), 40))
	list, coded, err := k.Traces.Find(r.ctx(), r.scope(), ref)
	if _, none := admin.AsError(err); none {
		return r.show(http.StatusNotFound, "trace-none", r.text("trace.one", "ref", ref), struct{ Ref string }{ref})
	}
	if err != nil {
		return err
	}
	if coded != nil {
		v := callout{Kind: "bad", Title: r.said(coded.Cause), Text: r.said(coded.Fix), Verdict: true}
		if todo, ok := r.fixOf(admin.ReasonAct(coded.Reason), ""); ok && todo.Path != "" {
			v.Acts = []link{link(todo)}
		}
		return r.show(http.StatusOK, "trace-coded", r.text("trace.one", "ref", ref), struct {
			Ref string
			idp.CodedRequest
			Verdict callout
		}{ref, *coded, v})
	}
	bare := make([]store.Trace, 0, len(list))
	view := traceView{Ref: ref, Last: list[len(list)-1]}
	for _, t := range list {
		bare, view.Requests = append(bare, t.Trace), append(view.Requests, traceRow{Trace: t})
	}
	view.Why, _ = idp.Headline(bare, ref)
	for i, row := range view.Requests {
		if why := idp.Explained(row.Trace.Trace); why != view.Why {
			view.Requests[i].Why = why
		}
	}
	view.Verdict = k.traceVerdict(r, view)
	view.timeline()
	if err := k.besideTrace(r, &view); err != nil {
		return err
	}
	title := cmp.Or(view.Last.Name, r.text("trace.somebody"))
	to := cmp.Or(view.Last.AccountName, string(view.Last.Account), view.Last.Provider, view.Last.SP)
	if place := "trace.place." + to; k.texts.Has(place) {
		to = r.text(place)
	}
	if to != "" {
		title += " → " + to
	}
	return r.show(http.StatusOK, "trace-one", title, view)
}

// traceVerdict says what the sign-in came to, and offers what fixes it.
func (k *Console) traceVerdict(r *request, v traceView) callout {
	c := callout{Kind: outcomeKind(v.Last.Outcome), Verdict: true}
	if v.Why.Reason == "" {
		c.Title = r.text("trace.verdict." + v.Last.Outcome)
	} else {
		c.Title, c.Text = r.said(v.Why.Cause), r.said(v.Why.Fix)
		if todo, ok := r.fixOf(admin.Act(v.Why.Act), v.Why.About); ok && todo.Path != "" {
			c.Acts = append(c.Acts, link(todo))
		}
		if v.Last.Outcome == "ok" { // it went on after all
			c.Kind = "ok"
		}
	}
	if own := personPath(v.Last.Person); v.Last.Person != "" && (len(c.Acts) == 0 || c.Acts[0].Path != own) {
		c.Acts = append(c.Acts, link{r.text("trace.openperson", "who", cmp.Or(v.Last.Name, string(v.Last.Person))), own})
	}
	return c
}

// outcomeKind is the kind of state that the outcome of a sign-in is.
func outcomeKind(outcome string) string {
	switch outcome {
	case "ok":
		return "ok"
	case "pending":
		return "info"
	}
	return "bad"
}

// timeline puts the steps of all requests one behind the other: what a person thought and typed between two requests is
// no step.
func (v *traceView) timeline() {
	var all time.Duration
	for _, row := range v.Requests {
		for _, s := range row.Steps {
			all += s.Took
		}
	}
	v.Took = durationText(all)
	var gone time.Duration
	for i := range v.Requests {
		row := &v.Requests[i]
		for _, s := range row.Steps {
			one := traceStep{TraceStep: s, Took: durationText(s.Took)}
			if all > 0 {
				one.From, one.Length = min(int(gone*1000/all), 990), max(int(s.Took*1000/all), 10)
				one.Length = min(one.Length, 1000-one.From)
			}
			gone += s.Took
			row.Trail = append(row.Trail, one)
		}
	}
	if last := &v.Requests[len(v.Requests)-1]; last.Outcome == "refused" && len(last.Trail) > 0 {
		last.Trail = append(last.Trail, traceStep{TraceStep: store.TraceStep{Name: idp.StepAssertion}, Missed: true})
	}
}

// durationText is how long a step took, as people read it.
func durationText(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case d < 50*time.Microsecond:
		return "< 0.1 ms"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", ms)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// besideTrace adds what stands beside the sign-in: captured assertions, and what else the person did.
func (k *Console) besideTrace(r *request, v *traceView) (err error) {
	if r.may(idp.Admin) {
		for _, row := range v.Requests {
			has, err := k.Captures.Has(r.ctx(), r.scope(), row.Ref)
			if err != nil {
				return err
			}
			if has {
				v.Captured = append(v.Captured, row.Ref)
			}
		}
		if v.Form, err = r.newForm(nil, nil); err != nil {
			return err
		}
	}
	if v.Last.Person == "" {
		return nil
	}
	others, _, _, err := k.Traces.Search(r.ctx(), r.scope(), store.TraceFilter{Person: v.Last.Person,
		Limit: othersShown + 1})
	if err != nil {
		return err
	}
	for _, t := range others {
		if t.SignIn != v.Last.SignIn && len(v.Others) < othersShown {
			v.Others = append(v.Others, t)
		}
	}
	return nil
}

// shortCause is what stopped a sign-in, as the end of a sentence; "" where nothing did, or it goes on.
func (k *toolkit) shortCause(t admin.Trace) string {
	if t.Outcome == "ok" || t.Outcome == "pending" {
		return ""
	}
	return strings.TrimSpace(k.spoken.say(t.Short()))
}

// saidKey is the sentence that says what a sign-in came to.
func saidKey(t admin.Trace) string {
	if t.Outcome == "pending" && t.Person == "" {
		// Nobody has said yet who they are.
		if t.SP == "" && t.Provider == "" && t.Account == "" {
			return "trace.said.came"
		}
		return "trace.said.opened"
	}
	return "trace.said." + t.Outcome
}

// traceWho is whose sign-in it is, for a sentence.
func (k *toolkit) traceWho(t admin.Trace) (template.HTML, error) {
	if t.Person == "" {
		return k.word("trace.somebody")
	}
	return k.person(t.Person, t.Name)
}

// traceWhere is where a sign-in leads, for a sentence.
func (k *toolkit) traceWhere(t admin.Trace) (template.HTML, error) {
	switch {
	case t.Account != "":
		return k.account(t.Account, t.AccountName)
	case t.Provider != "":
		return k.provider(t.SP, t.Provider)
	case k.texts.Has("trace.place." + t.SP):
		return k.word("trace.place." + t.SP)
	case t.SP != "":
		return template.HTML(template.HTMLEscapeString(t.SP)), nil // #nosec G203: escaped here
	}
	return k.word("trace.somewhere")
}

func (k *toolkit) word(key string) (template.HTML, error) {
	text, err := k.texts.Word(key)
	return template.HTML(template.HTMLEscapeString(text)), err // #nosec G203: escaped here
}
