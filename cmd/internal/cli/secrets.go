package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/web/admin"
)

type secretsCmd struct {
	Status secretsStatusCmd `cmd:"" help:"Show which secret keys are in use, and what still needs an old one."`
	Rotate secretsRotateCmd `cmd:"" help:"Make anew, with the secret key in use, what an old one has made."`
	Remove secretsRemoveCmd `cmd:"" help:"Remove an old secret key, when nothing needs it any more."`
}

const secretsHelp = `Replace the secret key, while everybody goes on signing in:

  1. openssl rand -base64 32 > secret_key_2027
  2. secret_keys: [secret_key, secret_key_2027]     on every replica, then restart each: now all know both
  3. secret_keys: [secret_key_2027, secret_key]     on every replica, then restart each: now the new one is in use
  4. ssobridge secrets rotate
  5. ssobridge secrets remove ID                    with the id that ssobridge secrets status shows for the old one
  6. secret_keys: [secret_key_2027]                 on every replica, then restart each: the old one can be destroyed with the backups from before, which need it

Rotate makes anew what the old one has sealed or vouched for: signing keys, second factors, sessions, started sign-ins. Recovery codes and invitations can't be made anew: remove is refused while there are some, or ends them with --void.`

type secretsStatusCmd struct {
	asJSON
}

// Help is shown by secrets status --help.
func (secretsStatusCmd) Help() string { return secretsHelp }

// secretKeyStatus is one secret key, as secrets status shows it.
type secretKeyStatus struct {
	ID        string         `json:"id"`
	State     string         `json:"state"` // in_use, known, missing, removed
	FirstUsed string         `json:"first_used,omitempty"`
	NeededBy  map[string]int `json:"needed_by"`
}

type secretsStatus struct {
	Keys     []secretKeyStatus `json:"secret_keys"`
	Replicas []secretsReplica  `json:"replicas"`
}

type secretsReplica struct {
	ID         string   `json:"id"`
	SecretKeys []string `json:"secret_keys"`
}

func secretsJSON(status admin.SecretsStatus) (out secretsStatus) {
	for _, k := range status.Keys {
		one := secretKeyStatus{ID: k.ID, State: k.State, NeededBy: map[string]int{}}
		if !k.FirstUsed.IsZero() {
			one.FirstUsed = day(k.FirstUsed)
		}
		for _, n := range k.NeededBy {
			one.NeededBy[n.What] = n.Count
		}
		out.Keys = append(out.Keys, one)
	}
	for _, r := range status.Replicas {
		out.Replicas = append(out.Replicas, secretsReplica{r.ID, r.SecretKeys})
	}
	return out
}

// Run shows it.
func (c *secretsStatusCmd) Run(s *invocation, p *server.App) error {
	status, err := p.Secrets().Status(s.ctx, s.scope())
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(secretsJSON(status))
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SECRET KEY\tSTATE\tFIRST USED\tNEEDED BY")
	for _, k := range status.Keys {
		needed := make([]string, 0, len(k.NeededBy))
		for _, n := range k.NeededBy {
			needed = append(needed, n.Text())
		}
		first := ""
		if !k.FirstUsed.IsZero() {
			first = day(k.FirstUsed)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, strings.ReplaceAll(k.State, "_", " "), orDash(first),
			orDash(strings.Join(needed, ", ")))
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
	for _, n := range status.Lost {
		s.printf("\n%s can't be opened by any secret key of the configuration.\n", n.Text())
	}
	var said []string
	for _, k := range status.Keys[1:] {
		for _, n := range k.NeededBy {
			if n.Goes != "" && !slices.Contains(said, n.What) {
				said = append(said, n.What)
				s.printf("\n%s: %s\n", n.What, goes(n))
			}
		}
	}
	return nil
}

// goes says how what an old secret key has made goes away.
func goes(n admin.Needed) string {
	if n.Voids {
		return n.Goes + "; secrets remove --void ends them"
	}
	return n.Goes
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

type secretsRotateCmd struct{ asJSON }

// Help is shown by secrets rotate --help.
func (secretsRotateCmd) Help() string { return secretsHelp }

// Run makes it anew.
func (secretsRotateCmd) Run(s *invocation, p *server.App) error {
	id, changed, err := p.Secrets().Rotate(s.ctx, s.scope(), s.event("", ""))
	if err != nil {
		return err
	}
	s.printf("made anew with secret key %s: %s\n", id, plaintext.Count(changed, "thing", "things"))
	return s.object(struct {
		ID     string `json:"secret_key"`
		Remade int    `json:"made_anew"`
	}{id, changed})
}

type secretsRemoveCmd struct {
	asJSON

	ID   string `arg:"" help:"Id of the secret key, as ssobridge secrets status shows it."`
	Void bool   `help:"End the recovery codes and invitations that need it. People make new codes at /factors."`
}

// Help is shown by secrets remove --help.
func (secretsRemoveCmd) Help() string {
	return secretsHelp + `

What it has signed of the audit log is still verified: its public key stays, vouched for by the secret key in use. Whoever stands on a login page that was opened before step 3 starts that sign-in again, and so do forms of the admin console; references on error pages from then carry no reason any more. Start a new file for audit.sink: lines of the revocation journal in the old one are no longer read.`
}

// Run removes it.
func (c *secretsRemoveCmd) Run(s *invocation, p *server.App) error {
	done, err := p.Secrets().Remove(s.ctx, s.scope(), c.ID, c.Void, s.event("", ""))
	if c.Void && done.ID != "" { // they are ended whatever came after
		s.printf("ended: %s, %s\n", plaintext.Count(done.Codes, "set of recovery codes", "sets of recovery codes"),
			plaintext.Count(done.Invitations, "invitation", "invitations"))
	}
	out := struct {
		ID          string `json:"secret_key"`
		Removed     bool   `json:"removed"`
		Remade      int    `json:"made_anew"`
		Codes       int    `json:"recovery_codes_ended"`
		Invitations int    `json:"invitations_ended"`
	}{done.ID, err == nil, done.Changed, done.Codes, done.Invitations}
	if err != nil {
		if c.Void && done.ID != "" {
			err = errors.Join(err, s.object(out))
		}
		return err
	}
	s.printf("made anew: %s\nsecret key %s is removed: take it out of secret_keys on every replica, and restart each\n",
		plaintext.Count(done.Changed, "thing", "things"), done.ID)
	return s.object(out)
}

// checkSecrets compares the secret keys of the configuration with those that the store and the running replicas need.
func checkSecrets(ctx context.Context, r *findings, p *server.App) {
	const what = "secret keys"
	if err := p.SecretKeysThere(ctx); err != nil {
		r.fail(what, err, "put the file of that secret key into secret_keys")
		return
	}
	lacks, err := server.NewReplica(p).Lacking(ctx)
	switch {
	case err != nil:
		r.fail(what, err, "")
	case len(lacks) > 0:
		r.fail(what, fmt.Errorf("the one in use here, %s, is not known to the running %s", p.SecretKeyIDs()[0],
			strings.Join(lacks, ", ")), server.LackingFix(lacks))
	default:
		r.ok(what, "in use "+p.SecretKeyIDs()[0]+", known "+strconv.Itoa(len(p.SecretKeyIDs())))
	}
}
