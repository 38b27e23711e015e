package sandbox

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const maxAPIBody = 64 << 10

// serveAPI is the partner API. The order is that of a gateway in front of a service: key, limits,
// token, then the call.
func (s *Sandbox) serveAPI(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAPIBody))
	c := s.record(r, strings.ToValidUTF8(string(body), "?"))
	var a reply
	if err != nil {
		a = s.refuse(http.StatusRequestEntityTooLarge, apiError{"request_too_large", "the body is too large"})
	} else {
		a = s.apiReply(r, body, c)
	}
	s.settle(c, a)
	a.write(w)
}

func (s *Sandbox) apiReply(r *http.Request, body []byte, c *Call) reply {
	faults := s.faultsFor(r, false)
	on := func(k FaultKind) bool { _, ok := faults[k]; return ok }

	if on(FaultDownAPI) {
		return reply{cut: true, outcome: "fault: API down"}
	}
	if on(FaultSlow) {
		s.pause(r.Context(), faults[FaultSlow].Delay)
	}
	key := r.Header.Get("x-api-key")
	if subtle.ConstantTimeCompare([]byte(key), []byte(s.o.APIKey)) != 1 {
		return s.refuseAuth(http.StatusForbidden, "unauthorized_api_key", "x-api-key is missing or unknown")
	}
	now := s.o.Now()
	s.mu.Lock()
	c.Who, c.Counted = "partner", true
	broken := s.api.take(now)
	s.mu.Unlock()
	switch {
	case on(FaultQuota):
		broken = quotaExceeded
	case on(FaultThrottle):
		broken = throttled
	}
	switch broken {
	case quotaExceeded:
		return s.refuse(http.StatusTooManyRequests, apiError{quotaExceeded, "the daily quota of API calls is used up"})
	case throttled:
		return s.refuse(http.StatusTooManyRequests, apiError{throttled, "too many API calls within a second"})
	}
	if !s.tokenGood(r, now) {
		return s.refuseAuth(http.StatusUnauthorized, "unauthorized", "the access token is missing, unknown or expired")
	}
	if on(FaultFailBefore) {
		return s.refuse(http.StatusInternalServerError, apiError{"internal_error", "fault: failed before acting"})
	}

	a := s.call(r, body)
	switch {
	case on(FaultActAndHang):
		s.pause(r.Context(), s.o.MaxHang)
		return reply{cut: true, outcome: "fault: acted (" + a.outcome + "), never answered"}
	case on(FaultFailAfter):
		outcome := "fault: acted (" + a.outcome + "), then failed"
		a = s.refuse(http.StatusInternalServerError, apiError{"internal_error", "fault: failed after acting"})
		a.outcome = outcome
	}
	return a
}

// call makes the call itself.
func (s *Sandbox) call(r *http.Request, body []byte) reply {
	path := strings.TrimPrefix(r.URL.Path, APIPath)
	notAllowed := s.refuse(http.StatusMethodNotAllowed, apiError{"method_not_allowed", "this path has no " + r.Method})
	if path == "/partner/accounts" {
		if r.Method != http.MethodGet {
			return notAllowed
		}
		return s.listAccounts(r.URL.Query())
	}
	if rest, ok := strings.CutPrefix(path, "/partner/accounts/"); ok {
		if id, ok := strings.CutSuffix(rest, "/users/sso"); ok && id != "" && !strings.Contains(id, "/") {
			if r.Method != http.MethodPost {
				return notAllowed
			}
			return s.createUser(id, r.Header.Get("Content-Type"), body)
		}
	}
	return s.refuse(http.StatusNotFound, apiError{"not_found", "there is no such path"})
}

// listedAccount is a client account in the list.
type listedAccount struct {
	ID               string     `json:"encoded_account_id"`
	SubscriberCount  int64      `json:"subscriber_count"`
	OrganizationName string     `json:"organization_name"`
	SiteOwnerName    string     `json:"site_owner_name"`
	BillingStatus    string     `json:"billing_status"`
	LastLogin        *time.Time `json:"last_login_date,omitempty"`
}

// listAccounts is GET /partner/accounts.
func (s *Sandbox) listAccounts(q url.Values) reply {
	bad := func(message string) reply {
		return s.refuse(http.StatusBadRequest, apiError{"request.invalid_parameter", message})
	}
	limit := 50
	if text := q.Get("limit"); q.Has("limit") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 10 || n > 50 {
			return bad("limit must be a number from 10 to 50")
		}
		limit = n
	}
	kind := q.Get("account_type")
	if kind == "" {
		kind = "all"
	}
	if kind != "all" && kind != "managed" && kind != "unmanaged" {
		return bad("account_type must be all, managed or unmanaged")
	}
	start := 0
	if q.Has("offset") {
		n, ok := readOffset(q.Get("offset"))
		if !ok {
			return bad("offset is none of ours")
		}
		start = n
	}

	list := []listedAccount{}
	s.mu.Lock()
	for _, a := range s.accounts {
		if a.OtherPartner || (kind == "managed" && !a.Managed) || (kind == "unmanaged" && a.Managed) {
			continue
		}
		l := listedAccount{ID: a.ID, SubscriberCount: a.SubscriberCount, OrganizationName: a.OrganizationName, SiteOwnerName: a.SiteOwnerName, BillingStatus: a.BillingStatus}
		if !a.LastLogin.IsZero() {
			l.LastLogin = &a.LastLogin
		}
		list = append(list, l)
	}
	s.mu.Unlock()
	start = min(start, len(list))
	end := min(start+limit, len(list))
	page := map[string]any{"site_owner_list": list[start:end]}
	if end < len(list) {
		next := fmt.Sprintf("%s/partner/accounts?offset=%s&limit=%d", APIPath, writeOffset(end), limit)
		if kind != "all" {
			next += "&account_type=" + kind
		}
		page["_links"] = map[string]any{"next": map[string]string{"href": next}}
	}
	return jsonReply(http.StatusOK, page, fmt.Sprintf("listed %d accounts", end-start))
}

// writeOffset writes an offset as Constant Contact does: opaque, such as MTA*.
func writeOffset(n int) string {
	return strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(n))), "=", "*")
}

func readOffset(text string) (int, bool) {
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "*", "="))
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(string(b))
	return n, err == nil && n >= 0
}
