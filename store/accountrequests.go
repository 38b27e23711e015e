package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AccountRequest is the creation of a client account: stored before the call, settled after it.
type AccountRequest struct {
	ID               int64
	LoginName        string
	OrganizationName string
	Body             json.RawMessage // as sent, without a password: owners are bound to SSO
	Person           PersonID        // the owner
	ExternalID       string          // the owner's
	State            string          // one of the Request constants
	Account          AccountID       // once known
	ProvisionUUID    string
	ErrorKey         string
	ErrorText        string
	CreatedAt        time.Time
	CreatedBy        string
	UpdatedAt        time.Time
	Key              string // under which a program ordered it; "": under none
	PartnerID        string // the partner's own id of the client account; "": it gave none
}

// Name is how audit events name a request: by nothing that its owner is known by.
func (r AccountRequest) Name() string { return fmt.Sprintf("request %d", r.ID) }

// States of an AccountRequest.
const (
	RequestWanted   = "wanted"
	RequestSending  = "sending"
	RequestUnknown  = "unknown"  // may have been created; sent again as it stands
	RequestAccepted = "accepted" // 503: Constant Contact creates it later; the list of accounts will show it
	RequestCreated  = "created"
	RequestConflict = "conflict"
	RequestRefused  = "refused"
)

// maxRequestBody is far above what the partner API's fields can hold.
const maxRequestBody = 64 << 10

const requestColumns = `id, login_name, organization_name, body, person_id, external_id, state, encoded_account_id, provision_uuid,
	error_key, error_text, created_at, created_by, updated_at, request_key, partner_id`

func scanRequest(row scanner) (r AccountRequest, err error) {
	var (
		body             string
		created, updated int64
	)
	err = row.Scan(&r.ID, &r.LoginName, &r.OrganizationName, &body, &r.Person, &r.ExternalID, &r.State, &r.Account,
		&r.ProvisionUUID,
		&r.ErrorKey, &r.ErrorText, &created, &r.CreatedBy, &updated, &r.Key, &r.PartnerID)
	r.Body, r.CreatedAt, r.UpdatedAt = json.RawMessage(body), fromMicros(created), fromMicros(updated)
	return r, err
}

// WantAccount stores the intention and returns it with its id, which makes the event's Subject. ErrMovedAway: the owner
// was moved to a source since they were looked up. ErrConflict: its login name was asked for before. A request that was
// refused made no account: it is asked for anew, under its id, with the new data.
func (s *Accounts) WantAccount(ctx context.Context, r AccountRequest, e Event) (AccountRequest, error) {
	const what = "want client account"
	switch {
	case r.LoginName == "":
		return AccountRequest{}, s.db.explain(what, errors.New("no login name"))
	case len(r.Body) > maxRequestBody || !json.Valid(r.Body):
		return AccountRequest{}, s.db.explain(what, fmt.Errorf("body of %d bytes: want JSON of at most %d", len(r.Body),
			maxRequestBody))
	}
	var stored AccountRequest
	err := s.db.write(ctx, what, func(ctx context.Context, tx querier) (err error) {
		now := s.db.now()
		if stored, err = wantAccount(ctx, tx, r, now); err != nil {
			return err
		}
		e.Subject = stored.Name()
		return addEvents(ctx, tx, now, []Event{e})
	})
	if err != nil {
		return AccountRequest{}, err
	}
	return stored, nil
}

// wantAccount stores the intention. ErrConflict: its login name was asked for before. ErrMovedAway.
func wantAccount(ctx context.Context, tx querier, r AccountRequest, now time.Time) (AccountRequest, error) {
	// A move of the owner is before this, and seen, or comes after it, and sees the order.
	if r.Person != "" {
		if err := lockExternalIDs(ctx, tx, personLock(r.Person)); err != nil {
			return AccountRequest{}, err
		}
		if to, err := movedTo(ctx, tx, r.Person); err != nil || to != "" {
			return AccountRequest{}, cmp.Or(err, ErrMovedAway)
		}
	}
	stored, err := scanRequest(tx.QueryRowContext(ctx, `
		INSERT INTO account_requests (login_name, organization_name, body, person_id, external_id, created_at, created_by, updated_at, request_key, partner_id,
		    state, encoded_account_id, provision_uuid, error_key, error_text)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'wanted', '', '', '', '')
		ON CONFLICT (login_name) DO UPDATE SET
		       organization_name = excluded.organization_name, body = excluded.body, person_id = excluded.person_id,
		       external_id = excluded.external_id, created_at = excluded.created_at, created_by = excluded.created_by,
		       updated_at = excluded.updated_at, request_key = excluded.request_key, partner_id = excluded.partner_id,
		       state = 'wanted', error_key = '', error_text = ''
		 WHERE account_requests.state = 'refused'
		RETURNING `+requestColumns,
		r.LoginName, r.OrganizationName, string(r.Body), string(r.Person), r.ExternalID, micros(now),
		r.CreatedBy, micros(now), r.Key, sanitize(r.PartnerID)))
	if errors.Is(err, sql.ErrNoRows) {
		return AccountRequest{}, ErrConflict
	}
	return stored, err
}

// SettleAccount stores State, Account, ProvisionUUID, ErrorKey and ErrorText with the event, if the request is still in
// state from. ErrConflict: it is not. ErrNotFound. ErrRevoked: somebody ordered it for themselves whose access was
// revoked since, and it was about to be sent for the first time; nothing was changed.
func (s *Accounts) SettleAccount(ctx context.Context, r AccountRequest, from string, e Event) error {
	return s.db.write(ctx, "settle request for a client account", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		n, err := rowsAffected(ctx, tx, `
			UPDATE account_requests SET state = $1, encoded_account_id = $2, provision_uuid = $3, error_key = $4, error_text = $5,
			       updated_at = $6
			 WHERE id = $7 AND state = $8`,
			r.State, string(r.Account), r.ProvisionUUID, r.ErrorKey, r.ErrorText, micros(now), r.ID, from)
		if err != nil {
			return err
		}
		if n == 0 {
			if _, err := getRequest(ctx, tx, r.ID); err != nil {
				return err
			}
			return ErrConflict
		}
		if err := settleSelfOrder(ctx, tx, r, from, now); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// LookAgain notes that somebody looks now what became of a request, if it stands as it was read; ok is false where
// another was faster. So of several replicas one asks, and the next time is counted from this one.
func (s *Accounts) LookAgain(ctx context.Context, r AccountRequest) (ok bool, err error) {
	err = s.db.write(ctx, "look at a request for a client account", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE account_requests SET updated_at = $1 WHERE id = $2 AND state = $3 AND updated_at = $4`,
			micros(s.db.now()), r.ID, r.State, micros(r.UpdatedAt))
		ok = n > 0
		return err
	})
	return ok, err
}

// AccountRequest returns one. ErrNotFound.
func (s *Accounts) AccountRequest(ctx context.Context, id int64) (AccountRequest, error) {
	r, err := getRequest(ctx, s.db.engine.reader(), id)
	return r, s.db.explain("get request for a client account", err)
}

// AccountRequestByKey returns the one that was ordered under a key since a time. ErrNotFound.
func (s *Accounts) AccountRequestByKey(ctx context.Context, key string, since time.Time) (AccountRequest, error) {
	r, err := scanRequest(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+requestColumns+` FROM account_requests
		 WHERE request_key = $1 AND request_key <> '' AND created_at >= $2 ORDER BY id DESC LIMIT 1`, key, micros(since)))
	return r, s.db.explain("get request for a client account", err)
}

// AccountRequestByPartner returns the one that was ordered with the partner's own id and says most of it: one that was
// created, else one that is not at its end, else the newest. An order that was refused beside it says nothing of the
// client account that there is. ErrNotFound.
func (s *Accounts) AccountRequestByPartner(ctx context.Context, id string) (AccountRequest, error) {
	r, err := scanRequest(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+requestColumns+` FROM account_requests
		 WHERE partner_id = $1 AND partner_id <> ''
		 ORDER BY CASE state WHEN 'created' THEN 0 WHEN 'refused' THEN 2 WHEN 'conflict' THEN 2 ELSE 1 END, id DESC
		 LIMIT 1`, id))
	return r, s.db.explain("get request for a client account", err)
}

func getRequest(ctx context.Context, q querier, id int64) (AccountRequest, error) {
	return scanRequest(q.QueryRowContext(ctx, `
		SELECT `+requestColumns+` FROM account_requests WHERE id = $1`, id))
}

// OpenOrders returns the requests of actors whose names begin with a prefix that have not come to an end, by their
// numbers, those behind after, at most limit. Of those that were stored before since, only what is still to be ended.
func (s *Accounts) OpenOrders(ctx context.Context, prefix string, since time.Time, after int64, limit int) (
	[]AccountRequest, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanRequest, `
		SELECT `+requestColumns+` FROM account_requests
		 WHERE state IN ('wanted', 'sending', 'unknown', 'accepted') AND id > $1 AND substr(created_by, 1, $2) = $3
		   AND (state IN ('wanted', 'sending') OR created_at >= $4)
		 ORDER BY id LIMIT $5`, after, len(prefix), prefix, micros(since), limit)
	return all, s.db.explain("list open orders of client accounts", err)
}

// AccountRequests returns those in the given states (all where none is given), the newest first, at most limit (1 to
// 1000).
func (s *Accounts) AccountRequests(ctx context.Context, limit int, states ...string) ([]AccountRequest, error) {
	const what = "list requests for client accounts"
	if limit < 1 || limit > 1000 || len(states) > 20 {
		return nil, s.db.explain(what, fmt.Errorf("limit %d, %d states: want 1 to 1000, and at most 20", limit, len(states)))
	}
	var (
		condition string
		args      []any
	)
	if len(states) > 0 {
		marks := make([]string, len(states))
		for i, state := range states {
			args = append(args, state)
			marks[i] = "$" + strconv.Itoa(len(args))
		}
		condition = " WHERE state IN (" + strings.Join(marks, ", ") + ")"
	}
	args = append(args, limit)
	all, err := collect(ctx, s.db.engine.reader(), scanRequest, `
		SELECT `+requestColumns+` FROM account_requests`+condition+` ORDER BY id DESC LIMIT $`+strconv.Itoa(len(args)), args...)
	return all, s.db.explain(what, err)
}
