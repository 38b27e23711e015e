package cli

import (
	"errors"
	"fmt"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// prove takes the second factor of an administrator, and returns whose it is. why says what needs one.
func (s *invocation) prove(p *server.App, login, code, why string) (store.PersonID, error) {
	if login == "" {
		return "", badInput(errors.New(why),
			"give --login LOGIN of a member of console.admin_group, and their code")
	}
	e, err := p.People().Find(s.ctx, login)
	if err != nil {
		return "", err
	}
	if code == "" {
		code = s.ask(fmt.Sprintf("Code of %s: ", plaintext.Quote(login)))
	}
	if code == "" {
		return "", badInput(errors.New("no code was given"), "give --code CODE, or run it at a terminal, which asks for it")
	}
	err = p.IdP.ProveByCommand(s.ctx, e, code, s.event("", ""))
	for _, refused := range []error{idp.ErrNoAdmin, idp.ErrNoCodeFactor, idp.ErrWrongCode, idp.ErrManyCodes} {
		if errors.Is(err, refused) {
			return "", failed(fmt.Errorf("second factor of %s: %w", plaintext.Quote(login), refused),
				"nothing was done; ssobridge admin factors LOGIN lists what the person has")
		}
	}
	return store.PersonID(e.ID), err
}
