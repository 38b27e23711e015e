package config

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/netname"
	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// Check checks a configuration that was made in code, as Load checks a file.
// It returns a *Error with every fault.
func (c *Config) Check() error {
	f := &faults{}
	checkConfig(c, f)
	return f.err()
}

func checkConfig(c *Config, f *faults) {
	checkAddresses(c, f)
	checkStore(c, f)
	checkToken(c, f)
	checkDirectory(c, f)
	checkSources(c, f)
	checkWays(c, f)
	checkConstantContact(c, f)
	checkProvisioning(c, f)
	checkTimes(c, f)
	checkConsole(c, f)
	checkSelfService(c, f)
	checkMetadata(c, f)
	checkNotices(c, f)
	checkPages(c, f)
	checkTracing(c, f)
}

// required says that a key without default has no value.
func (f *faults) required(key, value, example string) bool {
	if value == "" {
		f.add(key, "is missing", "write for example: "+key[strings.LastIndexByte(key, '.')+1:]+": "+example)
	}
	return value != ""
}

func checkAddresses(c *Config, f *faults) {
	https := false
	if f.required("public_url", c.PublicURL, "https://sso.example.com") {
		u := checkPublicURL("public_url", &c.PublicURL, f)
		https = u != nil && u.Scheme == "https"
	}
	if f.required("entity_id", c.EntityID, "https://sso.example.com/saml/metadata") {
		// A plain word is a (relative) URI reference, and partners are registered by one: it is compared and never followed.
		if _, err := url.Parse(c.EntityID); err != nil || strings.ContainsFunc(c.EntityID, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r)
		}) {
			f.add("entity_id", plaintext.Quote(c.EntityID)+" is not a URI",
				"write the name that is registered at Constant Contact")
		} else if utf8.RuneCountInString(c.EntityID) > 256 { // saml-core 8.3.6
			f.add("entity_id", fmt.Sprintf("has %d characters", utf8.RuneCountInString(c.EntityID)), "use at most 256")
		}
	}
	checkListen("listen", c.Listen, f)
	if c.Metrics.Listen != "" {
		checkListen("metrics.listen", c.Metrics.Listen, f)
		if c.Metrics.Listen == c.Listen && !strings.HasSuffix(c.Listen, ":0") {
			f.add("metrics.listen", "is the same as listen", "give the metrics a port of their own")
		}
	}
	checkNetworks("trusted_proxies", c.TrustedProxies, f)
	switch {
	case (c.TLS.Cert == "") != (c.TLS.Key == ""):
		f.add("tls", "cert and key belong together, and one is missing", "give both, or neither")
	case c.TLS.Cert != "":
		if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
			f.add("tls", "certificate and key can't be used: "+tlsCause(err),
				"give a PEM certificate chain and its unencrypted PEM key, readable for the bridge's user")
		}
		if c.PublicURL != "" && !https {
			f.add("tls", "is set while public_url is http", "write https in public_url, or remove tls")
		}
	case https && len(c.TrustedProxies) == 0:
		// Behind an unnamed proxy every person would have the proxy's address, and share
		// its limits; without a proxy nobody would end TLS.
		f.add("public_url", noTLS+" nor a proxy in trusted_proxies",
			"set tls.cert and tls.key, or name the proxy that ends TLS")
	}
}

// What callers of the check look for in a fault: that nothing ends TLS, and that a folder is not there.
const (
	noTLS    = "is https, yet there is neither tls.cert"
	notThere = " does not exist"
)

// checkPublicURL checks an address as browsers reach it; nil for one that is none.
func checkPublicURL(key string, value *string, f *faults) *url.URL {
	*value = strings.TrimSuffix(*value, "/")
	switch u, err := netname.ParsePublicURL(*value); {
	case errors.Is(err, netname.ErrMoreThan):
		f.add(key, plaintext.Quote(*value)+" has more than scheme, host and port", "write "+u.Scheme+"://"+u.Host)
	case errors.Is(err, netname.ErrPublicHTTP):
		f.add(key, "is http for a host that others reach", "write https://"+u.Host+"; http is for localhost only")
	case err != nil && strings.ContainsFunc(*value, func(r rune) bool { return r >= utf8.RuneSelf }):
		f.add(key, plaintext.Quote(*value)+" is not the address of a web site: it has letters beyond ASCII",
			"write the host as its certificate has it: https://sso.xn--mller-kva.example for müller.example")
	case err != nil:
		f.add(key, plaintext.Quote(*value)+" is not the address of a web site",
			"write scheme and host: https://sso.example.com")
	default:
		if _, host, _ := strings.Cut(*value, "://"); host != strings.ToLower(host) {
			f.add(key, plaintext.Quote(*value)+" has capitals in the host", "write "+u.Scheme+"://"+u.Host)
		}
		return u
	}
	return nil
}

func checkListen(key, value string, f *faults) {
	host, port, err := net.SplitHostPort(value)
	n, portErr := strconv.Atoi(port)
	if err != nil || portErr != nil || n < 0 || n > 65535 || strings.ContainsAny(host, " /") {
		f.add(key, plaintext.Quote(value)+" is not an address with a port", "write for example 127.0.0.1:8080")
	}
}

func checkStore(c *Config, f *faults) {
	if c.StateDir != "" {
		checkFolder("state_dir", c.StateDir, f)
	}
	kind, path, _ := strings.Cut(c.Store.DSN, ":")
	switch {
	case c.Store.DSN == "" && c.DataDir == "":
		f.add("data_dir", "is missing", "name the folder for the database, or set store.dsn")
	case c.Store.DSN == "":
		checkFolder("data_dir", c.DataDir, f)
	case kind == "sqlite":
		if path == "" {
			f.add("store.dsn", "names no file", "write sqlite:/var/lib/ssobridge/ssobridge.db")
		}
	case kind == "postgres" || kind == "postgresql":
		u, err := url.Parse(c.Store.DSN)
		// a Unix socket is named by its folder, in the parameter host
		if err != nil || u.Host == "" && !u.Query().Has("host") {
			// The text is not shown: it may hold a password.
			f.add("store.dsn", "is not a valid postgres:// address",
				"write postgres://USER@HOST:5432/DATABASE?sslmode=verify-full")
			break
		}
		_, hasPassword := u.User.Password()
		if _, inFile := f.origin.lines["store.dsn"]; inFile && f.origin.vars["store.dsn"] == "" && (hasPassword ||
			u.Query().Has("password")) {
			f.add("store.dsn", "holds a password", "write the DSN into a file and name that by store.dsn_file, or set "+
				variable("store.dsn"))
		}
	default:
		f.add("store.dsn", "is neither sqlite: nor postgres://", "write sqlite:FILE or postgres://USER@HOST/DATABASE")
	}
	checkSecretKeys(c, f)
}

func checkToken(c *Config, f *faults) {
	t := c.PKCS11
	if t.Module == "" {
		if t.TokenLabel != "" || t.PIN != "" || t.PINFile != "" {
			f.add("pkcs11.module", "is missing", "name the token vendor's library, or leave the whole section out")
		}
		return
	}
	if info, err := os.Stat(t.Module); err != nil || info.IsDir() {
		f.add("pkcs11.module", t.Module+" is not a file that can be read", "name the token vendor's library")
	}
	f.required("pkcs11.token_label", t.TokenLabel, "ssobridge")
	if t.PIN == "" && t.PINFile == "" {
		f.add("pkcs11.pin_file", "is missing", "name the file with the PIN of the token's user, or set "+
			variable("pkcs11.pin"))
	}
}

func checkFolder(key, path string, f *faults) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.add(key, path+notThere, "make it: install -d -m 700 -o USER "+path)
	case err != nil:
		f.add(key, path+" can't be used: "+PlainCause(err), "let the bridge's user read and write it")
	case !info.IsDir():
		f.add(key, path+" is not a folder", "name a folder")
	}
}

func checkDirectory(c *Config, f *faults) {
	if c.Directory.BindDN != "" && c.Directory.BindPassword == "" && c.Directory.BindPasswordFile == "" {
		f.add("directory.bind_password_file", "is missing", "name the file with the password of bind_dn, or set "+
			variable("directory.bind_password"))
	}
	if c.Directory.PasswordChange && c.Directory.Insecure {
		f.add("directory.password_change", "passwords are changed over TLS only, and directory.insecure is set",
			"write ldaps:// into directory.urls or set directory.start_tls, and remove directory.insecure")
	}
	d, err := directory.New(c.DirectoryOptions(time.Now, slog.New(slog.DiscardHandler)))
	if err == nil {
		// Nothing was dialled, so nothing can go wrong here.
		_ = d.Close()
		return
	}
	for _, err := range eachError(err) {
		var field *directory.FieldError
		switch {
		case !errors.As(err, &field):
			f.add("directory", err.Error(), "")
		case field.Field == "bind_password" && c.Directory.BindPassword == "":
			// said above, with the ways a password comes in
		default:
			f.add("directory."+field.Field, field.Fault, field.Fix)
		}
	}
}

func checkConstantContact(c *Config, f *faults) {
	cc := &c.ConstantContact
	if cc.CAFile != "" {
		data, err := ReadFile(cc.CAFile, maxCAFile)
		if err == nil {
			_, err = partnerapi.Authorities(data)
		}
		if err != nil {
			f.add("constant_contact.ca_file", fmt.Sprintf("%s can't be used: %s", cc.CAFile, PlainCause(err)),
				"name a PEM file of certificates that the bridge's user may read")
		}
	}
	for _, e := range []struct{ key, value string }{{"constant_contact.base_url", cc.BaseURL},
		{"constant_contact.token_url", cc.TokenURL}} {
		u, err := url.Parse(e.value)
		switch {
		case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" ||
			u.Fragment != "" || u.User != nil:
			f.add(e.key, plaintext.Quote(e.value)+" is not a plain web address", "leave the key out to use the default")
		case u.Scheme == "http" && !netname.LoopbackPeer(u.Hostname()) && !cc.Insecure:
			f.add(e.key, "is http, so the partner secret would cross the network in clear",
				"write https, or for a sandbox set constant_contact.insecure: true")
		}
	}
	f.required("constant_contact.partner_client_id", cc.PartnerClientID, "0oa1partnerid")
	if f.required("constant_contact.external_provider", cc.ExternalProvider, "example_partner") &&
		utf8.RuneCountInString(cc.ExternalProvider) > 80 {
		f.add("constant_contact.external_provider", "has more than 80 characters", "write it as Constant Contact gave it")
	}
	if cc.PartnerSecret == "" && cc.PartnerSecretFile == "" {
		f.add("constant_contact.partner_secret_file", "is missing", "name the file with the partner secret, or set "+
			variable("constant_contact.partner_secret"))
	}
	if cc.APIKey == "" && cc.APIKeyFile == "" {
		f.add("constant_contact.api_key_file", "is missing", "name the file with the API key, or set "+
			variable("constant_contact.api_key"))
	}
	if l := cc.Limits; l.PerSecond <= 0 || l.PerSecond > 1000 {
		f.add("constant_contact.limits.per_second", fmt.Sprintf("%v is out of range", l.PerSecond),
			"write a number over 0, at most 1000; Constant Contact allows 4")
	}
	if l := cc.Limits; l.PerDay < 1 {
		f.add("constant_contact.limits.per_day", fmt.Sprintf("%d is out of range", l.PerDay),
			"write at least 1; Constant Contact allows 10000")
	}
	if l := cc.Limits; l.Reserve < 0 || l.Reserve > 0.9 {
		f.add("constant_contact.limits.reserve", fmt.Sprintf("%v is out of range", l.Reserve), "write a share from 0 to 0.9")
	}
	if l := cc.Limits; l.Share <= 0 || l.Share > 1 {
		f.add("constant_contact.limits.share", fmt.Sprintf("%v is out of range", l.Share), "write a share above 0, at most 1")
	}
	for _, rule := range cc.Operations {
		if _, err := parseOperation(rule); err != nil {
			f.add("constant_contact.operations", plaintext.Quote(rule)+" "+err.Error(),
				`write method and path, such as "GET /contacts"`)
		}
	}
	if secret := string(cc.Webhook.Secret); secret != "" && !webhookSecret.MatchString(secret) {
		f.add("constant_contact.webhook.secret", "is not made of 32 to 128 hexadecimal digits",
			"make one: openssl rand -hex 16")
	}
	f.between("constant_contact.timeout", cc.Timeout, time.Second, time.Minute)
	f.between("constant_contact.token_timeout", cc.TokenTimeout, time.Second, time.Minute)
}

// checkProvisioning has provisioning check the templates. New starts nothing and
// reads nothing, so that empty parts do for it here.
func checkProvisioning(c *Config, f *faults) {
	_, err := provisioning.New(provisioning.Options{
		Mappings: new(store.Mappings), Ledger: new(store.Ledger), Accounts: new(store.Accounts), Plans: new(store.Plans),
		Budget:  new(store.Budget),
		Breaker: new(store.Breaker), Leases: new(store.Leases), Clock: new(store.Clock),
		Audit: new(store.Audit), Client: new(partnerapi.Client),
		Directory:        new(directory.Directory),
		Changes:          func(context.Context) (int64, error) { return 0, nil },
		ExternalProvider: cmp.Or(c.ConstantContact.ExternalProvider, "example"),
		ExternalID:       c.Provisioning.ExternalID, LoginName: c.Provisioning.LoginName,
		ContactEmail:           c.Provisioning.ContactEmail,
		AllowMutableExternalID: c.Provisioning.AllowMutableExternalID,
		Logger:                 slog.New(slog.DiscardHandler),
	})
	for _, err := range eachError(err) {
		var field *provisioning.InputError
		switch {
		case !errors.As(err, &field):
			f.add("provisioning", err.Error(), "")
		case field.Field != "external_provider": // that one is said above
			f.add("provisioning."+field.Field, field.Fault, field.Fix)
		}
	}
}

// webhookSecret holds at least 128 bits.
var auditAction = regexp.MustCompile(`^[a-z]([a-z-]{0,60}[a-z])?(\.(refused|failed|unknown))?$`)

var webhookSecret = regexp.MustCompile(`^[0-9a-fA-F]{32,128}$`)

var operationRule = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) (/[A-Za-z0-9._~*-]+)+$`)

// parseOperation reads a rule of constant_contact.operations.
func parseOperation(text string) (provisioning.OperationRule, error) {
	if !operationRule.MatchString(text) {
		return provisioning.OperationRule{}, errors.New("is no method and path")
	}
	method, path, _ := strings.Cut(text, " ")
	return provisioning.OperationRule{Method: method, Path: path}, nil
}

// between checks that a time lies in a range.
func (f *faults) between(key string, d, least, most time.Duration) {
	if d < least || d > most {
		f.add(key, fmt.Sprintf("%s is out of range", FormatDuration(d)), fmt.Sprintf("write a time from %s to %s",
			FormatDuration(least), FormatDuration(most)))
	}
}

func checkTimes(c *Config, f *faults) {
	if c.Provisioning.WatchEvery != 0 {
		f.between("provisioning.watch_every", c.Provisioning.WatchEvery, 10*time.Minute, 31*24*time.Hour)
	}
	f.between("provisioning.lease", c.Provisioning.Lease, time.Second, 10*time.Minute)
	if n := c.Provisioning.MaxCreate; n < 1 || n > 1_000_000 {
		f.add("provisioning.max_create", fmt.Sprintf("%d is out of range", n), "write a number from 1 to 1000000")
	}
	f.between("keys.switch_before", c.Keys.SwitchBefore, time.Second, 30*time.Minute)
	f.between("keys.switch_after", c.Keys.SwitchAfter, time.Second, 30*time.Minute)
	if c.Keys.SwitchBefore+c.Keys.SwitchAfter >= c.SignIn.Life {
		f.add("keys.switch_after", "is with keys.switch_before as long as a started sign-in is kept, so those who wait "+
			"would have to start again", "write less than "+FormatDuration(c.SignIn.Life)+
			" for both together, or raise sign_in.life")
	}
	f.between("sessions.life", c.Sessions.Life, time.Minute, 30*24*time.Hour)
	f.between("sessions.idle", c.Sessions.Idle, time.Minute, 30*24*time.Hour)
	if c.Sessions.Idle > c.Sessions.Life {
		f.add("sessions.idle", "is longer than sessions.life", "write at most "+FormatDuration(c.Sessions.Life))
	}
	for _, action := range slices.Sorted(maps.Keys(c.Audit.Keep)) {
		key := "audit.keep." + action
		if !auditAction.MatchString(action) || strings.HasPrefix(action, store.KeepDefault+".") {
			f.add(key, "is not the name of an action", "take one that `ssobridge audit list` shows, with .refused, .failed or "+
				".unknown behind it for one outcome alone, or default")
		}
		if keep := c.Audit.Keep[action]; keep != 0 {
			f.between(key, keep, 24*time.Hour, 100*365*24*time.Hour)
		}
	}
	if c.Backup.MaxAge != 0 {
		f.between("backup.max_age", c.Backup.MaxAge, time.Hour, 366*24*time.Hour)
	}
	if c.Traces.Keep != 0 {
		f.between("traces.keep", c.Traces.Keep, time.Hour, 366*24*time.Hour)
	}
	f.between("directory_cache.ttl", c.DirectoryCache.TTL, 0, time.Hour)
	f.between("directory_cache.max_stale", c.DirectoryCache.MaxStale, 0, 24*time.Hour)
	if c.DirectoryCache.MaxStale != 0 && c.DirectoryCache.MaxStale < c.DirectoryCache.TTL {
		f.add("directory_cache.max_stale", "is shorter than directory_cache.ttl", "write at least "+
			FormatDuration(c.DirectoryCache.TTL)+", or 0s for never")
	}
	f.between("sign_in.life", c.SignIn.Life, 15*time.Minute, 24*time.Hour)
	f.between("sign_in.patience", c.SignIn.Patience, 0, 5*time.Second)
	f.between("sign_in.login_window", c.SignIn.LoginWindow, time.Minute, 24*time.Hour)
	if n := c.SignIn.LoginFailures; n < 1 || n > 100 {
		f.add("sign_in.login_failures", fmt.Sprintf("%d is out of range", n), "write a number from 1 to 100")
	}
	if n := c.SignIn.RelayStateMax; n < idp.LeastRelayState || n > idp.MostRelayState {
		f.add("sign_in.relay_state_max", fmt.Sprintf("%d is out of range", n), fmt.Sprintf("write a number from %d to %d",
			idp.LeastRelayState, idp.MostRelayState))
	}
	if n := c.SignIn.PendingPerAddress; n < 1 {
		f.add("sign_in.pending_per_address", fmt.Sprintf("%d is out of range", n), "write at least 1")
	}
	// The bound keeps what strangers can make the store hold in the tens of megabytes (WEB-09).
	if n := c.SignIn.PendingTotal; n < c.SignIn.PendingPerAddress || n > 1000000 {
		f.add("sign_in.pending_total", fmt.Sprintf("%d is out of range", n),
			"write at least pending_per_address and at most 1000000")
	}
}

var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn,
	"error": slog.LevelError}

// MinLevel is the least level that is written; the check knows every name.
func (l Log) MinLevel() slog.Level { return logLevels[l.Level] }

var colorPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// checkNetworks checks a list of addresses and networks.
func checkNetworks(key string, texts []string, f *faults) {
	for _, text := range texts {
		switch _, err := netname.ParseNetwork(text); {
		case errors.Is(err, netname.ErrMappedNetwork):
			f.add(key, plaintext.Quote(text)+" is an IPv4 network in the form of IPv6, and matches nobody",
				"write it as IPv4, such as 10.1.0.0/16")
		case err != nil:
			f.add(key, plaintext.Quote(text)+" is neither an address nor a network",
				"write for example 10.0.0.7 or 10.1.0.0/16")
		}
	}
}

// eachError takes a joined error apart.
func eachError(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// FormatDuration writes a time as people write it in the file: 15m, not 15m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// tlsCause keeps file names in and key material out: the loader's errors name neither.
func tlsCause(err error) string { return strings.TrimPrefix(err.Error(), "tls: ") }

// NobodyEndsTLS tells the fault of a configuration in which neither the bridge nor a proxy ends TLS.
func NobodyEndsTLS(f Fault) bool { return f.Key == "public_url" && strings.HasPrefix(f.Text, noTLS) }
