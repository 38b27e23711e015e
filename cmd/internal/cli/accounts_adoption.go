package cli

import (
	"errors"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type accountsAdoptionCmd struct {
	asJSON

	Find string `placeholder:"TEXT" help:"Only client accounts with this text in their name or id."`
	CSV  bool   `name:"csv" help:"Print CSV, with one line for each client account and role."`
}

// Help is shown by accounts adoption --help.
func (accountsAdoptionCmd) Help() string {
	return `ENTITLED: people whom the mappings have given the client account, as far as the bridge knows them, without those who have left. CREATED: of these, those whose user is there at Constant Contact. SIGNED IN: of these, those who signed in to it within 30 days.

Examples:

    ssobridge accounts adoption --find books

    ssobridge accounts adoption --csv > adoption.csv`
}

// jsonAccountUse is how many people use a client account as JSON.
type jsonAccountUse struct {
	Account  store.AccountID `json:"account"`
	Name     string          `json:"name"`
	Entitled int             `json:"entitled"`
	Created  int             `json:"created"`
	SignedIn int             `json:"signed_in"`
	Roles    []jsonRoleUse   `json:"roles"`
}

type jsonRoleUse struct {
	Role     store.Role `json:"role"`
	Entitled int        `json:"entitled"`
	Created  int        `json:"created"`
	SignedIn int        `json:"signed_in"`
}

// Run shows it.
func (c *accountsAdoptionCmd) Run(s *invocation, p *server.App) error {
	accounts, f := p.ClientAccounts(), admin.ClientAccountFilter{Find: c.Find}
	if c.CSV {
		if c.JSON {
			return badInput(errors.New("--csv and --json are two forms of the same"), "give one of them")
		}
		return accounts.UseCSV(s.ctx, s.scope(), f, s.stdout)
	}
	t := s.table(c.asJSON, "ACCOUNT", "NAME", "ROLE", "ENTITLED", "CREATED", "SIGNED IN")
	if err := accounts.EachUse(s.ctx, s.scope(), f, func(u admin.AccountUse) error {
		j := jsonAccountUse{u.Account, u.Name, u.Total.Entitled, u.Total.Created, u.Total.SignedIn, []jsonRoleUse{}}
		for _, r := range u.Roles {
			j.Roles = append(j.Roles, jsonRoleUse{r.Role, r.Entitled, r.Created, r.SignedIn})
		}
		if c.JSON || len(u.Roles) == 0 {
			t.row(j, u.Account, plainText(u.Name), "-", 0, 0, 0)
			return nil
		}
		for _, r := range u.Roles {
			t.row(nil, u.Account, plainText(u.Name), r.Role, r.Entitled, r.Created, r.SignedIn)
		}
		return nil
	}); err != nil {
		return err
	}
	return t.end()
}
