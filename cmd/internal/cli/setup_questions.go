package cli

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/idp/netname"
	"ssobridge/internal/plaintext"
	"ssobridge/web/admin"
)

// testLimit is how long the tests of one question may take.
const testLimit = time.Minute

// questions are the six, in the order in which one needs the other.
func (p *setup) questions() []question {
	all := []question{
		p.publicURL(), p.server(), p.account(), p.base(), p.partner(),
	}
	if !p.c.NoConsole {
		all = append(all, p.administrators())
	}
	return all
}

// withTests runs tests within their time.
func (p *setup) withTests(run func(ctx context.Context, f admin.FirstStart) ([]admin.Finding, error)) ([]admin.Finding,
	error) {
	f, err := p.tests()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, testLimit)
	defer cancel()
	return run(ctx, f)
}

// publicURL is the first question, with who ends TLS.
func (p *setup) publicURL() question {
	return question{
		title: "1. Public URL: where browsers reach the bridge, such as https://sso.example.com",
		keys:  []string{"public_url"},
		ask: func(bool) error {
			if err := p.value("public_url", "Public URL", "", withScheme("https")); err != nil {
				return err
			}
			return p.askTLS()
		},
		test: func() ([]admin.Finding, error) {
			cfg, all := p.draft.Config()
			for _, f := range config.Faults(all, "tls", "trusted_proxies", "listen", "entity_id") {
				return []admin.Finding{{Name: f.Key, Level: admin.Failure, Detail: f.Text, Hint: f.Fix}}, nil
			}
			u, err := url.Parse(cfg.PublicURL)
			if err != nil {
				return nil, err
			}
			found := admin.Finding{Name: "public URL", Detail: cfg.PublicURL}
			ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
			defer cancel()
			if _, err := net.DefaultResolver.LookupHost(ctx, u.Hostname()); err != nil {
				found.Level, found.Detail = admin.Warning, cfg.PublicURL+": this machine does not find the name in DNS"
				found.Hint = "look for a typing error; browsers have to find it before anybody can sign in"
			}
			return []admin.Finding{found}, nil
		},
	}
}

// askTLS asks who ends TLS, where that is not known.
func (p *setup) askTLS() error {
	cfg, all := p.draft.Config()
	if !slices.ContainsFunc(all, config.NobodyEndsTLS) {
		return nil
	}
	for {
		text, err := p.line("Who ends TLS? The address of your proxy, or the file with the bridge's own certificate (PEM)",
			"127.0.0.1")
		if err != nil {
			return err
		}
		if _, err := netname.ParseNetwork(text); err == nil {
			return p.draft.Answer("trusted_proxies", text)
		}
		key, err := p.line("The file with its private key (PEM)", "")
		if err != nil {
			return err
		}
		for name, value := range map[string]string{"tls.cert": text, "tls.key": key} {
			if err := p.draft.Answer(name, value); err != nil {
				return err
			}
		}
		if cfg.Listen == config.Defaults().Listen {
			if err := p.draft.Answer("listen", "0.0.0.0:"+portOf(cfg.PublicURL)); err != nil {
				return err
			}
		}
		_, all := p.draft.Config()
		faults := config.Faults(all, "tls", "listen")
		if len(faults) == 0 {
			return nil
		}
		p.printf("%s\n", faults[0])
		for _, name := range []string{"tls.cert", "tls.key", "listen"} {
			p.draft.Withdraw(name)
		}
	}
}

// portOf is the port of a web address.
func portOf(address string) string {
	u, err := url.Parse(address)
	switch {
	case err == nil && u.Port() != "":
		return u.Port()
	case err == nil && u.Scheme == "http":
		return "80"
	}
	return "443"
}

// withScheme adds what people leave out, to each address of a list.
func withScheme(scheme string) func(string) string {
	return func(text string) string {
		if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") && strings.Contains(text, "://") {
			return text // a list as YAML writes it
		}
		all := strings.Split(text, ",")
		for i, one := range all {
			if one = strings.TrimSpace(one); one != "" && !strings.Contains(one, "://") {
				one = scheme + "://" + one
			}
			all[i] = one
		}
		return strings.Join(all, ",")
	}
}

// kinds are the presets of the directory, as a menu.
var kinds = []struct{ preset, name string }{
	{"openldap", "OpenLDAP"}, {"active_directory", "Active Directory"}, {"samba", "Samba as a domain controller"},
	{"freeipa", "FreeIPA"}, {"389ds", "389 Directory Server"}, {"edirectory", "eDirectory"}, {"lldap", "LLDAP"},
}

// partner is the fifth question: the credentials of Constant Contact.
func (p *setup) partner() question {
	const secret, key = "constant_contact.partner_secret", "constant_contact.api_key"
	return question{
		title: "5. Constant Contact: what it gave you as a technology partner",
		keys: []string{"constant_contact.partner_client_id", secret, key,
			"constant_contact.external_provider"},
		ask: func(bool) error {
			p.draft.WithdrawSecret(secret)
			p.draft.WithdrawSecret(key)
			if err := p.value("constant_contact.partner_client_id", "Partner client id", "", nil); err != nil {
				return err
			}
			if err := p.secret(secret, "Partner secret"); err != nil {
				return err
			}
			if err := p.secret(key, "API key of the registered application"); err != nil {
				return err
			}
			return p.value("constant_contact.external_provider", "Your name as an external provider", "", nil)
		},
		test: func() ([]admin.Finding, error) {
			return p.withTests(func(ctx context.Context, f admin.FirstStart) ([]admin.Finding, error) {
				all, err := f.Credentials(ctx)
				if err != nil || slices.ContainsFunc(all, func(one admin.Finding) bool { return one.Level == admin.Failure }) {
					return all, err
				}
				if !p.first {
					return append(all, admin.Finding{Name: "API key",
						Detail: "kept; ssobridge check --accounts proves it by a call that is counted"}), nil
				}
				more, err := f.APIKey(ctx)
				return append(all, more...), err
			})
		},
	}
}

// administrators is the sixth question: who may use the console.
func (p *setup) administrators() question {
	const key = "console.admin_group"
	return question{
		title: "6. Administrators: the group whose members may use the admin console",
		keys:  []string{key},
		reads: true,
		ask: func(bool) error {
			for {
				cfg, _ := p.draft.Config()
				text, err := p.line("A part of the group's name, or its DN", cfg.Console.AdminGroup)
				if err != nil {
					return err
				}
				dn, err := p.choose(text)
				if err != nil {
					return err
				}
				if dn != "" {
					return p.draft.Answer(key, dn)
				}
			}
		},
		test: func() ([]admin.Finding, error) {
			return p.withTests(func(ctx context.Context, f admin.FirstStart) ([]admin.Finding, error) {
				cfg, _ := p.draft.Config()
				found, _, err := f.Groups(ctx, cfg.Console.AdminGroup)
				if err != nil {
					return nil, err
				}
				one := admin.Finding{Name: "administrators", Detail: groupText(found[0])}
				if found[0].Members == 0 {
					one.Level, one.Hint = admin.Warning, "add somebody to it; until then nobody may use the console"
				}
				return []admin.Finding{one}, nil
			})
		},
	}
}

func groupText(g admin.FoundGroup) string {
	text := fmt.Sprintf("%s, %s", g.DN, plaintext.Count(g.Members, "direct member", "direct members"))
	if len(g.Some) > 0 {
		text += ": " + strings.Join(g.Some, ", ")
		if g.Members > len(g.Some) {
			text += ", and more"
		}
	}
	return text
}

// choose shows the groups that are meant by a text, and has one chosen; "": ask again.
func (p *setup) choose(text string) (dn string, err error) {
	var (
		found []admin.FoundGroup
		more  bool
	)
	_, err = p.withTests(func(ctx context.Context, f admin.FirstStart) (_ []admin.Finding, err error) {
		found, more, err = f.Groups(ctx, text)
		return nil, err
	})
	if e, ok := admin.AsError(err); ok {
		p.printf("%s.\n", e.Line())
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		p.printf("No group's name has %s in it.\n", plaintext.Quote(text))
		return "", nil
	}
	for i, g := range found {
		p.printf("  %d  %s\n", i+1, groupText(g))
	}
	if more {
		p.printf("There are more: write more of the name to see others.\n")
	}
	preset := "1"
	if len(found) > 1 {
		preset = ""
	}
	answer, err := p.line("Its number, or 0 to look for another one", preset)
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(answer)
	if err != nil || n < 1 || n > len(found) {
		return "", nil //nolint:nilerr // it is asked again
	}
	return found[n-1].DN, nil
}
