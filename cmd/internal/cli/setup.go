package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"ssobridge/certs"
	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/web/admin"
)

type setupCmd struct {
	asJSON

	Set       map[string]string `placeholder:"KEY=VALUE" mapsep:"none" help:"Answer by a key of the configuration, such as directory.base_dn=dc=example,dc=com; a list as A,B or [A, B]. Can be given several times."`
	PublicURL string            `placeholder:"URL" help:"Answer to the first question: where browsers reach the bridge."`
	User      string            `placeholder:"NAME" help:"The user that the bridge runs as: files that root writes become readable for this user. For root alone. Default: ssobridge, if that user exists."`
	Algorithm string            `enum:"rsa-2048,rsa-3072,p-256,p-384" default:"rsa-3072" help:"Kind of the first signing key: rsa-3072, rsa-2048, p-256 or p-384."`
	Create    bool              `help:"Create a new database although a secret key exists: the old database is lost for good."`
	NoConsole bool              `help:"Leave out the question about administrators: there is no admin console then."`
	NoInput   bool              `help:"Ask nothing, not even at a terminal: a missing answer is an error. So does --json."`
}

// Help is shown by setup --help.
func (setupCmd) Help() string {
	return `It asks six questions: public URL, directory, its service account, where people are, the credentials of Constant Contact, the group of administrators. Each answer is tested at once: the directory is connected to and searched, a token is asked for. What is right is kept and not asked for again, so that it can be run any time. Nothing is written before all six are answered; a file with a secret is never replaced.

The files are those of --config, by default /etc/ssobridge/ssobridge.yaml. Secrets go into files of their own beside it.

Without a terminal nothing is asked. Answers come by --set, by the variables of the configuration (SSOBRIDGE_DIRECTORY_BASE_DN for directory.base_dn) and by the files of secrets. What comes by a variable is not written into the file, since the bridge reads it there too. What is missing is named, with exit code 2; a failed test is exit code 1.

Examples:

    sudo ssobridge setup

    ssobridge setup --no-input --public-url https://sso.example.com --set directory.preset=openldap --set directory.urls=ldaps://ldap.example.com --set directory.bind_dn=cn=reader,dc=example,dc=com --set directory.bind_password_file=/run/secrets/bind_password --set directory.base_dn=dc=example,dc=com`
}

// setup is one run of the command.
type setup struct {
	*invocation

	c       *setupCmd
	draft   *config.Draft
	report  *report
	first   bool // there is no store yet
	asks    bool // somebody can be asked
	unread  bool // a question about the directory has failed: those that build on it say nothing new
	missing []string
}

// Run asks, tests and writes.
func (c *setupCmd) Run(s *invocation) error {
	draft, err := config.OpenDraft(s.config, s.environ)
	if err != nil {
		return err
	}
	if c.PublicURL != "" {
		if c.Set == nil {
			c.Set = map[string]string{}
		}
		c.Set["public_url"] = c.PublicURL
	}
	for _, key := range slices.Sorted(maps.Keys(c.Set)) {
		if err := draft.Answer(key, c.Set[key]); err != nil {
			return err
		}
	}
	_, asks := s.terminalOf()
	p := &setup{invocation: s, c: c, draft: draft, report: &report{s: s}, asks: asks && !c.NoInput && !c.JSON}
	readers, err := p.readers()
	if err != nil {
		return err
	}
	p.place(readers)
	if p.first, err = p.firstStart(); err != nil {
		return err
	}
	if err := p.writable(); err != nil { // before six questions are answered for nothing
		return err
	}
	if p.asks {
		s.printf("This sets up the bridge in %s. Press Enter for what stands in [brackets]. Nothing is written before the end.\n",
			s.config)
	}
	for _, q := range p.questions() {
		if err := p.answer(q); err != nil {
			return p.stopped(err)
		}
	}
	if len(p.missing) > 0 {
		return badInput(errors.New("nobody can be asked, and these are missing:\n  "+strings.Join(p.missing, "\n  ")),
			"give them by --set KEY=VALUE or by the variable, and secrets by a file or the variable; nothing was written")
	}
	if p.report.failures > 0 {
		if err := p.report.end(); err != nil {
			return err
		}
		return failed(fmt.Errorf("%d of the tests failed", p.report.failures),
			"do what stands below each FAIL; nothing was written")
	}
	return p.finish(readers)
}

// stopped says what an end in the middle means.
func (p *setup) stopped(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return failed(errors.New("setup was not finished: the input ended"), "nothing was written; run it again")
	case errors.Is(err, context.Canceled):
		return failed(errors.New("setup was interrupted"), "nothing was written; run it again")
	}
	return err
}

// question is one of the six.
type question struct {
	title string
	keys  []string // that it answers; in the order in which they are asked for
	reads bool     // the directory, by what the questions before it have found out
	ask   func(again bool) error
	// test tries the answers: what it finds is printed. It is not called while a key is missing or has a fault.
	test func() ([]admin.Finding, error)
}

// answer goes on until a question is answered right. Without anybody to ask it notes what is missing.
func (p *setup) answer(q question) error {
	if p.asks {
		p.printf("\n%s\n", q.title)
	}
	for again := false; ; again = true {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		for _, key := range p.without(q) {
			if name := p.draft.ByEnvironment(key); name != "" { // it is taken before every answer
				return badInput(fmt.Errorf("%s is set to nothing", name),
					"give it a value, or take it out of the environment; nothing was written")
			}
		}
		if missing := p.lacks(q); len(missing) > 0 || again {
			if !p.asks {
				p.missing = append(p.missing, missing...)
				return nil
			}
			if err := q.ask(again); err != nil {
				return err
			}
		}
		if p.unread && q.reads {
			return nil
		}
		found, err := p.try(q)
		if err != nil {
			return err
		}
		bad := false
		for _, f := range found {
			p.report.add(f)
			bad = bad || f.Level == admin.Failure
		}
		if !bad {
			return nil
		}
		if !p.asks {
			p.unread = p.unread || strings.HasPrefix(q.keys[0], "directory.")
			return nil // the report has counted it
		}
		p.report.failures = 0
		if name := p.fixed(q); name != "" {
			return badInput(fmt.Errorf("%s comes from the environment, and is not right", name),
				"change it there; nothing was written")
		}
	}
}

// lacks are the keys of a question without a value, with the names by which they can be given.
func (p *setup) lacks(q question) []string {
	all := p.without(q)
	for i, key := range all {
		all[i] = key + " (" + config.VariableOf(key) + ")"
	}
	return all
}

// without are the keys of a question without a value.
func (p *setup) without(q question) []string {
	cfg, _ := p.draft.Config()
	values := map[string]bool{}
	for _, one := range cfg.Settings() {
		values[one.Key] = one.Value != ""
	}
	var all []string
	for _, key := range q.keys {
		if !values[key] {
			all = append(all, key)
		}
	}
	return all
}

// fixed is a variable of the environment that gives all of what a question asks for: no answer can change it.
func (p *setup) fixed(q question) string {
	name := ""
	for _, key := range q.keys {
		if name = p.draft.ByEnvironment(key); name == "" {
			return ""
		}
	}
	return name
}

// try looks for faults of the keys, and then tests them.
func (p *setup) try(q question) ([]admin.Finding, error) {
	if len(p.lacks(q)) > 0 {
		return []admin.Finding{{Name: q.title, Level: admin.Failure, Detail: "an answer is missing"}}, nil
	}
	_, all := p.draft.Config()
	var found []admin.Finding
	for _, f := range config.Faults(all, q.keys...) {
		found = append(found, admin.Finding{Name: f.Key, Level: admin.Failure, Detail: f.Text, Hint: f.Fix})
	}
	if len(found) > 0 {
		return found, nil
	}
	found, err := q.test()
	if e, ok := admin.AsError(err); ok {
		return []admin.Finding{{Name: q.title, Level: admin.Failure, Detail: e.Text(), Hint: e.Hint, Act: e.Act,
			About: e.About}}, nil
	}
	return found, err
}

// tests are what the answers are tried with.
func (p *setup) tests() (admin.FirstStart, error) {
	cfg, _ := p.draft.Config()
	return server.FirstStart(&cfg, p.now, slog.New(slog.DiscardHandler))
}

// line asks for one value. An empty line takes the preset; without one it is asked for again.
func (p *setup) line(question, preset string) (string, error) {
	if preset != "" {
		question += " [" + preset + "]"
	}
	for {
		text, err := p.readAnswer(p.ctx, question+": ", false)
		switch text = strings.TrimSpace(text); {
		case errors.Is(err, errLongAnswer), errors.Is(err, errNoText):
			p.printf("%v\n", err)
		case err != nil:
			return "", err
		case text == "" && preset == "":
			p.printf("An answer is needed here.\n")
		case text == "":
			return preset, nil
		default:
			return text, nil
		}
	}
}

// value asks for the value of a key, with the one that it has as the preset.
func (p *setup) value(key, question, preset string, shape func(string) string) error {
	if name := p.draft.ByEnvironment(key); name != "" {
		p.printf("%s comes from %s.\n", question, name)
		return nil
	}
	cfg, _ := p.draft.Config()
	for _, one := range cfg.Settings() {
		if one.Key == key && one.Value != "" {
			preset = one.Value
		}
	}
	for {
		text, err := p.line(question, preset)
		if err != nil {
			return err
		}
		if shape != nil {
			text = shape(text)
		}
		err = p.draft.Answer(key, text)
		fault, ok := errors.AsType[*config.Error](err)
		if !ok {
			return err
		}
		p.printf("%s\n", fault.Faults[0])
	}
}

// secret asks for a secret, unless a file or a variable has it: those are never replaced.
func (p *setup) secret(key, question string) error {
	cfg, _ := p.draft.Config()
	for _, one := range cfg.Settings() {
		if one.Key != key || one.Value == "" {
			continue
		}
		if name := p.draft.ByEnvironment(key); name != "" {
			p.printf("%s comes from %s.\n", question, name)
			return nil
		}
		p.printf("%s stands in %s, which is never replaced. If it is wrong, correct that file.\n", question,
			p.draft.SecretFile(key))
		_, err := p.readAnswer(p.ctx, "Press Enter to try again: ", false)
		return err
	}
	for {
		text, err := p.readAnswer(p.ctx, question+" (not shown): ", true)
		switch {
		case errors.Is(err, errLongAnswer), errors.Is(err, errNoText), errors.Is(err, errControl):
			p.printf("%v\n", err)
		case err != nil:
			return err
		case strings.TrimSpace(text) == "":
			p.printf("An answer is needed here.\n")
		default:
			err := p.draft.AnswerSecret(key, config.Secret(text))
			fault, ok := errors.AsType[*config.Error](err)
			if !ok {
				return err
			}
			p.printf("%s\n", fault.Faults[0])
		}
	}
}

// algorithm of the first key.
func (c *setupCmd) algorithm() certs.Algorithm { return certs.Algorithm(c.Algorithm) }
