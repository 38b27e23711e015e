package api

import (
	"ssobridge/store"
	"ssobridge/web/admin"
)

type accountUse struct {
	Account  store.AccountID `json:"account" doc:"The client account."`
	Name     string          `json:"name" doc:"The organization's name."`
	Entitled int             `json:"entitled" doc:"People whom the mappings have given it, as far as the bridge knows them, without those who have left."`
	Created  int             `json:"created" doc:"Of these, those whose user is there at Constant Contact."`
	SignedIn int             `json:"signed_in" doc:"Of these, those who signed in to it within 30 days, to a day."`
	Roles    []roleUse       `json:"roles" doc:"The same by role."`
}

type roleUse struct {
	Role     store.Role `json:"role" doc:"The role; more can be added."`
	Entitled int        `json:"entitled" doc:"As above."`
	Created  int        `json:"created" doc:"As above."`
	SignedIn int        `json:"signed_in" doc:"As above."`
}

func useOf(u admin.AccountUse) accountUse {
	out := accountUse{Account: u.Account, Name: u.Name, Entitled: u.Total.Entitled, Created: u.Total.Created,
		SignedIn: u.Total.SignedIn, Roles: []roleUse{}}
	for _, r := range u.Roles {
		out.Roles = append(out.Roles, roleUse{r.Role, r.Entitled, r.Created, r.SignedIn})
	}
	return out
}

func listAdoption(c *call, in accountFilter) (list[accountUse], error) {
	f := admin.ClientAccountFilter{Find: in.Find, Limit: in.size() + 1}
	if err := c.from(in.paged, &f.After); err != nil {
		return list[accountUse]{}, err
	}
	rows, err := c.api.o.Accounts.Use(c.ctx, c.scope(), f)
	if err != nil {
		return list[accountUse]{}, err
	}
	return pageOf(c, in.paged, rows, useOf, func(u admin.AccountUse) any { return u.Account })
}
