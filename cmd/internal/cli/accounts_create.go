package cli

import (
	"encoding/json"
	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type accountsCreateCmd struct {
	asJSON

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
	accounts := p.ClientAccounts()
	order, err := accounts.Prepare(s.ctx, s.scope(), admin.OrderInput{
		Owner: c.Owner, OrganizationName: c.Organization, CountryCode: c.Country, StateCode: c.State,
		LoginName: c.LoginName, ExternalID: c.ExternalID, ContactEmail: c.Email, ContactPhone: c.Phone,
		TimeZoneID: c.TimeZone, Website: c.Website, PartnerAccountID: c.PartnerID, Managed: c.Managed,
	})
	if err != nil {
		return err
	}
	s.printf("%s\n", order.Body)
	if err := s.confirm(c.Yes, false, "Create this client account?"); err != nil {
		return err
	}
	r, err := accounts.Create(s.ctx, s.scope(), order, actor(s.environ))
	if err != nil {
		return err
	}
	return printRequest(s, r)
}

// printRequest tells how a creation stands that was done or accepted.
func printRequest(s *invocation, r store.AccountRequest) error {
	if r.State == store.RequestCreated {
		s.printf("created account %s; its owner can sign in by SSO\n", r.Account)
	} else {
		s.printf("request %d %s; ssobridge accounts retry %d looks for it\n", r.ID, admin.OrderState(r), r.ID)
	}
	return s.object(struct {
		ID      int64           `json:"request"`
		State   string          `json:"state"`
		Account store.AccountID `json:"account,omitempty"`
		Body    json.RawMessage `json:"sent"`
	}{r.ID, r.State, r.Account, r.Body})
}

type accountsRetryCmd struct {
	asJSON

	ID      int64  `arg:"" help:"The number of the request, as accounts list shows it."`
	Account string `placeholder:"ID" help:"The account that it became, where the list does not show it."`
	unlistedFlag
}

// Help is shown by accounts retry --help.
func (accountsRetryCmd) Help() string { return "Example:\n\n    ssobridge accounts retry 3" }

// Run goes on with a request.
func (c *accountsRetryCmd) Run(s *invocation, p *server.App) error {
	r, err := p.ClientAccounts().Resume(s.ctx, s.scope(), c.ID, c.Account, c.Unlisted, actor(s.environ))
	if err != nil {
		return err
	}
	return printRequest(s, r)
}
