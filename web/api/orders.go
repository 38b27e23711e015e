package api

import (
	"net/http"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

// selfOrder is a client account that somebody orders for themselves.
type selfOrder struct {
	ID           int64           `json:"id" doc:"Its number."`
	State        string          `json:"state" doc:"waiting, ordered, created, refused, expired, stopped or failed; more can be added."`
	Meaning      string          `json:"meaning" doc:"The state in words."`
	Person       store.PersonID  `json:"person" doc:"Who ordered it, and will be its owner."`
	Login        string          `json:"login" doc:"The person's login name."`
	Organization string          `json:"organization_name" doc:"The organization's name."`
	Plan         string          `json:"plan,omitempty" doc:"The plan that the client account gets; left out: as it is created."`
	Account      store.AccountID `json:"account,omitempty" doc:"The client account, once it is known."`
	Operation    int64           `json:"operation,omitempty" doc:"The operation that it became, once it was approved."`
	Reason       string          `json:"reason,omitempty" doc:"Why it ended as it did."`
	CreatedAt    *time.Time      `json:"created_at,omitempty" doc:"When it was ordered."`
	ExpiresAt    *time.Time      `json:"expires_at,omitempty" doc:"Until when it can be approved, while it waits."`
	DecidedBy    string          `json:"decided_by,omitempty" doc:"Who approved or refused it."`
}

func selfOrderOf(o admin.SelfOrder) selfOrder {
	out := selfOrder{ID: o.ID, State: o.State, Meaning: admin.SelfOrderState(o), Person: o.Person, Login: o.Login,
		Organization: o.OrganizationName, Plan: o.Plan, Account: o.Request.Account, Operation: o.SelfOrder.Request,
		Reason: o.Reason, CreatedAt: optional(o.CreatedAt), DecidedBy: o.DecidedBy}
	if o.State == store.SelfOrderWaiting {
		out.ExpiresAt = optional(o.ExpiresAt)
	}
	return out
}

type selfOrderID struct {
	ID int64 `path:"id" min:"1" doc:"The order's number."`
}

type refusalInput struct {
	Reason string `json:"reason,omitempty" maxlen:"300" doc:"Why, for administrators to read."`
}

func selfOrderOperations() []operation {
	const area = "Client accounts"
	return []operation{
		serves(operation{
			id: "listOrders", method: http.MethodGet, path: "/orders", area: area, scope: admin.AccountsRead,
			summary: "List client accounts that people order for themselves", doc: "The newest first.",
		}, func(c *call, in struct {
			paged
		}) (list[selfOrder], error) {
			var before int64
			if err := c.from(in.paged, &before); err != nil {
				return list[selfOrder]{}, err
			}
			rows, err := c.api.o.SelfOrders.List(c.ctx, c.scope(), before, in.size()+1)
			if err != nil {
				return list[selfOrder]{}, err
			}
			return pageOf(c, in.paged, rows, selfOrderOf, func(o admin.SelfOrder) any { return o.ID })
		}),
		serves(operation{
			id: "getOrder", method: http.MethodGet, path: "/orders/{id}", area: area, scope: admin.AccountsRead,
			summary: "Read an order that a person made for themselves",
		}, func(c *call, in selfOrderID) (selfOrder, error) {
			o, err := c.api.o.SelfOrders.Get(c.ctx, c.scope(), in.ID)
			if err != nil {
				return selfOrder{}, err
			}
			return selfOrderOf(o), nil
		}),
		serves(operation{
			id: "approveOrder", method: http.MethodPost, path: "/orders/{id}/approve", area: area, scope: admin.AccountsWrite,
			summary: "Approve an order that a person made for themselves", keyed: true, act: "self-order-approve",
			doc: "Its client account is created then. Whether the person may still order is looked at before the call. An order " +
				"can be approved once: what is asked for again is refused (409).",
		}, func(c *call, in selfOrderID) (selfOrder, error) {
			decide := func() (admin.SelfOrder, error) {
				return c.api.o.SelfOrders.Approve(c.ctx, c.scope(), in.ID, c.caller.Actor())
			}
			o, err := c.decided(in.ID, decide)
			if err != nil {
				return selfOrder{}, err
			}
			c.api.o.Ordered()
			return selfOrderOf(o), nil
		}),
		serves(operation{
			id: "refuseOrder", method: http.MethodPost, path: "/orders/{id}/refuse", area: area, scope: admin.AccountsWrite,
			summary: "Refuse an order that a person made for themselves", doc: "The person can order again.",
			keyed: true, act: "self-order-refuse",
		}, func(c *call, in struct {
			selfOrderID
			Body refusalInput `body:"json"`
		}) (selfOrder, error) {
			o, err := c.decided(in.ID, func() (admin.SelfOrder, error) {
				return c.api.o.SelfOrders.Refuse(c.ctx, c.scope(), in.ID, in.Body.Reason, c.caller.Actor())
			})
			if err != nil {
				return selfOrder{}, err
			}
			return selfOrderOf(o), nil
		}),
	}
}

// decided approves or refuses an order, or reads the one that another process has decided under the same key.
func (c *call) decided(id int64, decide func() (admin.SelfOrder, error)) (admin.SelfOrder, error) {
	if c.made != "" {
		return c.api.o.SelfOrders.Get(c.ctx, c.scope(), id)
	}
	return decide()
}
