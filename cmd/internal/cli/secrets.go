package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"ssobridge/certs"
	"ssobridge/cmd/internal/server"
	"ssobridge/store"
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
	JSON bool `name:"json" help:"As JSON."`
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
	needs    []server.Need
}

type secretsReplica struct {
	ID         string   `json:"id"`
	SecretKeys []string `json:"secret_keys"`
}

// secretsStatus gathers what is known of the secret keys.
func readSecretsStatus(p *server.App, s *invocation) (status secretsStatus, err error) {
	used, err := p.Store.SecretKeys().List(s.ctx)
	if err != nil {
		return status, err
	}
	if status.needs, err = p.Needs(s.ctx); err != nil {
		return status, err
	}
	running, err := p.Store.Replicas().Running(s.ctx)
	if err != nil {
		return status, err
	}
	known := p.SecretKeyIDs()
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
		case !first[id].RemovedAt.IsZero():
			k.State = "removed"
		case !slices.Contains(known, id):
			k.State = "missing"
		}
		if u, noted := first[id]; noted {
			k.FirstUsed = day(u.FirstUsed)
		}
		for _, n := range status.needs {
			if c := n.Count[id]; c > 0 {
				k.NeededBy[n.What] = c
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
func (c *secretsStatusCmd) Run(s *invocation, p *server.App) error {
	status, err := readSecretsStatus(p, s)
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(status)
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SECRET KEY\tSTATE\tFIRST USED\tNEEDED BY")
	for _, k := range status.Keys {
		var needed []string
		for _, what := range slices.Sorted(maps.Keys(k.NeededBy)) {
			i := slices.IndexFunc(status.needs, func(n server.Need) bool { return n.What == what })
			needed = append(needed, times(status.needs[i], k.NeededBy[what]))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, strings.ReplaceAll(k.State, "_", " "), orDash(k.FirstUsed),
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
	for _, n := range status.needs {
		if c := n.Count[""]; c > 0 {
			s.printf("\n%s can't be opened by any secret key of the configuration.\n", times(n, c))
		}
		if n.Goes != "" && slices.ContainsFunc(status.Keys[1:],
			func(k secretKeyStatus) bool { return k.NeededBy[n.What] > 0 }) {
			s.printf("\n%s: %s\n", n.What, n.Goes)
		}
	}
	return nil
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
func (secretsRotateCmd) Run(s *invocation, p *server.App) error {
	if err := allUpgraded(s.ctx, p); err != nil {
		return err
	}
	// A replica that does not know the secret key in use could not read what is made now.
	lacks, err := server.NewReplica(p).Lacking(s.ctx)
	if err != nil {
		return err
	}
	if len(lacks) > 0 {
		return badInput(fmt.Errorf("the secret key in use here, %s, is not known to the running %s", p.SecretKeyIDs()[0],
			strings.Join(lacks, ", ")),
			"add it to secret_keys on every replica and restart each. Nothing was changed")
	}
	if err := p.Store.SecretKeys().Use(s.ctx, p.SecretKeyIDs()[0], s.event("secret-key-use",
		p.SecretKeyIDs()[0])); err != nil {
		return err
	}
	changed, err := p.Rotate(s.ctx, s.event("", ""))
	if err != nil {
		return err
	}
	s.printf("made anew with secret key %s: %s\n", p.SecretKeyIDs()[0], plural(changed, "thing", "things"))
	return nil
}

type secretsRemoveCmd struct {
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
	if err := allUpgraded(s.ctx, p); err != nil {
		return err
	}
	id, public, err := removableSecret(s.ctx, p, c.ID)
	if err != nil {
		return err
	}
	if c.Void {
		sets, invitations, err := p.IdP.Factors().Void(s.ctx, id, s.event("", ""))
		if err != nil {
			return err
		}
		s.printf("ended: %s, %s\n", plural(sets, "set of recovery codes", "sets of recovery codes"),
			plural(invitations, "invitation", "invitations"))
	}
	changed, err := p.Rotate(s.ctx, s.event("", ""))
	if err != nil {
		return err
	}
	// What it has vouched for and is not in the chain yet would count as foreign later.
	if err := chainAll(s.ctx, p); err != nil {
		return err
	}
	needs, err := p.Needs(s.ctx)
	if err != nil {
		return err
	}
	var left, fixes []string
	for _, n := range needs {
		if count := n.Count[id.String()]; count > 0 {
			left = append(left, times(n, count))
			fixes = append(fixes, cmp.Or(n.Goes, "ssobridge secrets rotate makes them anew; what was changed in the database "+
				"can't be"))
		}
	}
	if len(left) > 0 {
		return badInput(fmt.Errorf("secret key %s is still needed by %s", id, strings.Join(left, ", ")),
			strings.Join(slices.Compact(fixes), "; "))
	}
	switch err := p.Store.SecretKeys().Remove(s.ctx, id.String(), public, s.event("secret-key-remove", id.String())); {
	case errors.Is(err, store.ErrNotFound):
		return badInput(fmt.Errorf("secret key %s was removed before, or never used", id),
			"take it out of secret_keys on every replica, and restart each")
	case err != nil:
		return fmt.Errorf("secret key %s: %w", id, err)
	}
	s.printf("made anew: %s\nsecret key %s is removed: take it out of secret_keys on every replica, and restart each\n",
		plural(changed, "thing", "things"), id)
	return nil
}

// allUpgraded refuses to make things anew with another secret key beside replicas of the version before. They know one
// alone, and announce themselves nowhere: what is made anew can't be read there, and for an hour the upgrade can still
// be taken back.
func allUpgraded(ctx context.Context, p *server.App) error {
	now, err := p.Store.OlderReplicaNow(ctx)
	if err != nil {
		return err // OlderReplicas takes a question without an answer for a no
	}
	if !now && !p.Store.OlderReplicas(ctx) {
		return nil
	}
	return badInput(errors.New("a replica of the version before this one uses this database, or did within the last "+
		"hour; it knows one secret key alone"),
		"upgrade every replica, and come back an hour after the last one was seen. Nothing was changed")
}

// removableSecret looks whether a secret key may go, as far as the configuration and the running replicas are
// concerned. It returns the public key of what it has signed of the audit log.
func removableSecret(ctx context.Context, p *server.App, text string) (id certs.KeyID, public []byte, err error) {
	known := p.Sealer.KeyIDs()
	i := slices.IndexFunc(known, func(k certs.KeyID) bool { return k.String() == strings.ToLower(store.TrimBlanks(text)) })
	switch {
	case i < 0:
		return id, nil, badInput(fmt.Errorf("secret key %.40q is not in secret_keys", text),
			"ssobridge secrets status lists the ids; one that is to be removed is still needed here, to read what it has made")
	case i == 0:
		return id, nil, badInput(fmt.Errorf("secret key %s is the one in use", known[0]),
			"put the new one first in secret_keys on every replica, and restart each")
	}
	id = known[i]
	running, err := p.Store.Replicas().Running(ctx)
	if err != nil {
		return id, nil, err
	}
	for _, r := range running {
		// It would make what nobody can read after the removal.
		if len(r.SecretKeys) > 0 && r.SecretKeys[0] == id.String() {
			return id, nil, badInput(fmt.Errorf("replica %s still uses secret key %s", r.ID, id),
				"put the new one first in its secret_keys, and restart it")
		}
		if !r.Knows(known[0].String()) {
			return id, nil, badInput(fmt.Errorf("replica %s does not know the secret key in use here, %s", r.ID, known[0]),
				"add it to its secret_keys, and restart it")
		}
	}
	key, err := p.Audit().Key(id)
	return id, key, err
}

// chainAll puts the audit events that wait into the chain. A running replica may do the same.
func chainAll(ctx context.Context, p *server.App) error {
	for {
		switch c, err := p.Store.Audit().Chain(ctx); {
		case errors.Is(err, store.ErrConflict):
		case err != nil:
			return err
		case len(c.Foreign) > 0 || c.Before > 0:
			p.ForeignEvents(c)
			fallthrough
		default:
			if !c.More {
				p.ReportForeign(ctx)
				return nil
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// times is a count with its noun.
func times(n server.Need, count int) string { return plural(count, n.One, n.What) }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
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
