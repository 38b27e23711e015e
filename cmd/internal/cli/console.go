package cli

import (
	"ssobridge/cmd/internal/server"
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
		People:   p.People(),
		Lockouts: p.Lockouts(), SessionIdle: p.Config.Sessions.Idle, Status: p.Status(), Keys: p.Keys(),
		Expiries: p.Expiries(), Providers: p.Providers(), Mappings: p.Mappings(),
		Settings: func() []admin.Setting { return settings(p) }, WebhookURL: webhookURL(p), Audit: p.Audit(),
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
