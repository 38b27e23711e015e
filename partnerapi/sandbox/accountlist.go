package sandbox

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

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
func (s *Sandbox) listAccounts(c apiCall) reply {
	q := c.query
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
	if start == 0 {
		s.listedOnce()
	}
	for _, a := range s.people.accounts {
		if a.OtherPartner || (kind == "managed" && !a.Managed) || (kind == "unmanaged" && a.Managed) {
			continue
		}
		l := listedAccount{ID: a.ID, SubscriberCount: a.SubscriberCount, OrganizationName: a.OrganizationName,
			SiteOwnerName: a.SiteOwnerName, BillingStatus: a.BillingStatus}
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
