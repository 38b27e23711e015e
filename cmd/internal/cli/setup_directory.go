package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/idp/directory"
	"ssobridge/web/admin"
)

// server is the second question: kind and address of the directory.
func (p *setup) server() question {
	return question{
		title: "2. Directory: its kind and address",
		keys:  []string{"directory.preset", "directory.urls"},
		ask: func(again bool) error {
			if err := p.kind(); err != nil {
				return err
			}
			if err := p.value("directory.urls", "Address, such as ldaps://ldap.example.com", "",
				withScheme("ldaps")); err != nil {
				return err
			}
			cfg, _ := p.draft.Config()
			plain := slices.ContainsFunc(cfg.Directory.URLs, func(u string) bool { return strings.HasPrefix(u, "ldap://") })
			p.draft.Withdraw("directory.start_tls")
			if plain && !cfg.Directory.Insecure {
				if err := p.draft.Answer("directory.start_tls", "true"); err != nil {
					return err
				}
			}
			if !again {
				return nil
			}
			file, err := p.line("File with the certificate of the authority that signed the directory's (PEM)", "none")
			if err != nil || file == "none" {
				return err
			}
			return p.draft.Answer("directory.ca_file", file)
		},
		test: func() ([]admin.Finding, error) {
			_, all := p.draft.Config()
			for _, f := range config.Faults(all, "directory.ca_file", "directory.start_tls", "directory.insecure") {
				return []admin.Finding{{Name: f.Key, Level: admin.Failure, Detail: f.Text, Hint: f.Fix}}, nil
			}
			return p.withTests(func(ctx context.Context, f admin.FirstStart) ([]admin.Finding, error) {
				return f.Reach(ctx, directory.ToServer)
			})
		},
	}
}

// kind asks for the preset.
func (p *setup) kind() error {
	if name := p.draft.ByEnvironment("directory.preset"); name != "" {
		p.printf("The kind comes from %s.\n", name)
		return nil
	}
	for i, k := range kinds {
		p.printf("  %d  %s\n", i+1, k.name)
	}
	shape := func(text string) string {
		n, err := strconv.Atoi(text)
		if err == nil && n >= 1 && n <= len(kinds) {
			return kinds[n-1].preset
		}
		for _, k := range kinds {
			if strings.EqualFold(text, k.name) || strings.EqualFold(text, k.preset) {
				return k.preset
			}
		}
		return ""
	}
	cfg, _ := p.draft.Config()
	for {
		text, err := p.line("Kind, by its number", cfg.Directory.Preset)
		if err != nil {
			return err
		}
		if preset := shape(text); preset != "" {
			return p.draft.Answer("directory.preset", preset)
		}
		p.printf("Write a number from 1 to %d.\n", len(kinds))
	}
}

// account is the third question: the service account.
func (p *setup) account() question {
	return question{
		title: "3. Service account: the bridge searches people and groups with it",
		keys:  []string{"directory.bind_dn", "directory.bind_password"},
		reads: true,
		ask: func(bool) error {
			p.draft.WithdrawSecret("directory.bind_password")
			// Hardly any directory shows people and their groups to everybody, so nobody is asked whether theirs does.
			p.printf("Without an account, for a directory that anybody may search: ssobridge init, and no directory.bind_dn.\n")
			if err := p.value("directory.bind_dn", "Its DN, such as cn=ssobridge,ou=services,dc=example,dc=com", "",
				nil); err != nil {
				return err
			}
			return p.secret("directory.bind_password", "Its password")
		},
		test: func() ([]admin.Finding, error) {
			return p.withTests(func(ctx context.Context, f admin.FirstStart) ([]admin.Finding, error) {
				all, err := f.Reach(ctx, directory.ToAccount)
				return slices.DeleteFunc(all, func(one admin.Finding) bool { // the last question has shown it
					return one.Level == admin.OK && strings.HasPrefix(one.Name, "directory: connect")
				}), err
			})
		},
	}
}

// base is the fourth question: where people are.
func (p *setup) base() question {
	return question{
		title: "4. Base: the DN that all people and groups are below",
		keys:  []string{"directory.base_dn"},
		reads: true,
		ask: func(bool) error {
			preset := ""
			_, _ = p.withTests(func(ctx context.Context, f admin.FirstStart) ([]admin.Finding, error) {
				if root, err := f.Root(ctx); err == nil && len(root.Contexts) > 0 {
					preset = root.Contexts[0]
				}
				return nil, nil // a directory that does not say it has no suggestion
			})
			return p.value("directory.base_dn", "Base DN", preset, nil)
		},
		test: func() ([]admin.Finding, error) {
			return p.withTests(func(ctx context.Context, f admin.FirstStart) ([]admin.Finding, error) {
				all, err := f.Reach(ctx, directory.ToPeople)
				if err != nil {
					return nil, err
				}
				all = slices.DeleteFunc(all, func(one admin.Finding) bool {
					return one.Level == admin.OK && (strings.HasPrefix(one.Name, "directory: connect") ||
						strings.HasPrefix(one.Name, "directory: service bind"))
				})
				if slices.ContainsFunc(all, func(one admin.Finding) bool { return one.Level == admin.Failure }) {
					return all, nil
				}
				if root, err := f.Root(ctx); err == nil && root.ActiveDirectory && f.Directory.Preset != "active_directory" &&
					f.Directory.Preset != "samba" {
					all = append(all, admin.Finding{Name: "kind of directory", Level: admin.Warning,
						Detail: "it answers like Active Directory, and directory.preset is " + f.Directory.Preset,
						Hint:   "set directory.preset to active_directory or samba"})
				}
				shown, err := f.Sample(ctx)
				if err != nil {
					return nil, err
				}
				return append(append(all, sampleFindings(shown)...), p.lockouts(ctx, f)...), nil
			})
		},
	}
}

// sampleFindings show who and what was found.
func sampleFindings(s directory.Sample) []admin.Finding {
	var people, groups []string
	for _, one := range s.People {
		people = append(people, fmt.Sprintf("%s (%s)", one.Login, one.Name))
	}
	for _, one := range s.Groups {
		groups = append(groups, one.Name)
	}
	list := func(names []string, more bool) string {
		text := strings.Join(names, ", ")
		if more {
			text += ", and more"
		}
		return text
	}
	all := []admin.Finding{{Name: "people", Detail: list(people, s.MorePeople)},
		{Name: "groups", Detail: list(groups, s.MoreGroups)}}
	if len(groups) == 0 {
		all[1].Level, all[1].Detail = admin.Warning, "none were found"
		all[1].Hint = "set directory.group_base_dn, if groups are elsewhere; without groups a mapping names people one by one"
	}
	return all
}

// lockouts keeps our limit of wrong passwords below the directory's: else a stranger could lock people out of all
// that the directory is used for.
func (p *setup) lockouts(ctx context.Context, f admin.FirstStart) []admin.Finding {
	cfg, _ := p.draft.Config()
	least, window := cfg.SignIn.LoginFailures, cfg.SignIn.LoginWindow
	for _, policy := range f.Lockouts(ctx) {
		if policy.Threshold > 1 && policy.Threshold <= least {
			least = policy.Threshold - 1
		}
		if policy.Threshold > 0 && policy.Window <= 24*time.Hour {
			window = max(window, policy.Window)
		}
	}
	var all []admin.Finding
	set := func(key, value, why string) {
		finding := admin.Finding{Name: key, Detail: "set to " + value + ", " + why}
		if err := p.draft.Answer(key, value); err != nil || p.draft.ByEnvironment(key) != "" {
			finding.Level, finding.Detail, finding.Hint = admin.Warning, why, "set "+key+" to "+value
		}
		all = append(all, finding)
	}
	if least != cfg.SignIn.LoginFailures {
		set("sign_in.login_failures", strconv.Itoa(least), "below the limit at which the directory locks an account")
	}
	if window != cfg.SignIn.LoginWindow {
		set("sign_in.login_window", config.FormatDuration(window), "as long as the directory remembers wrong passwords")
	}
	return all
}
