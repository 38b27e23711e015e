package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// problem is an answer that is no success, as application/problem+json (RFC 9457).
type problem struct {
	Status    int     `json:"status" doc:"The HTTP status once more."`
	Title     string  `json:"title" doc:"The HTTP status in words."`
	Code      string  `json:"code" doc:"What kind of problem it is, in one word for programs. More can be added."`
	Detail    string  `json:"detail" doc:"What is wrong, in a sentence for people."`
	Field     string  `json:"field,omitempty" doc:"The parameter or field at fault, where it is one."`
	Fix       string  `json:"fix,omitempty" doc:"What to do about it."`
	Reference string  `json:"reference" doc:"What to name when asking for help: log and audit log have it."`
	Faults    []fault `json:"faults,omitempty" doc:"All that is wrong, where that is more than one thing."`

	cause error
	after string // Retry-After
}

// fault is one of several things that are wrong.
type fault struct {
	Field string `json:"field,omitempty" doc:"The parameter or field at fault."`
	Fault string `json:"fault" doc:"What is wrong with it."`
	Fix   string `json:"fix,omitempty" doc:"What to do about it."`
}

func (p *problem) Error() string {
	if p.cause != nil {
		return p.Detail + ": " + p.cause.Error()
	}
	return p.Detail
}

func (p *problem) Unwrap() error { return p.cause }

func bad(status int, code, detail, fix string) *problem {
	return &problem{Status: status, Code: code, Detail: detail, Fix: fix}
}

func invalid(faults []fault) *problem {
	p := bad(http.StatusUnprocessableEntity, "invalid", faults[0].Fault, faults[0].Fix)
	p.Field = faults[0].Field
	if len(faults) > 1 {
		p.Detail, p.Field, p.Fix, p.Faults = "several values can't be used", "", "", faults
	}
	return p
}

// missing is the one answer for what is not there and for what is outside of the token's client accounts: it must not
// tell the one from the other.
func missing() *problem {
	return bad(http.StatusNotFound, "not_found", "there is nothing of this name that the token may see",
		"look at the list that it should be in")
}

// problemOf turns any error into an answer. What is a failure of ours keeps its cause for the log alone.
func problemOf(ctx context.Context, c admin.Caller, err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	if errors.Is(err, store.ErrInProgress) { // or another process has taken it over
		p = bad(http.StatusConflict, "in_progress", "the same request is being worked on", "ask again in a moment")
		p.after, p.cause = "1", err
		return p
	}
	if e, ok := admin.AsError(err); ok {
		return ofError(c, e)
	}
	p = bad(http.StatusInternalServerError, "internal", "something went wrong here", "name the reference to whoever runs "+
		"the bridge")
	switch idp.FailureOf(ctx, err) {
	case idp.ReasonStoreDown, idp.ReasonTooSlow:
		p = bad(http.StatusServiceUnavailable, "unavailable", "the bridge can't answer at the moment", "try again later")
		p.after = "30"
	}
	p.cause = err
	return p
}

func ofError(c admin.Caller, e *admin.Error) *problem {
	p := &problem{Detail: e.Fault, Field: e.Field, Fix: fixOf(e), cause: e}
	switch e.Kind {
	case admin.Missing, admin.Forbidden:
		if e.Kind == admin.Forbidden || len(c.Token.Accounts) > 0 {
			p = missing()
			p.cause = e
			return p
		}
		p.Status, p.Code = http.StatusNotFound, "not_found"
	case admin.Changed:
		p.Status, p.Code = http.StatusConflict, "conflict"
	case admin.Denied:
		p.Status, p.Code = http.StatusConflict, "denied"
	case admin.Outside:
		p.Status, p.Code = http.StatusBadGateway, "outside"
	default:
		p.Status, p.Code = http.StatusUnprocessableEntity, "invalid"
	}
	for _, part := range e.Parts {
		p.Faults = append(p.Faults, fault{part.Field, part.Text(), fixOf(part)})
	}
	return p
}

// actPaths say which operation does an act about a fault. All others are done by an administrator.
var actPaths = map[admin.Act]string{
	admin.TryLater: "try again later", admin.LookAgain: "read it again, then do the same again",
	admin.RunCheck:  "GET /api/v1/status says which part is wrong",
	admin.ShowQueue: "GET /api/v1/status and /api/v1/budget",
	admin.ListKeys:  "GET /api/v1/keys lists them", admin.ListProviders: "GET /api/v1/providers lists them",
	admin.SetProvider:  "PATCH /api/v1/provider changes its settings",
	admin.ShowProvider: "GET /api/v1/providers lists them", admin.ListLockouts: "GET /api/v1/lockouts lists them",
	admin.ListUsers: "GET /api/v1/users lists them", admin.ListUsersIn: "GET /api/v1/users?state={about}",
	admin.ShowUser:         "GET /api/v1/users?person={about}",
	admin.ListTasks:        "GET /api/v1/tasks lists them",
	admin.ShowProvisioning: "GET /api/v1/status", admin.ListPlans: "GET /api/v1/plans lists them",
	admin.ShowPlan: "GET /api/v1/plans/{about}", admin.ReadAudit: "GET /api/v1/events",
	admin.ListMappings: "GET /api/v1/mappings lists them", admin.ShowMappingHistory: "GET /api/v1/mappings/{about}",
	admin.RemoveMapping:   "DELETE /api/v1/mappings/{about}",
	admin.GiveGroupBase:   "give group_base",
	admin.ExplainLogin:    "GET /api/v1/people/{about}/access",
	admin.ExplainPerson:   "GET /api/v1/people/{about}/access",
	admin.NameAccount:     "name the client account",
	admin.ListAccounts:    "GET /api/v1/accounts lists them",
	admin.RefreshAccounts: "an administrator can have the list of client accounts read anew",
	admin.RetryRequest:    "GET /api/v1/operations/{about} says how it stands; it is sent again by itself",
}

const byAdministrator = "an administrator has to do that, in the admin console or by command"

// fixOf says what to do about an error, in the words of this face.
func fixOf(e *admin.Error) string {
	text := e.Hint
	if e.Act == admin.NoAct {
		return text
	}
	how, known := actPaths[e.Act]
	if !known {
		how = byAdministrator
	}
	if e.About == "" {
		how = strings.NewReplacer("?person={about}", "", "?state={about}", "", "{about}", "ID").Replace(how)
	}
	how = strings.ReplaceAll(how, "{about}", url.PathEscape(e.About))
	if text != "" {
		return text + "; " + how
	}
	return how
}

// shown is a stranger's word as an answer may repeat it.
func shown(text string) string { return plaintext.Line(text, 100) }

// send writes a problem.
func (p *problem) send(w http.ResponseWriter, r *http.Request) {
	p.Title, p.Reference = http.StatusText(p.Status), store.OriginOf(r.Context()).Ref
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.after != "" {
		h.Set("Retry-After", p.after)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="ssobridge"`)
	}
	w.WriteHeader(p.Status)
	if err := encode(w, p); err != nil {
		return // whoever asked is gone
	}
}
