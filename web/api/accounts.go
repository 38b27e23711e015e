package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type account struct {
	ID            store.AccountID `json:"id" doc:"Its encoded account id."`
	Name          string          `json:"name" doc:"The organization's name."`
	BillingStatus string          `json:"billing_status" doc:"As Constant Contact last listed it."`
	Plan          string          `json:"plan,omitempty" doc:"As it was last read; left out before."`
	ListedAt      *time.Time      `json:"listed_at,omitempty" doc:"When the list last had it."`
	CheckedAt     *time.Time      `json:"checked_at,omitempty" doc:"When its plan was last read."`
	Factor        string          `json:"second_factor,omitempty" doc:"What is asked for beside the password: off, offered or required. Left out in lists."`
	Launch        string          `json:"launch_url,omitempty" doc:"The link by which people launch it. Left out in lists."`
}

func accountOf(a store.Account) account {
	return account{ID: a.ID, Name: a.Name, BillingStatus: a.BillingStatus, Plan: a.PlanType, ListedAt: optional(a.SeenAt),
		CheckedAt: optional(a.CheckedAt)}
}

type accountFilter struct {
	paged
	Find string `query:"find" maxlen:"100" doc:"Part of the name or the id, in any letter case."`
}

type accountID struct {
	ID string `path:"id" maxlen:"100" doc:"The client account's id."`
}

// account is the recorded form of a client account of a path, within the token's confinement.
func (c *call) account(text string) (store.AccountID, error) {
	id, err := c.api.o.Accounts.Find(c.ctx, c.scope(), text, false)
	if _, refused := admin.AsError(err); refused && c.confined() {
		return "", missing() // why it can't be found may say something of other client accounts
	}
	return id, err
}

func accountOperations() []operation {
	const area = "Client accounts"
	return []operation{
		serves(operation{
			id: "listAccounts", method: http.MethodGet, path: "/accounts", area: area, scope: admin.AccountsRead, confined: true,
			summary: "List client accounts", doc: "By their ids, as Constant Contact last listed them.",
		}, func(c *call, in accountFilter) (list[account], error) {
			f := admin.ClientAccountFilter{Find: in.Find, Limit: in.size() + 1}
			if err := c.from(in.paged, &f.After); err != nil {
				return list[account]{}, err
			}
			rows, _, err := c.api.o.Accounts.List(c.ctx, c.scope(), f)
			if err != nil {
				return list[account]{}, err
			}
			return pageOf(c, in.paged, rows, accountOf, func(a store.Account) any { return a.ID })
		}),
		serves(operation{
			id: "getAccount", method: http.MethodGet, path: "/accounts/{id}", area: area, scope: admin.AccountsRead,
			confined: true, summary: "Read a client account",
		}, func(c *call, in accountID) (account, error) {
			id, err := c.account(in.ID)
			if err != nil {
				return account{}, err
			}
			one, err := c.api.o.Accounts.Get(c.ctx, c.scope(), id)
			if err != nil {
				return account{}, err
			}
			out := accountOf(one.Account)
			out.Factor, out.Launch = string(one.Factor), one.Launch
			return tagged(c, out)
		}),
		serves(operation{
			id: "listAdoption", method: http.MethodGet, path: "/adoption", area: area, scope: admin.AccountsRead,
			confined: true, summary: "List how many people use each client account",
			doc: "By the ids of the client accounts that Constant Contact last listed: how many people are entitled, have a " +
				"user, and have signed in within 30 days, by role. Numbers of 10,000 and more may be two minutes old.",
		}, listAdoption),
		serves(operation{
			id: "createAccount", method: http.MethodPost, path: "/accounts", area: area, scope: admin.AccountsWrite,
			status: http.StatusAccepted, keyed: true, summary: "Order a client account",
			doc: "The owner is a person of the directory and signs in by single sign-on. The order is stored, and the call is " +
				"made within the budget of background work: the answer is an operation, to be read again. With Prefer: wait=10 " +
				"the answer waits up to so many seconds (10 at most) for its end. dry_run=true shows what would be sent.",
		}, createAccount),
		serves(operation{
			id: "getButton", method: http.MethodGet, path: "/accounts/{id}/button", area: area, scope: admin.ButtonRead,
			confined: true, summary: "Read what your page shows for a client account",
			doc: "By the client account's id, by the partner_account_id of its order, or by the id of a person of the " +
				"directory who orders one for themselves. It makes no call to Constant Contact: " +
				"ask with If-None-Match as often as the page is shown.",
		}, func(c *call, in accountID) (button, error) {
			b, err := c.api.o.Accounts.Button(c.ctx, c.scope(), in.ID, c.api.o.Now())
			if err != nil {
				return button{}, err
			}
			return tagged(c, button{b.State, b.Account, b.Launch})
		}),
		serves(operation{
			id: "setAccountPlan", method: http.MethodPost, path: "/accounts/{id}/plan", area: area,
			scope: admin.AccountsWrite, keyed: true, act: "account-set-plan", summary: "Change the plan of a client account",
			doc: "It makes two calls to Constant Contact within the budget of background work, and answers with what holds then.",
		}, func(c *call, in struct {
			accountID
			Body planInput `body:"json"`
		}) (changedAccount, error) {
			id, err := c.account(in.ID)
			if err != nil {
				return changedAccount{}, err
			}
			if c.made == "" {
				if _, err := c.api.o.Accounts.SetPlan(provisioning.ForProgram(c.ctx), c.scope(), id,
					admin.PlanInput{Plan: in.Body.Plan, BillingDay: in.Body.BillingDay}, c.caller.Actor()); err != nil {
					return changedAccount{}, err
				}
			}
			return c.changedAccount(id, time.Time{})
		}),
		serves(operation{
			id: "cancelAccount", method: http.MethodPost, path: "/accounts/{id}/cancel", area: area,
			scope: admin.AccountsWrite, keyed: true, act: "account-cancel", summary: "Cancel a client account",
			doc: "Nobody can sign in to it any more, and it can't be taken back: its id is given once more in the body.",
		}, func(c *call, in struct {
			accountID
			Body cancelInput `body:"json"`
		}) (changedAccount, error) {
			id, err := c.account(in.ID)
			if err != nil {
				return changedAccount{}, err
			}
			at := in.Body.At
			if c.made == "" {
				cancel := admin.CancelInput{Typed: in.Body.Account, ReasonID: in.Body.Reason}
				if at != nil {
					cancel.At = *at
				}
				when, err := c.api.o.Accounts.Cancel(provisioning.ForProgram(c.ctx), c.scope(), id, cancel, c.caller.Actor())
				if err != nil {
					return changedAccount{}, err
				}
				at = &when
			}
			if at == nil {
				at = new(time.Time)
			}
			return c.changedAccount(id, *at)
		}),
		serves(operation{
			id: "getOperation", method: http.MethodGet, path: "/operations/{id}", area: area, scope: admin.AccountsRead,
			summary: "Read how the order of a client account stands",
		}, func(c *call, in struct {
			ID int64 `path:"id" min:"1" doc:"The operation's number."`
		}) (accountOperation, error) {
			r, err := c.api.o.Accounts.Operation(c.ctx, c.scope(), in.ID)
			if err != nil {
				return accountOperation{}, err
			}
			return operationOf(c, r)
		}),
	}
}

type button struct {
	State   string          `json:"state" doc:"none, being_made, open, suspended or needs_attention; more can be added."`
	Account store.AccountID `json:"account,omitempty" doc:"The client account, where there is one."`
	Launch  string          `json:"launch_url,omitempty" doc:"Where to send people, while it is open."`
}

type planInput struct {
	Plan       string `json:"plan" enum:"BRONZE,SILVER,GOLD" doc:"The new plan."`
	BillingDay int    `json:"billing_day,omitempty" min:"1" max:"31" doc:"Of the month. It counts only when leaving a trial."`
}

type cancelInput struct {
	Account string     `json:"account" maxlen:"100" doc:"The client account's id once more."`
	Reason  int        `json:"reason_id,omitempty" min:"1" max:"1000" doc:"One of the published reasons."`
	At      *time.Time `json:"at,omitempty" doc:"When it takes effect; left out: now."`
}

type changedAccount struct {
	Account     account    `json:"account" doc:"As it is now."`
	EffectiveAt *time.Time `json:"effective_at,omitempty" doc:"When a cancellation takes effect; left out: now."`
	CallsLeft   int        `json:"calls_left" doc:"Calls to Constant Contact that background work may still make today."`
}

// changedAccount answers with a client account after a change at Constant Contact.
func (c *call) changedAccount(id store.AccountID, at time.Time) (changedAccount, error) {
	one, err := c.api.o.Accounts.Get(c.ctx, c.scope(), id)
	if err != nil {
		return changedAccount{}, err
	}
	left, err := c.callsLeft()
	return changedAccount{Account: accountOf(one.Account), EffectiveAt: optional(at), CallsLeft: left}, err
}

// accountInput is the body of an order.
type accountInput struct {
	Owner            string `json:"owner" maxlen:"200" doc:"Login name of the owner in the directory."`
	OrganizationName string `json:"organization_name" maxlen:"200" doc:"The organization's name."`
	CountryCode      string `json:"country_code" maxlen:"2" doc:"Two letters, such as us."`
	StateCode        string `json:"state_code,omitempty" maxlen:"100" doc:"Needed in the United States and Canada."`
	LoginName        string `json:"login_name,omitempty" maxlen:"200" doc:"The owner's at Constant Contact; left out: made up."`
	ExternalID       string `json:"external_id,omitempty" maxlen:"255" doc:"The owner's at Constant Contact; left out: made up."`
	ContactEmail     string `json:"contact_email,omitempty" maxlen:"254" doc:"Left out: the owner's of the directory."`
	ContactPhone     string `json:"contact_phone,omitempty" maxlen:"50" doc:"A telephone number."`
	TimeZoneID       string `json:"time_zone_id,omitempty" maxlen:"100" doc:"Such as US/Eastern."`
	Website          string `json:"website,omitempty" maxlen:"500" doc:"The organization's."`
	PartnerAccountID string `json:"partner_account_id,omitempty" maxlen:"200" doc:"Your own id of the client account."`
	Managed          bool   `json:"managed,omitempty" doc:"The partner manages it."`
}

type accountOperation struct {
	ID        int64           `json:"id,omitzero" doc:"Its number; left out with dry_run."`
	DryRun    bool            `json:"dry_run,omitempty" doc:"Nothing was stored or sent."`
	State     string          `json:"state" doc:"wanted, sending, unknown, accepted, created, conflict, refused or draft; more can be added."`
	Meaning   string          `json:"meaning" doc:"The state in words."`
	Done      bool            `json:"done" doc:"It has come to its end, good or bad, or has had no clear answer for a day, so that an administrator has to look: nothing happens by itself any more."`
	Account   store.AccountID `json:"account,omitempty" doc:"The client account, once it is known."`
	Error     string          `json:"error,omitempty" doc:"Why it is not created, in a sentence."`
	Order     json.RawMessage `json:"order,omitempty" doc:"What would be sent, with dry_run."`
	CallsLeft int             `json:"calls_left" doc:"Calls to Constant Contact that background work may still make today."`
	CreatedAt *time.Time      `json:"created_at,omitempty" doc:"When it was stored."`
	UpdatedAt *time.Time      `json:"updated_at,omitempty" doc:"When it last changed."`
}

func operationOf(c *call, r store.AccountRequest) (accountOperation, error) {
	left, err := c.callsLeft()
	done := admin.OrderEnds(r, c.api.o.Now())
	out := accountOperation{ID: r.ID, State: r.State, Meaning: admin.OrderState(r), Done: done, Account: r.Account,
		CallsLeft: left, CreatedAt: optional(r.CreatedAt), UpdatedAt: optional(r.UpdatedAt)}
	if r.State != store.RequestCreated {
		out.Error = r.ErrorText
	}
	return out, err
}

// callsLeft is what the budget leaves for what programs ask for.
func (c *call) callsLeft() (int, error) {
	b, err := c.api.o.Plans.Calls(c.ctx, admin.Everything()) // a number that says nothing of any client account
	return budgetOf(b).Left, err
}

type createAccountRequest struct {
	DryRun bool         `query:"dry_run" doc:"true: show what would be sent, and store nothing."`
	Body   accountInput `body:"json"`
}

// createAccount stores an order. Under a key it is looked for first: a process may have stored it, and died.
func createAccount(c *call, in createAccountRequest) (accountOperation, error) {
	accounts, key := c.api.o.Accounts, ""
	if c.key != nil && !in.DryRun {
		key = hex.EncodeToString(c.key)
		r, found, err := accounts.Ordered(c.ctx, c.scope(), key, c.api.o.Now().Add(-store.APIAnswerLife))
		if err != nil {
			return accountOperation{}, err
		}
		if found {
			return c.ordered(r)
		}
	}
	b := in.Body
	order, err := accounts.Prepare(c.ctx, c.scope(), admin.OrderInput{Owner: b.Owner, OrganizationName: b.OrganizationName,
		CountryCode: b.CountryCode, StateCode: b.StateCode, LoginName: b.LoginName, ExternalID: b.ExternalID,
		ContactEmail: b.ContactEmail, ContactPhone: b.ContactPhone, TimeZoneID: b.TimeZoneID, Website: b.Website,
		PartnerAccountID: b.PartnerAccountID, Managed: b.Managed})
	if err != nil {
		return accountOperation{}, err
	}
	if in.DryRun {
		c.status = http.StatusOK
		left, err := c.callsLeft()
		return accountOperation{DryRun: true, State: "draft", Meaning: "would be sent like this", Order: order.Body,
			CallsLeft: left}, err
	}
	r, err := accounts.Enqueue(c.ctx, c.scope(), order.Program(key), c.caller.Actor())
	if err != nil {
		return accountOperation{}, err
	}
	c.api.o.Ordered()
	return c.ordered(r)
}

// ordered answers with an operation, and waits for its end where that is asked for.
func (c *call) ordered(r store.AccountRequest) (accountOperation, error) {
	c.header.Set("Location", fmt.Sprintf("%s/operations/%d", Path, r.ID))
	wait := c.wait()
	if wait > 0 {
		leave, ok := c.api.slots.wait(c.caller.Token.ID)
		if !ok {
			wait = 0
		} else {
			defer leave()
			c.rest() // whoever only waits must not keep others from being worked on
			c.header.Set("Preference-Applied", fmt.Sprintf("wait=%d", int(wait/time.Second)))
		}
	}
	ctx, cancel := context.WithTimeout(c.ctx, wait)
	defer cancel()
	tick := time.NewTicker(waitEvery)
	defer tick.Stop()
	for wait > 0 && (r.State == store.RequestWanted || r.State == store.RequestSending ||
		r.State == store.RequestAccepted && r.Account != "") {
		select {
		case <-ctx.Done():
			return operationOf(c, r)
		case <-tick.C:
		}
		again, err := c.api.o.Accounts.Operation(ctx, c.scope(), r.ID)
		if err != nil {
			break
		}
		r = again
	}
	return operationOf(c, r)
}

const (
	maxWait   = 10 * time.Second
	waitEvery = 200 * time.Millisecond
)

// wait is how long the program would wait (RFC 7240, Prefer: wait=SECONDS).
func (c *call) wait() time.Duration {
	for _, one := range strings.Split(strings.Join(c.r.Header.Values("Prefer"), ","), ",") {
		text, ok := strings.CutPrefix(strings.TrimSpace(one), "wait=")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0
		}
		return min(time.Duration(min(n, 60))*time.Second, maxWait)
	}
	return 0
}
