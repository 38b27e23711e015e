package console

import (
	"encoding/hex"
	"fmt"
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

func (k *Console) auditRoutes() []route {
	return []route{
		get("/admin/audit", idp.Viewer, k.audit),
		get("/admin/audit/export", idp.Operator, k.exportAudit),
		post("/admin/audit/verify", idp.Operator, k.verifyAudit),
		post("/admin/audit/acknowledge", idp.Admin, k.acknowledgeAudit).fresh(),
	}
}

// auditFilter is what a query asks for, as far as it can be read; see filterFaults.
func (k *Console) auditFilter(r *request) (f store.Filter, err error) {
	q := r.QueryParams()
	text := func(name string) string { return strings.TrimSpace(plaintext.Cut(q.Get(name), 400)) }
	f = store.Filter{Action: text("action"), Outcome: text("outcome"),
		SP: text("sp"), Ref: strings.ToUpper(text("ref")), Limit: pageSize}
	if f.About, err = k.Audit.About(r.ctx(), text("person")); err != nil {
		return f, err
	}
	if f.Account, err = k.accountFiltered(r, text("account")); err != nil {
		return f, err
	}
	if day, err := time.Parse(time.DateOnly, text("since")); err == nil {
		f.Since = day
	}
	if day, err := time.Parse(time.DateOnly, text("until")); err == nil {
		f.Until = day.AddDate(0, 0, 1) // the day itself is meant
	}
	if before, err := strconv.ParseInt(q.Get("before"), 10, 64); err == nil && before > 0 {
		f.Before = before
	}
	return f, nil
}

// verifyAudit walks the chain and holds it against the seals in the database. Seals that
// were kept outside are for the command: whoever can change the database can see to what
// this bridge reads of it.
func (k *Console) verifyAudit(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showVerified(r, http.StatusOK, f)
}

func (k *Console) showVerified(r *request, status int, f form) error {
	v, err := k.Audit.Verify(r.ctx(), r.scope(), nil)
	if err != nil {
		return err
	}
	view := struct {
		admin.Verification
		Form        form
		Entry       string // of what can be acknowledged; "": nothing, or not by this administrator
		BreakDigest string
	}{Verification: v, Form: f}
	if v.Break != nil && r.may(idp.Admin) {
		view.Entry, view.BreakDigest = v.Break.Name(), hex.EncodeToString(v.Break.Digest())
	}
	return r.show(status, "audit-verified", r.text("audit.verify"), view)
}

// acknowledgeAudit notes that the break which was shown is known.
func (k *Console) acknowledgeAudit(r *request) error {
	digest, err := hex.DecodeString(r.Form["digest"])
	if err != nil || len(digest) == 0 {
		digest = []byte{0} // of no break
	}
	_, err = k.Audit.Acknowledge(r.ctx(), r.scope(), admin.AuditAcknowledgement{Entry: r.Form["entry"], Digest: digest,
		Reason: r.Form["reason"]}, nil, r.event("", ""))
	if err == nil {
		return r.done("/admin/audit", "acknowledged")
	}
	f, status, err := r.refusedForm(err, map[string]string{"reason": "reason"})
	if err != nil {
		return err
	}
	return k.showVerified(r, status, f)
}

// filterFaults says which parts of a filter can't be read, by field.
func filterFaults(r *request, q url.Values) map[string]string {
	faults := map[string]string{}
	if text := store.TrimTyped(q.Get("account")); text != "" {
		if _, err := r.k.accountNamed(r, text); err != nil {
			faults["account"] = r.text("filter.badaccount")
		}
	}
	for _, name := range []string{"since", "until"} {
		if text := strings.TrimSpace(q.Get(name)); text != "" {
			if _, err := time.Parse(time.DateOnly, text); err != nil {
				faults[name] = r.text("filter.badday")
			}
		}
	}
	return faults
}

// auditFields are the filter's parts, as they stand in the query.
var auditFields = []string{"person", "action", "outcome", "account", "sp", "ref", "since", "until"}

func (k *Console) audit(r *request) error {
	q := r.QueryParams()
	filter, err := k.auditFilter(r)
	if err != nil {
		return err
	}
	faults := filterFaults(r, q)
	var events []admin.Event
	status := http.StatusUnprocessableEntity // a filter that can't be read shows nothing, rather than everything
	if len(faults) == 0 {
		status = http.StatusOK
		var err error
		if events, err = k.Audit.List(r.ctx(), r.scope(), filter); err != nil {
			return err
		}
	}
	same := url.Values{}
	values := web.Fields{}
	for _, name := range auditFields {
		values[name] = plaintext.Cut(q.Get(name), 400)
		if values[name] != "" {
			same.Set(name, values[name])
		}
	}
	f, err := r.newForm(values, faults)
	if err != nil {
		return err
	}
	view := struct {
		Form        form
		Events      []admin.Event
		Export      string
		First, Next string
		Exports     bool
		Filtered    bool
		Integrity   *badge // as the health snapshot has it; nil: nobody has looked
	}{Form: f, Events: events, Export: same.Encode(), Exports: r.may(idp.Operator), Filtered: len(same) > 0}
	health, err := k.Status.Health(r.ctx(), r.scope())
	if err != nil {
		return fmt.Errorf("read the health snapshot: %w", err)
	}
	if part, ok := health.Part(admin.PartAudit); ok && !health.Stale() {
		view.Integrity = &badge{"ok", r.text("audit.integrity.ok")}
		if part.Level != admin.OK {
			view.Integrity = &badge{"bad", r.text("audit.integrity.bad")}
		}
	}
	if filter.Before > 0 {
		view.First = "/admin/audit?" + same.Encode()
	}
	if len(events) == pageSize {
		next := url.Values{"before": {strconv.FormatInt(events[pageSize-1].ID, 10)}}
		for name, v := range same {
			next[name] = v
		}
		view.Next = "/admin/audit?" + next.Encode()
	}
	return r.show(status, "audit", r.text("area.audit"), view)
}

// exportAudit streams the events of the filter. A file for a spreadsheet has no cell
// that is a formula.
func (k *Console) exportAudit(r *request) error {
	format, kind := "jsonl", "application/x-ndjson"
	if r.QueryParam("format") == "csv" {
		format, kind = "csv", "text/csv; charset=utf-8"
	}
	filter, err := k.auditFilter(r)
	if err != nil {
		return err
	}
	h := r.Response().Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="audit.`+format+`"`)
	r.Response().WriteHeader(http.StatusOK) // from here on a failure breaks the connection off: no part looks whole
	return k.Audit.Export(r.ctx(), r.scope(), r.Response(), filter, format, r.event("", ""))
}
