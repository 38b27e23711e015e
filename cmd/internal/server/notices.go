package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"ssobridge/cmd/internal/config"
	"ssobridge/idp/fetch"
	"ssobridge/partnerapi"
	"ssobridge/store"
	"ssobridge/web/admin"
	"ssobridge/web/notices"
)

// errNoDocument is never returned: notices are posted, and nothing is fetched by their client.
var errNoDocument = errors.New("nothing is fetched for notices")

// Notices is what can be done with subscriptions to notices.
func (p *App) Notices() admin.Notices {
	n := admin.Notices{Store: p.Store, Sealer: p.Sealer, Now: p.Now, Mails: p.Config.Notices.SMTP.Host != ""}
	n.Check = func(address string) error {
		client, err := p.noticeClient()
		if err != nil {
			return err
		}
		return client.CheckSecret(address)
	}
	n.Try = func(ctx context.Context, s store.Subscription) (string, error) {
		engine, err := p.noticeEngine("test")
		if err != nil {
			return "", err
		}
		return engine.Try(ctx, s)
	}
	return n
}

// noticeRoots are the authorities of receivers; nil: those that the system trusts.
func (p *App) noticeRoots() (*x509.CertPool, error) {
	file := p.Config.Notices.CAFile
	if file == "" {
		return nil, nil //nolint:nilnil // no pool is a pool: the system's
	}
	pem, err := config.ReadFile(file, maxAuthorityFile)
	if err != nil {
		return nil, fmt.Errorf("read notices.ca_file: %w", err)
	}
	roots, err := partnerapi.Authorities(pem)
	if err != nil {
		return nil, fmt.Errorf("read notices.ca_file %s: %w", file, err)
	}
	return roots, nil
}

func (p *App) noticeClient() (*fetch.Client, error) {
	roots, err := p.noticeRoots()
	if err != nil {
		return nil, err
	}
	return fetch.New(fetch.Options{What: "a notice", MaxBytes: 1, TooLarge: errNoDocument,
		Internal: p.Config.NoticeReceivers(), Setting: "notices.internal_receivers", Roots: roots}), nil
}

// noticeEngine delivers notices for this replica.
func (p *App) noticeEngine(holder string) (*notices.Engine, error) {
	client, err := p.noticeClient()
	if err != nil {
		return nil, err
	}
	c := p.Config.Notices
	o := notices.Options{
		Notices: p.Store.Notices(), People: p.Store.People(), Accounts: p.Store.Accounts(),
		Open: admin.Notices{Sealer: p.Sealer}.Open, Post: client.Post, MailOf: p.mailOf, Bridge: p.Config.Branding.Name,
		Holder: holder, Now: p.Now, Logger: p.log,
		Watch: notices.Watch{
			Health: func(ctx context.Context) (admin.Health, error) { return p.Status().Health(ctx, admin.Everything()) },
			Expiries: func(ctx context.Context) ([]admin.Expiry, error) {
				tokens, err := p.APITokens().Ending(ctx)
				all, more := p.Expiries().List(ctx, admin.Everything())
				return append(all, tokens...), errors.Join(err, more)
			},
			Budget: p.Budget.Status, Lockouts: p.IdP.LockedOut, Many: c.Lockouts, HeartbeatEvery: c.HeartbeatEvery,
		},
	}
	if !p.Config.ConsoleGroups().Empty() {
		o.ConsoleURL = p.Config.ConsoleURL()
	}
	if p.mailer != nil {
		o.Mail = p.mailer.Send
	}
	return notices.New(o), nil
}

// newMailer makes what mails are sent by; nil: no mail server is configured.
func (p *App) newMailer() (*notices.Mailer, error) {
	s := p.Config.Notices.SMTP
	if s.Host == "" {
		return nil, nil //nolint:nilnil // without a server there is no mailer, and that is no fault
	}
	roots, err := p.noticeRoots()
	if err != nil {
		return nil, err
	}
	return notices.NewMailer(notices.MailOptions{Host: s.Host, Port: s.Port, TLS: s.TLS == config.SMTPTLS,
		Username: s.Username, Password: string(s.Password), From: s.From, Roots: roots}), nil
}

// mailOf is a person's mail address in the directory; "" for who has none there, or is not there any more.
func (p *App) mailOf(ctx context.Context, person store.PersonID) (string, error) {
	entry, err := p.Directory.Read(ctx, string(person))
	return entry.Mail, err
}
