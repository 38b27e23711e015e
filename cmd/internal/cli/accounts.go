package cli

import (
	"cmp"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type accountsCmd struct {
	List        accountsListCmd        `cmd:"" help:"List the client accounts."`
	Show        accountsShowCmd        `cmd:"" help:"Show what is known of a client account. Makes no call."`
	Adoption    accountsAdoptionCmd    `cmd:"" help:"Show how many people use each client account."`
	Create      accountsCreateCmd      `cmd:"" help:"Create a client account whose owner signs in by SSO."`
	Retry       accountsRetryCmd       `cmd:"" help:"Go on with a creation whose outcome is open."`
	Orders      accountsOrdersCmd      `cmd:"" help:"Approve client accounts that people order for themselves."`
	Plan        accountsPlanCmd        `cmd:"" help:"Read plan and billing status of a client account."`
	SetPlan     accountsSetPlanCmd     `cmd:"" help:"Change the plan of a client account."`
	SetFactor   accountsSetFactorCmd   `cmd:"" help:"Say whether a client account asks for a second factor."`
	Cancel      accountsCancelCmd      `cmd:"" help:"Cancel a client account."`
	Call        accountsCallCmd        `cmd:"" help:"Make a V3 call on behalf of a client account."`
	Unsubscribe accountsUnsubscribeCmd `cmd:"" help:"Unsubscribe contacts of a client account."`
}

type accountsListCmd struct {
	asJSON

	Find    string `placeholder:"TEXT" help:"Only those with this text in their name or id."`
	Refresh bool   `help:"Read the list from Constant Contact first: one call for each 50 accounts."`
}

// Help is shown by accounts list --help.
func (accountsListCmd) Help() string {
	return "The running bridge refreshes the list every six hours.\n\nExamples:\n\n    ssobridge accounts list\n\n    " +
		"ssobridge accounts list --refresh --json"
}

// Run lists client accounts and open creations.
func (c *accountsListCmd) Run(s *invocation, p *server.App) error {
	accounts := p.ClientAccounts()
	if c.Refresh {
		if err := accounts.Refresh(s.ctx, s.scope()); err != nil {
			return err
		}
	}
	list, _, err := accounts.List(s.ctx, s.scope(), admin.ClientAccountFilter{Find: c.Find})
	if err != nil {
		return err
	}
	t := s.table(c.asJSON, "ACCOUNT", "NAME", "BILLING STATUS", "PLAN", "SEEN")
	for _, a := range list {
		t.row(toJSONAccount(a), a.ID, a.Name, cmp.Or(a.BillingStatus, "not known yet"), a.PlanType, day(a.SeenAt))
	}
	if err := t.end(); err != nil || c.JSON {
		return err
	}
	open, err := accounts.Orders(s.ctx, s.scope())
	if err != nil {
		return err
	}
	if len(open) > 0 {
		s.printf("\nCreations that did not end in an account:\n")
	}
	for _, r := range open {
		s.printf("  request %d: %s (%s) %s", r.ID, r.LoginName, r.OrganizationName, admin.OrderState(r))
		if r.ErrorText != "" {
			s.printf("; %s", r.ErrorText)
		}
		s.printf("\n")
	}
	return nil
}

type jsonAccount struct {
	ID            store.AccountID `json:"account"`
	Name          string          `json:"name"`
	BillingStatus string          `json:"billing_status"`
	PlanType      string          `json:"plan_type,omitempty"`
	SeenAt        time.Time       `json:"seen_at"`
}

func toJSONAccount(a store.Account) jsonAccount {
	return jsonAccount{a.ID, a.Name, a.BillingStatus, a.PlanType, a.SeenAt}
}

type accountsShowCmd struct {
	asJSON
	unlistedFlag

	Account string `arg:"" help:"The client account."`
}

// Help is shown by accounts show --help.
func (accountsShowCmd) Help() string {
	return "Its people: ssobridge users list --account ID\n\nExample:\n\n    ssobridge accounts show a07e1lxqqqo0"
}

// jsonOneAccount is one client account as JSON.
type jsonOneAccount struct {
	jsonAccount

	CheckedAt *time.Time `json:"checked_at,omitempty"`
	Factor    string     `json:"second_factor"`
	OwnFactor bool       `json:"own_policy"` // false: as the configuration says
	Launch    string     `json:"launch_url"`
}

// Run shows one client account.
func (c *accountsShowCmd) Run(s *invocation, p *server.App) error {
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		a, err := p.ClientAccounts().Get(s.ctx, s.scope(), id)
		if err != nil {
			return err
		}
		if c.JSON {
			j := jsonOneAccount{toJSONAccount(a.Account), nil, string(a.Factor), a.OwnFactor, a.Launch}
			if !a.CheckedAt.IsZero() {
				j.CheckedAt = &a.CheckedAt
			}
			return s.object(j)
		}
		factor := string(a.Factor)
		if !a.OwnFactor {
			factor += " (from the configuration)"
		}
		s.printf("account:         %s\nname:            %s\nbilling status:  %s\nplan:            %s\nsecond factor:   %s\n"+
			"last seen:       %s\nlast read:       %s\nlaunch link:     %s\n", a.ID, a.Name,
			cmp.Or(a.BillingStatus, "not known yet"), cmp.Or(a.PlanType, "not known yet"), factor, when(a.SeenAt),
			when(a.CheckedAt), a.Launch)
		return nil
	})
}

// withAccount does something to one client account; a wrong id costs no call.
func (s *invocation) withAccount(p *server.App, account string, unlisted bool, do func(store.AccountID) error) error {
	id, err := p.ClientAccounts().Find(s.ctx, s.scope(), account, unlisted)
	if err != nil {
		return err
	}
	return do(id)
}
