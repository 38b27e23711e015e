package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"ssobridge/store"
)

type secretsCmd struct {
	Status secretsStatusCmd `cmd:"" help:"Show which secret keys are in use, and what still needs an old one."`
	Rotate secretsRotateCmd `cmd:"" help:"Make anew, with the secret key in use, what an old one has made."`
}

const secretsHelp = `Replace the secret key, while everybody goes on signing in:

  1. openssl rand -base64 32 > secret_key_2027
  2. secret_keys: [secret_key, secret_key_2027]     on every replica, then restart each: now all know both
  3. secret_keys: [secret_key_2027, secret_key]     on every replica, then restart each: now the new one is in use
  4. ssobridge secrets rotate

The old one stays in secret_keys: sessions, recovery codes, the journal and checkpoints of the audit log that it has vouched for are still
read with it. It makes nothing new.`

// withSecrets runs a command on the parts.
func withSecrets(s *session, do func(*Parts) error) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return do(p)
}

type secretsStatusCmd struct {
	JSON bool `name:"json" help:"As JSON."`
}

// Help is shown by secrets status --help.
func (secretsStatusCmd) Help() string { return secretsHelp }

// secretKeyStatus is one secret key, as secrets status shows it.
type secretKeyStatus struct {
	ID        string         `json:"id"`
	State     string         `json:"state"` // in_use, known, missing
	FirstUsed string         `json:"first_used,omitempty"`
	NeededBy  map[string]int `json:"needed_by"`
}

type secretsStatus struct {
	Keys     []secretKeyStatus `json:"secret_keys"`
	Replicas []secretsReplica  `json:"replicas"`
	needs    []need
}

type secretsReplica struct {
	ID         string   `json:"id"`
	SecretKeys []string `json:"secret_keys"`
}

// secretsStatus gathers what is known of the secret keys.
func (p *Parts) secretsStatus(s *session) (status secretsStatus, err error) {
	used, err := p.Store.SecretKeys().List(s.ctx)
	if err != nil {
		return status, err
	}
	if status.needs, err = p.needs(s.ctx); err != nil {
		return status, err
	}
	running, err := p.Store.Replicas().Running(s.ctx)
	if err != nil {
		return status, err
	}
	known := p.secretKeyIDs()
	ids := slices.Clone(known)
	first := map[string]store.SecretKey{}
	for _, k := range used {
		first[k.ID] = k
		if !slices.Contains(ids, k.ID) {
			ids = append(ids, k.ID)
		}
	}
	for _, id := range ids {
		k := secretKeyStatus{ID: id, State: "known", NeededBy: map[string]int{}}
		switch {
		case id == known[0]:
			k.State = "in_use"
		case !slices.Contains(known, id):
			k.State = "missing"
		}
		if u, noted := first[id]; noted {
			k.FirstUsed = day(u.FirstUsed)
		}
		for _, n := range status.needs {
			if c := n.count[id]; c > 0 {
				k.NeededBy[n.what] = c
			}
		}
		status.Keys = append(status.Keys, k)
	}
	for _, r := range running {
		status.Replicas = append(status.Replicas, secretsReplica{r.ID, r.SecretKeys})
	}
	return status, nil
}

// Run shows it.
func (c *secretsStatusCmd) Run(s *session) error {
	return withSecrets(s, func(p *Parts) error {
		status, err := p.secretsStatus(s)
		if err != nil {
			return err
		}
		if c.JSON {
			e := json.NewEncoder(s.stdout)
			e.SetIndent("", "  ")
			return e.Encode(status)
		}
		w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "SECRET KEY\tSTATE\tFIRST USED\tNEEDED BY")
		for _, k := range status.Keys {
			var needed []string
			for _, what := range slices.Sorted(maps.Keys(k.NeededBy)) {
				i := slices.IndexFunc(status.needs, func(n need) bool { return n.what == what })
				needed = append(needed, status.needs[i].times(k.NeededBy[what]))
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, strings.ReplaceAll(k.State, "_", " "), orDash(k.FirstUsed), orDash(strings.Join(needed, ", ")))
		}
		if len(status.Replicas) > 0 {
			fmt.Fprintln(w, "\nREPLICA\tKNOWS")
			for _, r := range status.Replicas {
				fmt.Fprintf(w, "%s\t%s\n", r.ID, strings.Join(r.SecretKeys, ", "))
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		for _, n := range status.needs {
			if c := n.count[""]; c > 0 {
				s.printf("\n%s can't be opened by any secret key of the configuration.\n", n.times(c))
			}
			if n.goes != "" && slices.ContainsFunc(status.Keys[1:], func(k secretKeyStatus) bool { return k.NeededBy[n.what] > 0 }) {
				s.printf("\n%s: %s\n", n.what, n.goes)
			}
		}
		return nil
	})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

type secretsRotateCmd struct{}

// Help is shown by secrets rotate --help.
func (secretsRotateCmd) Help() string { return secretsHelp }

// Run makes it anew.
func (secretsRotateCmd) Run(s *session) error {
	return withSecrets(s, func(p *Parts) error {
		// A replica that does not know the secret key in use could not read what is made now.
		lacks, err := newReplica(p).lacking(s.ctx)
		if err != nil {
			return err
		}
		if len(lacks) > 0 {
			return badInput(fmt.Errorf("the secret key in use here, %s, is not known to the running %s", p.secretKeyIDs()[0], strings.Join(lacks, ", ")),
				"add it to secret_keys on every replica and restart each. Nothing was changed")
		}
		if err := p.Store.SecretKeys().Use(s.ctx, p.secretKeyIDs()[0], s.event("secret-key-use", p.secretKeyIDs()[0])); err != nil {
			return err
		}
		changed, err := p.rotate(s.ctx, s.event("", ""))
		if err != nil {
			return err
		}
		s.printf("made anew with secret key %s: %s\n", p.secretKeyIDs()[0], plural(changed, "thing", "things"))
		return nil
	})
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// checkSecrets compares the secret keys of the configuration with those that the store and the running replicas need.
func checkSecrets(ctx context.Context, r *report, p *Parts) {
	const what = "secret keys"
	if err := p.secretKeysThere(ctx); err != nil {
		r.fail(what, err, "put the file of that secret key into secret_keys")
		return
	}
	lacks, err := newReplica(p).lacking(ctx)
	switch {
	case err != nil:
		r.fail(what, err, "")
	case len(lacks) > 0:
		r.fail(what, fmt.Errorf("the one in use here, %s, is not known to the running %s", p.secretKeyIDs()[0], strings.Join(lacks, ", ")),
			"add it as the second one of secret_keys on every replica before it becomes the first one on any")
	default:
		r.ok(what, "in use "+p.secretKeyIDs()[0]+", known "+strconv.Itoa(len(p.secretKeyIDs())))
	}
}
