package server

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/cmd/internal/config"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/web"
	"ssobridge/web/admin"
	"ssobridge/web/api"
	"ssobridge/web/console"
)

// Keys is what can be done with our keys.
func (p *App) Keys() admin.Keys {
	return admin.Keys{
		Store: p.Store, Sealer: p.Sealer, Token: p.Token, Engine: p.Engine, PublicURL: p.Config.PublicURL,
		SwitchBefore: p.Config.Keys.SwitchBefore, SwitchAfter: p.Config.Keys.SwitchAfter, Now: p.Now,
	}
}

// Expiries is what ends, and when.
func (p *App) Expiries() admin.Expiries {
	return admin.Expiries{Keys: p.Keys(), Files: func() ([]certs.Expiry, error) { return FileExpiries(p.Config) }}
}

// Providers is what can be done with service providers.
func (p *App) Providers() admin.Providers {
	return admin.Providers{
		Store: p.Store, IdP: p.IdP, Directory: p.Directory, Sources: p.Directory.Sources(), Fetcher: p.Fetcher,
		Refresher:         p.Refresher,
		AllowLoopbackHTTP: p.Config.Metadata.AllowLoopbackHTTP, MaxMetadata: int64(p.Config.Metadata.MaxMiB) << 20,
		Now: p.Now,
	}
}

// Lockouts is what can be done with people and addresses that are locked out.
func (p *App) Lockouts() admin.Lockouts {
	return admin.Lockouts{Store: p.Store, IdP: p.IdP, Directory: p.Everybody}
}

// Sessions is what can be done with people's sessions.
func (p *App) Sessions() admin.Sessions {
	return admin.Sessions{Store: p.Store, Directory: p.Everybody, Idle: p.Config.Sessions.Idle}
}

// Sources is what can be done with the sources of people beside the directory.
func (p *App) Sources() admin.Sources {
	return admin.Sources{Store: p.Store, IdP: p.IdP, Keys: p.SourceKeys}
}

// Handover makes the sheet for the support engineer of a service provider.
func (p *App) Handover() admin.Handover {
	return admin.Handover{
		Keys: p.Keys(), Providers: p.Providers(), EntityID: p.Config.EntityID, PublicURL: p.Config.PublicURL,
		Contacts: p.Config.Contacts(), Now: p.Now,
	}
}

// Audit is what can be done with the audit log.
func (p *App) Audit() admin.Audit {
	return admin.Audit{Store: p.Store, Sealer: p.Sealer, Directory: p.Everybody, Now: p.Now}
}

// Factors is what can be done with people's second factors.
func (p *App) Factors() admin.Factors {
	return admin.Factors{IdP: p.IdP, URL: p.Config.ConsoleURL() + "/admin/"}
}

// APITokens is what can be done with tokens of the REST API.
func (p *App) APITokens() admin.Tokens {
	return admin.Tokens{Store: p.Store, Provisioning: p.Provisioning, Now: p.Now}
}

// Secrets is what can be done with the secret keys.
func (p *App) Secrets() admin.Secrets {
	return admin.Secrets{Store: p.Store, Sealer: p.Sealer, IdP: p.IdP, Audit: p.Audit(),
		Lacking: NewReplica(p).Lacking, Chain: p.chainAll, Journal: p.pruneJournal}
}

// Clock is what can be done where the clock is in doubt.
func (p *App) Clock() admin.Clock {
	return admin.Clock{Store: p.Store, Now: p.Now, Look: func(ctx context.Context) (*admin.ClockDoubt, error) {
		err := p.BelieveClock(ctx)
		fault, ok := errors.AsType[*ClockFault](err)
		if !ok {
			return nil, err
		}
		return &admin.ClockDoubt{What: fault.What, Hint: fault.Fix, Jumped: fault.Jumped}, nil
	}}
}

// Captures is what can be done with the capture of people's assertions.
func (p *App) Captures() admin.Captures { return admin.Captures{Store: p.Store, IdP: p.IdP} }

// SignInTraces is what sign-ins did.
func (p *App) SignInTraces() admin.Traces {
	return admin.Traces{Store: p.Store, References: &p.References}
}

// OurMetadata is the SAML metadata of this identity provider.
func (p *App) OurMetadata() admin.OurMetadata { return admin.OurMetadata{IdP: p.IdP} }

// NamedGroups is what can be done with the groups that give access to the console and to service providers.
func (p *App) NamedGroups() admin.NamedGroups {
	return admin.NamedGroups{IdP: p.IdP, Directory: p.Directory}
}

// Status is how the bridge stands: the list that readiness, overview and check go through.
func (p *App) Status() admin.Status {
	name, _, _ := strings.Cut(p.Config.DSN(), ":")
	groups := p.Config.ConsoleGroups()
	var console []admin.ConsoleGroup
	for _, g := range []admin.ConsoleGroup{{Key: "viewer_group", DN: groups.Viewer},
		{Key: "operator_group", DN: groups.Operator}, {Key: "admin_group", DN: groups.Admin}} {
		if g.DN != "" {
			console = append(console, g)
		}
	}
	return admin.Status{
		Store: p.Store, StoreName: name, SignIns: p.IdP.Ready, Keys: p.Keys(), Providers: p.Providers(),
		Directory: p.Directory, Tokens: p.Tokens, Budget: p.Budget, Expiries: p.Expiries(), Machine: p.replicaChecks(),
		ConsoleGroups: console, Now: p.Now,
		TokenURL: p.Config.ConstantContact.TokenURL, APIURL: p.Config.ConstantContact.BaseURL,
		BackupMaxAge: p.Config.Backup.MaxAge,
	}
}

// Mappings is what can be done with mappings.
func (p *App) Mappings() admin.Mappings {
	return admin.Mappings{Rules: p.Provisioning, Directory: p.Directory, Reads: p.Config.ReadsAttribute,
		Sources: slices.Sorted(maps.Keys(p.Config.Sources))}
}

// People is what is known of people.
func (p *App) People() admin.People {
	return admin.People{Store: p.Store, Provisioning: p.Provisioning, Directory: p.Everybody, IdP: p.IdP}
}

// Plans is what can be done with plans of creations.
func (p *App) Plans() admin.Plans {
	return admin.Plans{Store: p.Store, Provisioning: p.Provisioning, Budget: p.Budget}
}

// Attention is what waits for an administrator.
func (p *App) Attention() admin.Attention {
	return admin.Attention{Plans: p.Plans(), Users: p.Users(), Accounts: p.ClientAccounts(), Status: p.Status()}
}

// Users is what can be done with people's users at Constant Contact.
func (p *App) Users() admin.Users {
	return admin.Users{Store: p.Store, Provisioning: p.Provisioning, Directory: p.Everybody}
}

// Moves takes people of the directory to a source of people.
func (p *App) Moves() admin.Moves {
	return admin.Moves{Store: p.Store, Directory: p.Everybody, IdP: p.IdP}
}

// ClientAccounts is what can be done with client accounts.
func (p *App) ClientAccounts() admin.ClientAccounts {
	return admin.ClientAccounts{Store: p.Store, Provisioning: p.Provisioning, IdP: p.IdP, PublicURL: p.Config.PublicURL}
}

// SelfOrders is what can be done with client accounts that people order for themselves.
func (p *App) SelfOrders() admin.SelfOrders {
	return admin.SelfOrders{Store: p.Store, Provisioning: p.Provisioning, Accounts: p.ClientAccounts(), Now: p.Now}
}

// wakingOrders sends what people order at once.
type wakingOrders struct {
	*provisioning.Service
	wake func()
}

func (o wakingOrders) PlaceSelfOrder(ctx context.Context, p directory.Entry, in provisioning.SelfOrderInput,
	epoch int64, ref, address string) (provisioning.SelfOrderState, error) {
	st, err := o.Service.PlaceSelfOrder(ctx, p, in, epoch, ref, address)
	if err == nil {
		o.wake()
	}
	return st, err
}

// Webhooks is what can be done with Constant Contact's notices.
func (p *App) Webhooks() admin.Webhooks {
	return admin.Webhooks{Provisioning: p.Provisioning, URL: p.WebhookURL(),
		Shown: p.Config.PublicURL + WebhookPath + "***"}
}

// WebhookPath is the path of Constant Contact's webhooks, but for the secret at its end.
const WebhookPath = "/webhooks/constant-contact/"

// WebhookURL is where this bridge takes webhooks, with the secret that they prove themselves by; "": it takes none.
func (p *App) WebhookURL() string {
	secret := string(p.Config.ConstantContact.Webhook.Secret)
	if secret == "" {
		return ""
	}
	return p.Config.PublicURL + WebhookPath + secret
}

// HowTo is how an act is done: by command, and on which page of the console. It is "" for none.
func (p *App) HowTo(act admin.Act, about string) string {
	var ways []string
	if p.Commands != nil {
		if command := p.Commands(act, about); command != "" {
			ways = append(ways, "command: "+command)
		}
	}
	if path := console.ActPath(act, about); path != "" && !p.Config.ConsoleGroups().Empty() {
		ways = append(ways, "console: "+path)
	}
	if len(ways) == 0 {
		return ""
	}
	return "(" + strings.Join(ways, "; ") + ")"
}

// Settings is the effective configuration, key by key, with secrets masked.
func Settings(cfg *config.Config) []admin.Setting {
	var all []admin.Setting
	manual := config.Manual()
	for _, s := range cfg.Settings() {
		all = append(all, admin.Setting{Key: s.Key, Value: s.Value, Source: s.Source, Meaning: manual[s.Key]})
	}
	return all
}

// api serves the REST API; nil where it is switched off.
func (p *App) api() (http.Handler, error) {
	if !p.Config.API.Enabled {
		return nil, nil //nolint:nilnil // without is how it works by default
	}
	return api.New(api.Options{
		Tokens: p.APITokens(), TokenURL: p.Config.PublicURL + api.Path + api.TokenPath, Status: p.Status(),
		Plans: p.Plans(), Accounts: p.ClientAccounts(),
		SelfOrders: p.SelfOrders(), Mappings: p.Mappings(),
		People: p.People(), Users: p.Users(), Sessions: p.Sessions(), Lockouts: p.Lockouts(), Providers: p.Providers(),
		Keys: p.Keys(), Factors: p.Factors(), Notices: p.Notices(), Traces: p.SignInTraces(), Audit: p.Audit(),
		Answers: p.Store.APIAnswers(), Sealer: p.Sealer, Ordered: p.orderStored, Now: p.Now, Logger: p.log,
	})
}

// ordersEvery is how often orders of client accounts that programs and people have stored are looked for.
const ordersEvery = 2 * time.Second

// sendOrders makes the calls of these orders until ctx ends. It goes on where the API is switched off by now: what was
// ordered is wanted.
func (p *App) sendOrders(ctx context.Context) error {
	tick := time.NewTicker(ordersEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-p.ordered:
		}
		if _, err := p.ClientAccounts().SendOrders(ctx, p.Now()); err != nil && ctx.Err() == nil {
			p.log.Warn("orders of client accounts by programs did not come to their end; tried again by themselves",
				"error", err)
		}
		if err := p.SelfOrders().Send(ctx, p.Now()); err != nil && ctx.Err() == nil {
			p.log.Warn("orders of client accounts by people did not come to their end; tried again by themselves",
				"error", err)
		}
	}
}

// orderStored wakes sendOrders of this replica.
func (p *App) orderStored() {
	select {
	case p.ordered <- struct{}{}:
	default: // it is awake already
	}
}

// console is the admin console; nil where nobody has a role in it.
func (p *App) console() *web.Console {
	if p.Config.ConsoleGroups().Empty() {
		return nil
	}
	pages := console.New(console.Options{
		Store: p.Store, People: p.People(), Users: p.Users(), Plans: p.Plans(), Sessions: p.Sessions(),
		Status: p.Status(), Keys: p.Keys(),
		Lockouts: p.Lockouts(), Expiries: p.Expiries(), Providers: p.Providers(), Mappings: p.Mappings(), Audit: p.Audit(),
		Handover: p.Handover(), ClientAccounts: p.ClientAccounts(),
		SelfOrders: p.SelfOrders(), Webhooks: p.Webhooks(), Attention: p.Attention(),
		Factors: p.Factors(), OurMetadata: p.OurMetadata(), NamedGroups: p.NamedGroups(), Captures: p.Captures(),
		Traces: p.SignInTraces(), SetUp: admin.SetUp{Store: p.Store},
		Tokens: p.APITokens(), Notices: p.Notices(), Sources: p.Sources(), APIServed: p.Config.API.Enabled,
		Settings: Settings(&p.Config), Components: p.Components,
	})
	return &web.Console{
		Pages: pages, Audit: p.Store.Audit(), Forms: p.Store.Forms(),
		PublicURL: p.Config.Console.PublicURL, AllowFrom: p.Config.ConsoleNetworks(),
	}
}
