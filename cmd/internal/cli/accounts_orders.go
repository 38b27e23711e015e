package cli

import (
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type accountsOrdersCmd struct {
	List    ordersListCmd    `cmd:"" default:"withargs" help:"List the orders that people made for themselves."`
	Approve ordersApproveCmd `cmd:"" help:"Approve an order: its client account is created then."`
	Refuse  ordersRefuseCmd  `cmd:"" help:"Refuse an order that waits for approval."`
}

type ordersListCmd struct {
	asJSON

	Waiting bool  `help:"Only those that wait for approval, those first that expire first."`
	Before  int64 `placeholder:"N" help:"Only those with lower numbers."`
	Limit   int   `default:"50" placeholder:"N" help:"At most so many, 100 at most."`
}

// Help is shown by accounts orders list --help.
func (ordersListCmd) Help() string {
	return "People order client accounts at /order, if self_service of the configuration lets them.\n\nExamples:\n\n" +
		"    ssobridge accounts orders list --waiting\n\n    ssobridge accounts orders list --json"
}

// jsonOrder is an order as JSON.
type jsonOrder struct {
	ID           int64           `json:"order"`
	State        string          `json:"state"`
	Meaning      string          `json:"meaning"`
	Person       store.PersonID  `json:"person"`
	Login        string          `json:"login"`
	Organization string          `json:"organization"`
	Plan         string          `json:"plan,omitempty"`
	Account      store.AccountID `json:"account,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	CreatedAt    time.Time       `json:"created_at"`
	ExpiresAt    *time.Time      `json:"expires_at,omitempty"` // while it waits
	DecidedBy    string          `json:"decided_by,omitempty"`
}

func toJSONOrder(o admin.SelfOrder) jsonOrder {
	j := jsonOrder{ID: o.ID, State: o.State, Meaning: admin.SelfOrderState(o), Person: o.Person, Login: o.Login,
		Organization: o.OrganizationName, Plan: o.Plan, Account: o.Request.Account, Reason: o.Reason, CreatedAt: o.CreatedAt,
		DecidedBy: o.DecidedBy}
	if o.State == store.SelfOrderWaiting {
		j.ExpiresAt = &o.ExpiresAt
	}
	return j
}

// Run lists orders.
func (c *ordersListCmd) Run(s *invocation, p *server.App) error {
	list, err := p.SelfOrders().Waiting(s.ctx, s.scope())
	if !c.Waiting {
		list, err = p.SelfOrders().List(s.ctx, s.scope(), c.Before, min(max(c.Limit, 1), 100))
	}
	if err != nil {
		return err
	}
	t := s.table(c.asJSON, "ORDER", "LOGIN", "ORGANIZATION", "ORDERED", "STATE")
	for _, o := range list {
		state := admin.SelfOrderState(o)
		if o.State == store.SelfOrderWaiting {
			state += " until " + when(o.ExpiresAt)
		}
		t.row(toJSONOrder(o), o.ID, o.Login, o.OrganizationName, when(o.CreatedAt), state)
	}
	return t.end()
}

type ordersApproveCmd struct {
	asJSON

	ID int64 `arg:"" help:"The number of the order."`
}

// Help is shown by accounts orders approve --help.
func (ordersApproveCmd) Help() string {
	return "The running bridge makes the call. It looks before whether the person may still order.\n\nExample:\n\n" +
		"    ssobridge accounts orders approve 3"
}

// Run approves an order.
func (c *ordersApproveCmd) Run(s *invocation, p *server.App) error {
	o, err := p.SelfOrders().Approve(s.ctx, s.scope(), c.ID, actor(s.environ))
	if err != nil {
		return err
	}
	s.printf("order %d is approved: the client account %q is created for %s\n", o.ID, o.OrganizationName, o.Login)
	return s.object(toJSONOrder(o))
}

type ordersRefuseCmd struct {
	asJSON

	ID     int64  `arg:"" help:"The number of the order."`
	Reason string `placeholder:"TEXT" help:"Why, for administrators to read later."`
}

// Help is shown by accounts orders refuse --help.
func (ordersRefuseCmd) Help() string {
	return "The person sees that the order was refused, and can order again.\n\nExample:\n\n" +
		"    ssobridge accounts orders refuse 3 --reason \"no contract\""
}

// Run refuses an order.
func (c *ordersRefuseCmd) Run(s *invocation, p *server.App) error {
	o, err := p.SelfOrders().Refuse(s.ctx, s.scope(), c.ID, c.Reason, actor(s.environ))
	if err != nil {
		return err
	}
	s.printf("order %d is refused\n", o.ID)
	return s.object(toJSONOrder(o))
}
