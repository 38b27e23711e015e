package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

const tracePath = "/admin/trace"

func (k *Console) traceRoutes() []route {
	return []route{
		get(tracePath, idp.Viewer, k.traces),
		get(tracePath+"/live", idp.Viewer, k.tracesLive).stream(),
		get(tracePath+"/refusals", idp.Viewer, k.refusals),
		get(launchTestPath, idp.Admin, k.launchTestPage),
		post(launchTestPath, idp.Admin, k.launchTest),
		get(tracePath+"/of/:ref", idp.Viewer, k.trace),
		post(tracePath+"/of/:ref/captured", idp.Admin, k.captured).fresh(),
	}
}

// traceFields are the parts of the filter, as they stand in the query.
var traceFields = []string{"person", "outcome", "account", "sp", "since", "until"}

// traceOutcomes are those that a sign-in can come to.
var traceOutcomes = []string{"ok", "refused", "failed", "pending"}

// tracesView is the list of sign-ins with what it is filtered by.
type tracesView struct {
	Form        form
	Outcomes    []tab  // each with the other filters kept
	Filters     []link // those that are set, each with the page without it
	All         string // the page without any; "": none is set
	More        bool   // the form of all filters is open
	Traces      []admin.Trace
	First, Next string
	Tester      bool   // a launch token can be tested
	Cut         bool   // there may be more behind Next that were not looked at
	Live        string // where newer ones come from by themselves; "" on later pages
}

// traces lists sign-ins, the newest first. A reference id alone leads to its sign-in.
func (k *Console) traces(r *request) error {
	q := r.QueryParams()
	if ref := admin.Reference(plaintext.Cut(q.Get("ref"), maxPasted)); ref != "" {
		return r.Redirect(tracePath + "/of/" + url.PathEscape(plaintext.Cut(ref, 40)))
	}
	f, view, same, err := k.tracesFiltered(r)
	if err != nil {
		return err
	}
	view.filtered(r, same)
	if len(view.Form.Errors) > 0 { // a filter that can't be read shows nothing, rather than everything
		return r.show(http.StatusUnprocessableEntity, "trace", r.text("area.trace"), view)
	}
	var next int64
	if view.Traces, next, view.Cut, err = k.Traces.Search(r.ctx(), r.scope(), f); err != nil {
		return err
	}
	if f.Before > 0 {
		view.First = tracesWith(same, "before", "")
	} else {
		view.Live = strings.Replace(tracesWith(same, "before", ""), tracePath, tracePath+"/live", 1)
	}
	if next > 0 {
		view.Next = tracesWith(same, "before", strconv.FormatInt(next, 10))
	}
	return r.show(http.StatusOK, "trace", r.text("area.trace"), view)
}

// tracesLive sends the first page of the list again whenever there are new sign-ins. Most times it reads one row.
func (k *Console) tracesLive(r *request) error {
	f, view, _, err := k.tracesFiltered(r)
	if err != nil {
		return err
	}
	if len(view.Form.Errors) > 0 || f.Before > 0 {
		return r.Missing("list of sign-ins")
	}
	seen := int64(-1)
	var looked time.Time
	return r.stream("trace-list", func() (any, error) {
		newest, err := k.Traces.Newest(r.ctx(), r.scope())
		if err != nil || newest == seen || k.now().Sub(looked) < liveEvery {
			return view, err
		}
		seen, looked = newest, k.now()
		view.Traces, _, view.Cut, err = k.Traces.Search(r.ctx(), r.scope(), f)
		return view, err
	})
}

// liveEvery is how often a live list searches at most, however many sign in meanwhile.
const liveEvery = 3 * time.Second

// tracesFiltered reads the filter of the query. same is the query with what is set of it.
func (k *Console) tracesFiltered(r *request) (f store.TraceFilter, view tracesView, same url.Values, err error) {
	q := r.QueryParams()
	text := func(name string) string { return strings.TrimSpace(plaintext.Cut(q.Get(name), 400)) }
	person, err := k.Audit.About(r.ctx(), text("person"))
	if err != nil {
		return f, view, nil, err
	}
	f = store.TraceFilter{Person: store.PersonID(person), Outcome: text("outcome"), SP: text("sp"), Limit: pageSize}
	view = tracesView{Form: form{Values: web.Fields{}, Errors: filterFaults(r, q)},
		Tester: r.may(idp.Admin) && k.Sources.Any()}
	if f.Account, err = k.accountFiltered(r, text("account")); err != nil {
		return f, view, nil, err
	}
	if day, err := time.Parse(time.DateOnly, text("since")); err == nil {
		f.From = day
	}
	if day, err := time.Parse(time.DateOnly, text("until")); err == nil {
		f.To = day.AddDate(0, 0, 1) // the day itself is meant
	}
	if before, err := strconv.ParseInt(q.Get("before"), 10, 64); err == nil && before > 0 {
		f.Before = before
	}
	same = url.Values{}
	for _, name := range traceFields {
		if view.Form.Values[name] = text(name); view.Form.Values[name] != "" {
			same.Set(name, view.Form.Values[name])
		}
	}
	if len(same) > 0 {
		view.All = tracePath
	}
	return f, view, same, nil
}

// maxPasted bounds a text in which a reference is looked for.
const maxPasted = 2000

// filtered says what the list is filtered by, with the ways to other lists.
func (v *tracesView) filtered(r *request, same url.Values) {
	now := same.Get("outcome")
	v.Outcomes = append(v.Outcomes, tab{r.text("trace.every"), tracesWith(same, "outcome", ""), now == ""})
	for _, outcome := range traceOutcomes {
		v.Outcomes = append(v.Outcomes, tab{r.text("traceoutcome." + outcome), tracesWith(same, "outcome", outcome),
			now == outcome})
	}
	for _, name := range traceFields {
		if same.Get(name) == "" || name == "outcome" {
			continue
		}
		v.Filters = append(v.Filters, link{r.text("trace.filter."+name, "value", same.Get(name)),
			tracesWith(same, name, "")})
	}
	v.More = len(v.Filters) > 0 || len(v.Form.Errors) > 0
}

// tracesWith is the list with one filter set, or without it.
func tracesWith(same url.Values, name, value string) string {
	with := url.Values{}
	for other, v := range same {
		with[other] = v
	}
	if with.Del(name); value != "" {
		with.Set(name, value)
	}
	if len(with) == 0 {
		return tracePath
	}
	return tracePath + "?" + with.Encode()
}

// captured shows the assertions that were captured under a reference. It is a form, and
// leaves an event: what stands in an assertion is looked at by nobody in passing.
func (k *Console) captured(r *request) error {
	ref := strings.ToUpper(plaintext.Cut(r.Param("ref"), 40))
	all, err := k.Captures.Read(r.ctx(), r.scope(), ref, r.event("", ""))
	if errors.Is(err, store.ErrNotFound) {
		return r.Missing("captured assertion")
	}
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "trace-captured", r.text("trace.captured"), struct {
		Ref        string
		Assertions []idp.CapturedAssertion
	}{ref, all})
}

// refusals shows why and how often requests were refused in the last day, also those that were only counted: by sums,
// so it costs the same after a flood.
func (k *Console) refusals(r *request) error {
	since := k.now().Add(-24 * time.Hour)
	refused, counted, err := k.Traces.Refusals(r.ctx(), r.scope(), since, pageSize)
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "trace-refusals", r.text("trace.refusals"), struct {
		Refused []store.RefusalSum
		Counted []store.RequestCount
	}{refused, counted})
}
