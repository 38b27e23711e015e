package cli

import (
	"context"
	"errors"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// Console is the admin console; nil where nobody has a role in it.
func Console(p *server.App) *web.Console {
	if p.Config.ConsoleGroups().Empty() {
		return nil
	}
	return &web.Console{
		Store: p.Store, Budget: p.Budget, Provisioning: p.Provisioning, Provider: p.IdP, Directory: p.Directory,
		PublicURL: p.Config.Console.PublicURL, AllowFrom: p.Config.ConsoleNetworks(),
		EntityID: p.Config.EntityID, Contacts: p.Config.Contacts(),
		Preview: func(ctx context.Context, login, entityID string, account store.AccountID) (idp.AssertionPreview, []string, error) {
			return consolePreview(ctx, p, login, entityID, account)
		},
		Lockouts: p.Lockouts(), SessionIdle: p.Config.Sessions.Idle, Status: p.Status(), Keys: p.Keys(), Expiries: p.Expiries(), Providers: p.Providers(), Mappings: p.Mappings(), Settings: func() []admin.Setting { return settings(p) }, WebhookURL: webhookURL(p), Audit: p.Audit(),
	}
}

// settings is the effective configuration, key by key, with secrets masked.
func settings(p *server.App) []admin.Setting {
	var all []admin.Setting
	for _, s := range p.Config.Settings() {
		all = append(all, admin.Setting(s))
	}
	return all
}

// consolePreview is the preview command's.
func consolePreview(ctx context.Context, p *server.App, login, entityID string, account store.AccountID) (idp.AssertionPreview, []string, error) {
	x, err := PreviewAssertion(ctx, p, login, entityID, account)
	if command, ok := errors.AsType[*commandError](err); ok {
		if _, known := admin.AsError(err); !known {
			err = &admin.Error{Fault: command.Error(), Err: err}
		}
	}
	return x.AssertionPreview, x.Notes, err
}
