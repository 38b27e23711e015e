package partnerapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	pageSize = 50   // the most that Constant Contact gives
	maxPages = 2000 // 100,000 client accounts; a list that never ends must not eat the day's calls
)

// Account is a client account of the partner, as listed.
type Account struct {
	EncodedAccountID string
	OrganizationName string
	SiteOwnerName    string
	BillingStatus    string // Trial, Open, Canceled, Trial End, Active; others may come
	SubscriberCount  int64
}

// accountPage is one page of the list.
type accountPage struct {
	List  []listedAccount `json:"site_owner_list"`
	Links links           `json:"_links"`
}

type listedAccount struct {
	EncodedAccountID string `json:"encoded_account_id"`
	OrganizationName text   `json:"organization_name"`
	SiteOwnerName    text   `json:"site_owner_name"`
	BillingStatus    text   `json:"billing_status"`
	SubscriberCount  number `json:"subscriber_count"`
}

func (a listedAccount) account() Account {
	return Account{a.EncodedAccountID, string(a.OrganizationName), string(a.SiteOwnerName),
		string(a.BillingStatus), a.SubscriberCount.whole()}
}

// Accounts lists all client accounts of the partner, following the pages. Each page is a call. The
// list is complete or there is an error.
func (c *Client) Accounts(ctx context.Context, class string) ([]Account, error) {
	const op = "list client accounts"
	next := c.base.JoinPath("partner", "accounts")
	next.RawQuery = url.Values{"limit": {strconv.Itoa(pageSize)}}.Encode()

	var all []Account
	ids := map[string]bool{}
	seen := map[string]bool{}
	for page := 1; ; page++ {
		if page > maxPages {
			return nil, &Error{Kind: Unknown, Op: op, Err: fmt.Errorf("more than %d pages", maxPages)}
		}
		seen[next.String()] = true
		p, err := c.accountPage(ctx, class, fmt.Sprintf("%s, page %d", op, page), next)
		if err != nil {
			return nil, err
		}
		for _, listed := range p.List {
			a := listed.account()
			// An account can come twice when one is added while the pages are read. One without an id
			// can't be called by any name.
			if a.EncodedAccountID == "" || ids[a.EncodedAccountID] {
				continue
			}
			ids[a.EncodedAccountID] = true
			all = append(all, a)
		}
		if p.Links.Next == "" {
			return all, nil
		}
		if next, err = c.nextPage(string(p.Links.Next)); err != nil {
			return nil, &Error{Kind: Unknown, Op: op, Status: http.StatusOK, Err: err}
		}
		if seen[next.String()] {
			return nil, &Error{Kind: Unknown, Op: op, Status: http.StatusOK, Err: errors.New("the pages go round in a circle")}
		}
	}
}

// accountPage reads one page. A page that is throttled is asked for once more, since reading changes
// nothing and the pages before it would have to be read again.
func (c *Client) accountPage(ctx context.Context, class, op string, u *url.URL) (accountPage, error) {
	k := call{op: op, class: class, method: http.MethodGet, url: u, want: http.StatusOK}
	body, err := c.do(ctx, k)
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Throttled {
		timer := time.NewTimer(e.Wait)
		defer timer.Stop()
		select {
		case <-timer.C:
			body, err = c.do(ctx, k)
		case <-ctx.Done():
		}
	}
	if err != nil {
		return accountPage{}, err
	}
	var p accountPage
	if err := json.Unmarshal(tidyJSON(body), &p); err != nil {
		return accountPage{}, &Error{Kind: Unknown, Op: op, Status: http.StatusOK,
			Err: fmt.Errorf("read the answer: %w", err)}
	}
	if p.List == nil {
		// It is a required property. Without it this is another answer, and "no accounts" would be a guess.
		return accountPage{}, &Error{Kind: Unknown, Op: op, Status: http.StatusOK,
			Err: errors.New("the answer has no site_owner_list")}
	}
	if len(p.List) > 0 && !slices.ContainsFunc(p.List, func(a listedAccount) bool { return a.EncodedAccountID != "" }) {
		return accountPage{}, &Error{Kind: Unknown, Op: op, Status: http.StatusOK,
			Err: errors.New("no entry of the answer's site_owner_list has an encoded_account_id")}
	}
	return p, nil
}

// nextPage resolves a link of an answer. It is a path with the version in it, so it is resolved
// against scheme and host alone. Token and API key go with the request: a link that leads to another
// host or another path is refused.
func (c *Client) nextPage(href string) (*url.URL, error) {
	ref, err := url.Parse(href)
	if err != nil {
		return nil, fmt.Errorf("link to the next page: %w", err)
	}
	root := &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: "/"}
	u := root.ResolveReference(ref)
	want := c.base.JoinPath("partner", "accounts")
	if u.Scheme != want.Scheme || u.Host != want.Host || u.User != nil || u.Path != want.Path {
		return nil, fmt.Errorf("link to the next page leads to %.200q, not to %s", u.Redacted(), want)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}
