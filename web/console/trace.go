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
		get(tracePath+"/refusals", idp.Viewer, k.refusals),
		get(tracePath+"/of/:ref", idp.Viewer, k.trace),
		post(tracePath+"/of/:ref/captured", idp.Admin, k.captured).fresh(),
	}
}

// traceFields are the parts of the filter, as they stand in the query.
var traceFields = []string{"person", "outcome", "account", "sp", "since", "until"}

// traceRow is one request of a sign-in, with what stopped it where that is another thing than what stopped the sign-in.
type traceRow struct {
	admin.Trace
	Why idp.Why
}

// traces lists sign-ins, the newest first. A reference id alone leads to its sign-in.
func (k *Console) traces(r *request) error {
	q := r.QueryParams()
	if ref := strings.ToUpper(strings.TrimSpace(plaintext.Cut(q.Get("ref"), 40))); ref != "" {
		return r.Redirect(tracePath + "/of/" + url.PathEscape(ref))
	}
	text := func(name string) string { return strings.TrimSpace(plaintext.Cut(q.Get(name), 400)) }
	person, err := k.Audit.About(r.ctx(), text("person"))
	if err != nil {
		return err
	}
	f := store.TraceFilter{Person: store.PersonID(person), Outcome: text("outcome"), SP: text("sp"), Limit: pageSize}
	faults := filterFaults(r, q)
	if f.Account, err = k.accountFiltered(r, text("account")); err != nil {
		return err
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
	var list []admin.Trace
	status := http.StatusUnprocessableEntity // a filter that can't be read shows nothing, rather than everything
	if len(faults) == 0 {
		status = http.StatusOK
		var err error
		if list, err = k.Traces.List(r.ctx(), r.scope(), f); err != nil {
			return err
		}
	}
	same, values := url.Values{}, web.Fields{}
	for _, name := range traceFields {
		if values[name] = text(name); values[name] != "" {
			same.Set(name, values[name])
		}
	}
	view := struct {
		Form        form
		Traces      []admin.Trace
		First, Next string
	}{Form: form{Values: values, Errors: faults}, Traces: list}
	if f.Before > 0 {
		view.First = tracePath + "?" + same.Encode()
	}
	if len(list) == pageSize {
		same.Set("before", strconv.FormatInt(list[pageSize-1].ID, 10))
		view.Next = tracePath + "?" + same.Encode()
	}
	return r.show(status, "trace", r.text("area.trace"), view)
}

// trace is one sign-in, by any of the reference ids of its requests.
func (k *Console) trace(r *request) error {
	ref := strings.ToUpper(plaintext.Cut(r.Param("ref"), 40))
	list, coded, err := k.Traces.Find(r.ctx(), r.scope(), ref)
	if _, none := admin.AsError(err); none {
		return r.show(http.StatusNotFound, "trace-none", r.text("trace.one", "ref", ref), struct{ Ref string }{ref})
	}
	if err != nil {
		return err
	}
	if coded != nil {
		todo, _ := r.fixOf(admin.ReasonAct(coded.Reason), "")
		return r.show(http.StatusOK, "trace-coded", r.text("trace.one", "ref", ref), struct {
			Ref string
			idp.CodedRequest
			Todo fix // the page where it is done; empty: none
		}{ref, *coded, todo})
	}
	bare := make([]store.Trace, 0, len(list))
	rows := make([]traceRow, 0, len(list))
	for _, t := range list {
		bare, rows = append(bare, t.Trace), append(rows, traceRow{Trace: t})
	}
	view := struct {
		Form     form
		Ref      string
		Last     traceRow
		Why      idp.Why // Reason "": nothing stopped the sign-in
		Todo     fix     // the page where it is done; empty: none
		Requests []traceRow
		Captured []string // references of requests of which an assertion was captured
	}{Ref: ref, Last: rows[len(rows)-1], Requests: rows}
	if why, stopped := idp.Headline(bare, ref); stopped {
		view.Why = why
		view.Todo, _ = r.fixOf(admin.Act(why.Act), why.About)
	}
	for i, row := range view.Requests {
		if why := idp.Explained(row.Trace.Trace); why != view.Why {
			view.Requests[i].Why = why
		}
	}
	if r.may(idp.Admin) {
		for _, row := range rows {
			has, err := k.Captures.Has(r.ctx(), r.scope(), row.Ref)
			if err != nil {
				return err
			}
			if has {
				view.Captured = append(view.Captured, row.Ref)
			}
		}
		if view.Form, err = r.newForm(nil, nil); err != nil {
			return err
		}
	}
	return r.show(http.StatusOK, "trace-one", r.text("trace.one", "ref", ref), view)
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
