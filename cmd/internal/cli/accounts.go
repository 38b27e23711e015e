package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
)

type accountsCmd struct {
	List        accountsListCmd        `cmd:"" help:"List the client accounts."`
	Create      accountsCreateCmd      `cmd:"" help:"Create a client account whose owner signs in by SSO."`
	Retry       accountsRetryCmd       `cmd:"" help:"Go on with a creation whose outcome is open."`
	Plan        accountsPlanCmd        `cmd:"" help:"Read plan and billing status of a client account."`
	SetPlan     accountsSetPlanCmd     `cmd:"" help:"Change the plan of a client account."`
	SetFactor   accountsSetFactorCmd   `cmd:"" help:"Say whether a client account asks for a second factor."`
	Cancel      accountsCancelCmd      `cmd:"" help:"Cancel a client account."`
	Call        accountsCallCmd        `cmd:"" help:"Make a V3 call on behalf of a client account."`
	Unsubscribe accountsUnsubscribeCmd `cmd:"" help:"Unsubscribe contacts of a client account."`
}

type accountsListCmd struct {
	Refresh bool `help:"Read the list from Constant Contact first: one call for each 50 accounts."`
	JSON    bool `name:"json" help:"Print JSON lines."`
}

// Help is shown by accounts list --help.
func (accountsListCmd) Help() string {
	return "The running bridge refreshes the list every six hours.\n\nExamples:\n\n    ssobridge accounts list\n\n    " +
		"ssobridge accounts list --refresh --json"
}

// Run lists client accounts and open creations.
func (c *accountsListCmd) Run(s *invocation, p *server.App) error {
	if c.Refresh {
		if err := p.Provisioning.ReadAccounts(s.ctx); err != nil {
			return failed(err, partnerHint(err))
		}
	}
	list, err := p.Store.Accounts().List(s.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(s.stdout)
		for _, a := range list {
			if err := enc.Encode(toJSONAccount(a)); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACCOUNT\tNAME\tBILLING STATUS\tPLAN\tSEEN")
	for _, a := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.ID, a.Name, cmp.Or(a.BillingStatus, "not known yet"),
			a.PlanType, day(a.SeenAt))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	open, err := p.Store.Accounts().AccountRequests(s.ctx, 100, store.RequestWanted, store.RequestSending,
		store.RequestUnknown, store.RequestAccepted, store.RequestConflict, store.RequestRefused)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		s.printf("\nCreations that did not end in an account:\n")
	}
	for _, r := range open {
		s.printf("  request %d: %s (%s), %s %s\n", r.ID, r.LoginName, r.OrganizationName, r.State, r.ErrorText)
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

type accountsCreateCmd struct {
	Owner        string `required:"" placeholder:"LOGIN" help:"The person who owns the account, by login name in the directory."`
	Organization string `required:"" placeholder:"NAME" help:"Name of the organisation, at most 50 characters."`
	Country      string `required:"" placeholder:"CODE" help:"Country code, such as us."`
	State        string `required:"" placeholder:"CODE" help:"State code, such as MA."`
	LoginName    string `placeholder:"NAME" help:"The owner's login name at Constant Contact, 6 to 50 characters, unique across all of it. Default: made up."`
	ExternalID   string `placeholder:"ID" help:"The owner's external_id. Default: made from person and login name."`
	Email        string `placeholder:"ADDRESS" help:"Contact address. Default: the owner's."`
	Phone        string `placeholder:"NUMBER" help:"Contact phone."`
	TimeZone     string `placeholder:"ID" help:"Time zone, such as US/Eastern."`
	Website      string `placeholder:"URL" help:"The organisation's web site."`
	PartnerID    string `placeholder:"ID" help:"Your own id of the account, at most 80 characters."`
	Managed      bool   `help:"The account is managed by the partner."`
	Yes          bool   `help:"Do not ask."`
}

// Help is shown by accounts create --help.
func (accountsCreateCmd) Help() string {
	return `The owner gets no password: external_id and external_provider tie the account to the person, who signs in by SSO at once. What is about to be created is shown first. The intention is stored before the call: a creation whose answer was lost goes on with accounts retry and is never made twice.

Example:

    ssobridge accounts create --owner alice --organization "Harbour Books" --country us --state MA`
}

// Run creates an account.
func (c *accountsCreateCmd) Run(s *invocation, p *server.App) error {
	r, err := p.Provisioning.OrderAccount(s.ctx, provisioning.AccountOrder{
		Owner: c.Owner, ExternalID: c.ExternalID, LoginName: c.LoginName,
		Fields: partnerapi.NewAccount{
			OrganizationName: c.Organization, CountryCode: c.Country, StateCode: c.State, ContactEmail: c.Email,
			ContactPhone: c.Phone,
			TimeZoneID:   c.TimeZone, Website: c.Website, PartnerAccountID: c.PartnerID, ManagedSiteOwner: c.Managed,
		},
	})
	if err != nil {
		return directoryError(err, "prepare the account", "see ssobridge accounts create --help")
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, r.Body, "", "  "); err != nil {
		return fmt.Errorf("show the order: %w", err)
	}
	s.printf("%s\n", pretty.String())
	if err := s.confirm(c.Yes, false, "Create this client account?"); err != nil {
		return err
	}
	r, err = p.Provisioning.CreateAccount(s.ctx, r, actor(s.environ))
	if errors.Is(err, store.ErrConflict) {
		return badInput(fmt.Errorf("an account with the login name %s was asked for before", r.LoginName),
			"ssobridge accounts list shows it; take another --login-name for another account")
	}
	if err != nil {
		return failed(err, partnerHint(err))
	}
	return printRequest(s, r)
}

// printRequest tells how a creation stands; only a created or accepted one is success.
func printRequest(s *invocation, r store.AccountRequest) error {
	switch r.State {
	case store.RequestCreated:
		s.printf("created account %s; its owner can sign in by SSO\n", r.Account)
		return nil
	case store.RequestAccepted:
		s.printf("request %d: Constant Contact has accepted the account and creates it later; ssobridge accounts retry %d "+
			"looks for it\n", r.ID, r.ID)
		return nil
	case store.RequestConflict, store.RequestRefused:
		return failed(fmt.Errorf("request %d is refused: %s (%s)", r.ID, r.ErrorText, r.ErrorKey),
			"nothing was created; mend it and order anew")
	}
	return failed(fmt.Errorf("request %d: there was no clear answer: %s", r.ID, r.ErrorText),
		fmt.Sprintf("it may have been created; go on with: ssobridge accounts retry %d", r.ID))
}

type accountsRetryCmd struct {
	ID      int64  `arg:"" help:"The number of the request, as accounts list shows it."`
	Account string `placeholder:"ID" help:"The account that it became, where it can't be told from the list."`
	unlistedFlag
}

// Help is shown by accounts retry --help.
func (accountsRetryCmd) Help() string { return "Example:\n\n    ssobridge accounts retry 3" }

// Run goes on with a request.
func (c *accountsRetryCmd) Run(s *invocation, p *server.App) error {
	account, err := resolveAccount(s.ctx, p, c.Account, c.Unlisted)
	if err != nil {
		return err
	}
	r, err := p.Provisioning.RetryAccount(s.ctx, c.ID, account, actor(s.environ))
	if errors.Is(err, store.ErrNotFound) {
		return badInput(fmt.Errorf("there is no request %d", c.ID), "ssobridge accounts list shows those that are open")
	}
	if len(fieldMends(err)) > 0 {
		return err
	}
	if err != nil {
		return failed(err, partnerHint(err))
	}
	return printRequest(s, r)
}

type accountsPlanCmd struct {
	unlistedFlag

	Account string `arg:"" help:"The client account."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Help is shown by accounts plan --help.
func (accountsPlanCmd) Help() string {
	return "It takes one call of the day's budget.\n\nExample:\n\n    ssobridge accounts plan a07e1lxqqqo0"
}

// Run reads the plan.
func (c *accountsPlanCmd) Run(s *invocation, p *server.App) error {
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		plan, err := p.Provisioning.AccountPlan(s.ctx, id, actor(s.environ))
		if err != nil {
			return err
		}
		return printPlan(s, plan, c.JSON)
	})
}

func printPlan(s *invocation, plan partnerapi.Plan, asJSON bool) error {
	if asJSON {
		return s.object(plan)
	}
	s.printf("plan %s, billing status %s", plan.PlanType, plan.BillingStatus)
	if plan.BillingDayOfMonth > 0 {
		s.printf(", billed on day %d of the month", plan.BillingDayOfMonth)
	}
	s.printf("\n")
	for _, t := range plan.Tiers {
		s.printf("%s: %.0f used, tier %d (%.0f to %.0f), %.2f %s\n", t.UsageType, t.CurrentUsage, t.Tier, t.TierMin,
			t.TierMax, t.Price, t.CurrencyCode)
	}
	return nil
}

// withAccount does something to one client account; a wrong id costs no call.
func (s *invocation) withAccount(p *server.App, account string, unlisted bool, do func(store.AccountID) error) error {
	id, err := resolveAccount(s.ctx, p, account, unlisted)
	if err == nil && id == "" {
		err = badInput(errors.New("no client account is given"), "ssobridge accounts list shows them")
	}
	if err != nil {
		return err
	}
	err = do(id)
	if kindOf(err) == partnerapi.NotFound {
		return badInput(fmt.Errorf("Constant Contact knows no client account %s of this partner", id),
			"ssobridge accounts list --refresh shows them")
	}
	if kindOf(err) != "" {
		return failed(err, partnerHint(err))
	}
	return err
}

type accountsSetPlanCmd struct {
	unlistedFlag

	Account    string `arg:"" help:"The client account."`
	Plan       string `arg:"" enum:"BRONZE,SILVER,GOLD" help:"${enum}. There is no way back to TRIAL."`
	BillingDay int    `placeholder:"DAY" help:"Day of the month, 1 to 31; counts only when leaving TRIAL."`
	Yes        bool   `help:"Do not ask."`
}

// Help is shown by accounts set-plan --help.
func (accountsSetPlanCmd) Help() string {
	return "Example:\n\n    ssobridge accounts set-plan a07e1lxqqqo0 SILVER"
}

// Run changes the plan.
func (c *accountsSetPlanCmd) Run(s *invocation, p *server.App) error {
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		if err := s.confirm(c.Yes, false, fmt.Sprintf("Change the plan of account %s to %s?", id, c.Plan)); err != nil {
			return err
		}
		plan, err := p.Provisioning.SetAccountPlan(s.ctx, id, partnerapi.PlanChange{PlanType: c.Plan,
			BillingDayOfMonth: c.BillingDay}, actor(s.environ))
		if err != nil {
			return err
		}
		return printPlan(s, plan, false)
	})
}

type accountsCancelCmd struct {
	unlistedFlag

	Account string `arg:"" help:"The client account."`
	Reason  int    `placeholder:"ID" help:"One of the published reason ids 1, 2, 3, 11, 12, 14, 21, 27, 30."`
	Date    string `placeholder:"TIME" help:"When it takes effect, as 2026-12-31 or RFC 3339. Default: now."`
	Confirm string `placeholder:"ID" help:"The account once more, instead of typing it."`
}

// Help is shown by accounts cancel --help.
func (accountsCancelCmd) Help() string {
	return "Nobody can sign in to a cancelled account. It is confirmed by typing the account's id once " +
		"more.\n\nExample:\n\n    ssobridge accounts cancel a07e1lxqqqo0 --reason 1 --date 2026-12-31"
}

// Run cancels.
func (c *accountsCancelCmd) Run(s *invocation, p *server.App) error {
	o := partnerapi.Cancellation{ReasonID: c.Reason}
	if c.Date != "" {
		var err error
		if o.EffectiveDate, err = parseTime(c.Date); err != nil {
			return badInput(fmt.Errorf("--date %s is not a time", quote(c.Date)), "write 2026-12-31 or 2026-12-31T18:00:00Z")
		}
	}
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		typed := c.Confirm
		if typed == "" {
			typed = s.ask(fmt.Sprintf("Cancel account %s? Type its id to confirm: ", id))
		}
		if typed != string(id) {
			return badInput(errors.New("not confirmed, nothing was done"), "type the account's id, or give it by --confirm")
		}
		done, err := p.Provisioning.CancelAccount(s.ctx, id, o, actor(s.environ))
		if err != nil {
			return err
		}
		when := "now"
		if !done.EffectiveDate.IsZero() {
			when = done.EffectiveDate.Format(time.RFC3339)
		}
		s.printf("account %s is cancelled, effective %s\n", id, when)
		return nil
	})
}

// parseTime reads a day (00:00 UTC) or a time.
func parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, text)
}

type accountsCallCmd struct {
	unlistedFlag

	Account string   `arg:"" help:"The client account."`
	Method  string   `arg:"" enum:"GET,POST,PUT,PATCH,DELETE" help:"${enum}."`
	Path    string   `arg:"" help:"Path of the V3 API, such as /contacts."`
	Query   []string `placeholder:"KEY=VALUE" help:"A query parameter; can be given several times."`
	Body    string   `placeholder:"FILE" help:"A file with the JSON body; - for standard input."`
	Yes     bool     `help:"Do not ask before a call that writes."`
}

// Help is shown by accounts call --help.
func (accountsCallCmd) Help() string {
	return `Off unless constant_contact.operations lists method and path. Each call takes one of the day's budget and leaves an audit event with method, path and a hash of the body.

Example:

    ssobridge accounts call a07e1lxqqqo0 GET /contacts --query limit=10`
}

const maxCallBody = 256 << 10

// Run makes the call.
func (c *accountsCallCmd) Run(s *invocation, p *server.App) error {
	o := partnerapi.Operation{Method: c.Method, URL: c.Path}
	for _, q := range c.Query {
		key, value, ok := strings.Cut(q, "=")
		if !ok || key == "" {
			return badInput(fmt.Errorf("--query %s: want KEY=VALUE", quote(q)), "write for example limit=10")
		}
		o.Query = append(o.Query, partnerapi.Param{Key: key, Value: value})
	}
	if c.Body != "" {
		body, err := s.readInput(c.Body, maxCallBody)
		if err != nil {
			return err
		}
		o.Payload = string(body)
	}
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		if len(p.Config.ConstantContact.Operations) == 0 {
			return badInput(errors.New("calls on behalf of client accounts are switched off"),
				"list method and path in constant_contact.operations")
		}
		if c.Method != "GET" {
			if err := s.confirm(c.Yes, c.Body == "-", fmt.Sprintf("%s %s in account %s: this writes. Send it?", c.Method, c.Path,
				id)); err != nil {
				return err
			}
		}
		answer, err := p.Provisioning.CallAccount(s.ctx, id, o, actor(s.environ))
		if errors.Is(err, provisioning.ErrNotAllowed) {
			return badInput(err, "list method and path in constant_contact.operations")
		}
		if err != nil {
			return err
		}
		s.printf("%s\n", bytes.TrimSpace(answer))
		return nil
	})
}

type accountsUnsubscribeCmd struct {
	unlistedFlag

	Account string   `arg:"" help:"The client account."`
	Address []string `arg:"" optional:"" help:"Addresses, at most 500."`
	File    string   `placeholder:"FILE" help:"A file with one address a line; - for standard input."`
	Source  string   `enum:"Account,Contact,System" default:"Account" help:"Who asked for it: ${enum}."`
	Reason  string   `placeholder:"TEXT" help:"At most 255 characters."`
	Yes     bool     `help:"Do not ask."`
}

// Help is shown by accounts unsubscribe --help.
func (accountsUnsubscribeCmd) Help() string {
	return "Example:\n\n    ssobridge accounts unsubscribe a07e1lxqqqo0 someone@example.com"
}

// Run unsubscribes.
func (c *accountsUnsubscribeCmd) Run(s *invocation, p *server.App) error {
	addresses := c.Address
	if c.File != "" {
		data, err := s.readInput(c.File, maxCallBody)
		if err != nil {
			return err
		}
		addresses = append(addresses, strings.Fields(string(data))...)
	}
	u := partnerapi.Unsubscription{EmailAddresses: addresses, UpdateSource: c.Source, OptOutReason: c.Reason}
	if err := u.Validate(); err != nil {
		return badInput(err, "give 1 to 500 addresses")
	}
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		if err := s.confirm(c.Yes, c.File == "-", fmt.Sprintf("Unsubscribe %d addresses in account %s?", len(addresses),
			id)); err != nil {
			return err
		}
		n, err := p.Provisioning.Unsubscribe(s.ctx, id, u, actor(s.environ))
		if err != nil {
			return err
		}
		s.printf("unsubscribed %d\n", n)
		return nil
	})
}
