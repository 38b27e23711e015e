package config

import (
	"cmp"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/metadata"
	"ssobridge/idp/mfa"
	"ssobridge/idp/netname"
	"ssobridge/provisioning"
)

// DSN is the database's DSN with its default filled in.
func (c *Config) DSN() string {
	if c.Store.DSN != "" {
		return c.Store.DSN
	}
	return "sqlite:" + filepath.Join(c.DataDir, "ssobridge.db")
}

// JournalDir is state_dir with its default filled in.
func (c *Config) JournalDir() string { return cmp.Or(c.StateDir, c.DataDir) }

// HasJournalDir tells whether there is a folder for the journal. A command that runs elsewhere than a replica needs
// none: the replicas write down what it revokes. SQLite has no other replica, and its folder is there.
func (c *Config) HasJournalDir() bool {
	if strings.HasPrefix(c.DSN(), "sqlite:") {
		return true
	}
	_, err := os.Stat(c.JournalDir())
	return err == nil
}

// DirectoryOptions is how the directory is reached.
func (c *Config) DirectoryOptions(now func() time.Time, log *slog.Logger) directory.Options {
	d := c.Directory
	return directory.Options{
		Preset: d.Preset, URLs: d.URLs, StartTLS: d.StartTLS, CAFile: d.CAFile, Insecure: d.Insecure,
		BindDN: d.BindDN, BindPassword: string(d.BindPassword), BaseDN: d.BaseDN, LoginFilter: d.LoginFilter,
		LoginAttribute: d.LoginAttribute, IDAttribute: d.IDAttribute, FirstNameAttribute: d.FirstNameAttribute,
		LastNameAttribute: d.LastNameAttribute, MailAttribute: d.MailAttribute, ExtraAttributes: d.ExtraAttributes,
		DisabledAttributes: d.DisabledAttributes, AccountExpiryAttributes: d.AccountExpiryAttributes,
		PasswordExpiryAttributes: d.PasswordExpiryAttributes,
		Domain:                   d.Domain, PasswordPolicyDN: d.PasswordPolicyDN,
		GroupBaseDN: d.GroupBaseDN, GroupMode: d.GroupMode, GroupFilter: d.GroupFilter,
		DistributionGroups: d.DistributionGroups, GroupIDAttribute: d.GroupIDAttribute,
		GroupNameAttribute: d.GroupNameAttribute, Nested: d.Nested, MaxDepth: d.MaxDepth, MaxGroups: d.MaxGroups,
		PoolSize: d.PoolSize, BindPoolSize: d.BindPoolSize, DialTimeout: d.DialTimeout, OpTimeout: d.OpTimeout,
		Timeout: d.Timeout, Cooldown: d.Cooldown, Now: now, Logger: log,
	}
}

// Proxies parses trusted_proxies, which passed the check.
func (c *Config) Proxies() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range c.TrustedProxies {
		if p, err := netname.ParseNetwork(s); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// ConsoleNetworks parses console.allow_from, which passed the check.
func (c *Config) ConsoleNetworks() []netip.Prefix { return prefixes(c.Console.AllowFrom) }

// Operations are the rules of constant_contact.operations, which passed the check.
func (c *Config) Operations() []provisioning.OperationRule {
	var rules []provisioning.OperationRule
	for _, text := range c.ConstantContact.Operations {
		if rule, err := parseOperation(text); err == nil {
			rules = append(rules, rule)
		}
	}
	return rules
}

// ReadsAttribute tells whether an attribute is among those that are read for mappings.
func (c *Config) ReadsAttribute(attribute string) bool {
	return slices.ContainsFunc(c.Directory.ExtraAttributes, func(a string) bool { return strings.EqualFold(a, attribute) })
}

// FactorOptions says what is asked for beside the password.
func (c *Config) FactorOptions() idp.FactorOptions {
	return idp.FactorOptions{
		Console: mfa.Policy(c.SecondFactor.Console), People: mfa.Policy(c.SecondFactor.People),
		Class: c.SecondFactor.AuthnContext, Issuer: c.Branding.Name,
		ConfirmAfter: c.SecondFactor.ConfirmAfter, KeepOthers: !c.SecondFactor.EndOtherSessions,
	}
}

// ConsoleURL is where browsers reach the admin console, without its path.
func (c *Config) ConsoleURL() string { return cmp.Or(c.Console.PublicURL, c.PublicURL) }

// ConsoleGroups says who may use the console.
func (c *Config) ConsoleGroups() idp.ConsoleGroups {
	return idp.ConsoleGroups{Viewer: c.Console.ViewerGroup, Operator: c.Console.OperatorGroup, Admin: c.Console.AdminGroup}
}

// Contacts are whom our metadata names, in a line each.
func (c *Config) Contacts() []string {
	var all []string
	p := c.Published()
	for _, who := range []metadata.Contact{p.Technical, p.Support} {
		if who.Mail != "" {
			all = append(all, strings.TrimSpace(who.Name+" <"+who.Mail+">"))
		}
	}
	return all
}
