package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/certs"
	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/sample"
	"ssobridge/cmd/internal/server"
	"ssobridge/idp/mfa"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// actor stands in the audit for what the demo itself sets up.
const actor = "admin:demo"

// demo is the three programs in one.
type demo struct {
	bridgeURL, sandboxURL string
	data                  string
	directory             *sample.Directory
	portal                *sample.Portal // a partner's own application
	log                   *slog.Logger

	sandbox *sandbox.Sandbox
	parts   *server.App
}

// open makes the sandbox and the parts of the bridge. The configuration passes the
// same checks as one from a file.
func (d *demo) open(ctx context.Context, listen string) error {
	var err error
	d.sandbox, err = sandbox.New(sandbox.Options{PublicURL: d.sandboxURL, Accounts: sandbox.SampleAccounts()})
	if err != nil {
		return fmt.Errorf("make the sandbox: %w", err)
	}
	caFile := filepath.Join(d.data, "directory-ca.pem")
	if err := os.WriteFile(caFile, d.directory.CA, 0o600); err != nil {
		return fmt.Errorf("write the sample directory's authority: %w", err)
	}
	secret, err := d.secretKey()
	if err != nil {
		return err
	}
	cfg := config.Defaults()
	cfg.PublicURL = d.bridgeURL
	cfg.EntityID = d.bridgeURL + "/saml/metadata"
	cfg.Listen = listen
	cfg.DataDir = d.data
	cfg.SecretKey = config.Secret(secret)
	cfg.Directory.Preset = "openldap"
	cfg.Directory.URLs = []string{d.directory.URL}
	cfg.Directory.CAFile = caFile
	cfg.Directory.BindDN = sample.BindDN
	cfg.Directory.BindPassword = sample.BindPassword
	cfg.Directory.BaseDN = sample.PeopleDN
	cfg.Directory.GroupBaseDN = sample.GroupsDN
	cfg.ConstantContact.BaseURL = d.sandboxURL + sandbox.APIPath
	cfg.ConstantContact.TokenURL = d.sandboxURL + sandbox.TokenPath
	cfg.ConstantContact.PartnerClientID = sandbox.DefaultClientID
	cfg.ConstantContact.PartnerSecret = sandbox.DefaultClientSecret
	cfg.ConstantContact.APIKey = sandbox.DefaultAPIKey
	cfg.ConstantContact.ExternalProvider = sandbox.DefaultExternalProvider
	cfg.Console.AdminGroup = "cn=" + sample.GroupStaff + "," + sample.GroupsDN // everybody of the sample
	// one click, and the sample's passwords are known to all
	cfg.SecondFactor.Console = string(mfa.Off)
	cfg.Metadata.AllowLoopbackHTTP = true // the sandbox's address
	cfg.Branding.Name = "Example Marketing"
	if err := d.addPortal(&cfg); err != nil {
		return err
	}
	if err := cfg.Check(); err != nil {
		return err
	}
	if d.parts, err = server.OpenOrCreate(ctx, cfg, d.log); err != nil {
		return err
	}
	d.parts.Components = true
	return nil
}

// addPortal makes the sample application a source of people.
func (d *demo) addPortal(cfg *config.Config) error {
	key, err := d.portal.PublicKey()
	if err != nil {
		return err
	}
	file := filepath.Join(d.data, "portal.pem")
	if err := os.WriteFile(file, key, 0o600); err != nil {
		return fmt.Errorf("write the portal's key: %w", err)
	}
	source := config.NewSource()
	source.Issuer, source.Keys, source.Origins = d.portal.URL, []string{file}, []string{d.portal.URL}
	source.LoginURL, source.Label = d.portal.LoginURL(), "Example portal"
	source.AllowAccounts, source.AllowRoles = []string{"a07e1lxqqqo*"}, []string{string(store.AccountManager)}
	cfg.Sources = map[string]config.Source{"portal": source}
	return cfg.ReadSourceKeys()
}

// secretKey is kept beside the database, so that a folder given by -data opens again.
func (d *demo) secretKey() (string, error) {
	file := filepath.Join(d.data, "secret_key")
	text, err := os.ReadFile(file)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the secret key: %w", err)
	}
	secret, err := sample.NewSecret()
	if err != nil {
		return "", fmt.Errorf("make a secret key: %w", err)
	}
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the secret key: %w", err)
	}
	return secret, nil
}

// servePortal serves the sample application until ctx ends.
func (d *demo) servePortal(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: d.portal, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // it has nothing to finish
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the portal: %w", err)
	}
	return nil
}

func (d *demo) serveSandbox(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: d.sandbox, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 96 << 10}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- errors.Join(d.sandbox.Close(), server.Shutdown(wait))
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the sandbox: %w", err)
	}
	return <-stopped
}

// fill makes what an admin would: signing key, service provider and mappings, by the
// functions of the commands. A folder that was used before has them already.
func (d *demo) fill(ctx context.Context) error {
	event := func(action string) store.Event {
		return store.Event{At: time.Now().UTC(), Actor: actor, Action: action, Outcome: "ok", Reason: "demo"}
	}
	// RSA with 2048 bits for a quick start: 3072, as init makes it, can take seconds.
	_, err := d.parts.Keys().MakeFirst(ctx, admin.Everything(), certs.RSA2048, event("key-add"))
	if err != nil && !errors.Is(err, admin.ErrHasKey) {
		return err
	}
	sp, err := admin.ConstantContact{
		EntityID: d.sandboxURL + sandbox.SPMetadata, ACS: d.sandboxURL + sandbox.ACSPath, Name: "Constant Contact (sandbox)",
		RelayState: d.sandboxURL + sandbox.LandingPath, RelayStateIn: "query",
	}.Record()
	if err != nil {
		return err
	}
	if err := d.forgetFormer(ctx, sp.EntityID, event("sp-remove")); err != nil {
		return err
	}
	if err := d.parts.Providers().Add(ctx, admin.Everything(), sp, true, event("sp-add")); err != nil {
		return err
	}
	mappings, err := d.parts.Provisioning.ListMappings(ctx)
	if err != nil {
		return err
	}
	if len(mappings) == 0 {
		_, err := d.parts.Provisioning.AddMapping(ctx, mapping.Spec{Pattern: "ctct-{account}-{role}",
			GroupBase: sample.GroupsDN, Actor: actor})
		if err != nil {
			return fmt.Errorf("add the sample mapping: %w", err)
		}
	}
	if err := d.remember(ctx); err != nil {
		return err
	}
	return d.trust(ctx)
}

// forgetFormer removes sandboxes of earlier runs that had another port: with two of
// them a launch link would not say which is meant.
func (d *demo) forgetFormer(ctx context.Context, present string, e store.Event) error {
	providers := d.parts.Store.ServiceProviders()
	list, err := providers.List(ctx)
	if err != nil {
		return fmt.Errorf("list service providers: %w", err)
	}
	for _, sp := range list {
		if sp.EntityID == present || sp.Kind != store.ConstantContact {
			continue
		}
		e.Subject, e.SP = sp.EntityID, sp.EntityID
		if err := providers.Remove(ctx, sp.EntityID, e); err != nil {
			return fmt.Errorf("remove the sandbox of an earlier run: %w", err)
		}
	}
	return nil
}

// remember gives the sandbox, which keeps everything in memory, the users that an
// earlier run on this folder has created there.
func (d *demo) remember(ctx context.Context) error {
	for _, p := range sample.People() {
		users, err := d.parts.Store.Ledger().Person(ctx, store.PersonID(p.ID))
		if err != nil {
			return fmt.Errorf("read the SSO users: %w", err)
		}
		for _, u := range users {
			if u.State != store.Active && u.State != store.Assumed {
				continue
			}
			err := d.sandbox.AddUser(sandbox.User{
				Account: string(u.Account), FirstName: u.FirstName, LastName: u.LastName, RoleName: string(u.Role),
				ContactEmail: u.ContactEmail,
				LoginName:    u.LoginName, ExternalID: u.ExternalID, ExternalProvider: u.ExternalProvider, CreatedAt: u.CreatedAt,
			})
			if err != nil {
				return fmt.Errorf("give the sandbox the user %s: %w", u.LoginName, err)
			}
		}
	}
	return nil
}

// trust hands the bridge's certificates to the sandbox, as a partner hands them to
// Constant Contact.
func (d *demo) trust(ctx context.Context) error {
	keys, err := d.parts.Store.Keys().List(ctx)
	if err != nil {
		return fmt.Errorf("list signing keys: %w", err)
	}
	var list [][]byte
	for _, k := range keys {
		if len(k.Certificate) > 0 {
			list = append(list, k.Certificate)
		}
	}
	sso := d.bridgeURL + "/saml/sso"
	if err := d.sandbox.Trust(d.parts.Config.EntityID, list, sso, sso); err != nil {
		return fmt.Errorf("make the sandbox trust the bridge: %w", err)
	}
	return nil
}

// welcome says where to go and what to try.
func (d *demo) welcome(temporary bool, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The demo is ready after %d ms. Nothing of it is for production (signing key: RSA-2048).\n\n",
		took.Milliseconds())
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  sign in\t%s/launch\n", d.bridgeURL)
	fmt.Fprintf(w, "  into one account\t%s/launch/a07e1lxqqqo0\n", d.bridgeURL)
	fmt.Fprintf(w, "  start at the other side\t%s\n", d.sandboxURL+sandbox.StartPath)
	fmt.Fprintf(w, "  a partner's own application\t%s\n", d.portal.URL)
	fmt.Fprintf(w, "  admin console, for each login\t%s/admin/\n", d.bridgeURL)
	fmt.Fprintf(w, "  calls to Constant Contact\t%s%s/calls\n", d.sandboxURL, sandbox.ControlPath)
	fmt.Fprintf(w, "\n  login\tpassword\twhat happens\n")
	for _, p := range sample.People() {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", p.Login, p.Password, p.About)
	}
	_ = w.Flush() // into memory
	b.WriteString("\nThen try: a wrong password; a second launch with the session (no password asked); " +
		d.bridgeURL + "/logout;\n" +
		"bob's other account while signed in to the first.\n")
	if temporary {
		b.WriteString("The database is in a temporary folder and goes when the demo ends; -data FOLDER keeps it.\n")
	}
	b.WriteString("Stop it with Ctrl-C.\n")
	return b.String()
}
