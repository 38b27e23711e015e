package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type tokensCmd struct {
	Create tokensCreateCmd `cmd:"" help:"Make a token. It is shown this once."`
	List   tokensListCmd   `cmd:"" help:"List the tokens, with their scopes, ends and last uses."`
	Rotate tokensRotateCmd `cmd:"" help:"Put another token in the place of one, with an overlap."`
	Revoke tokensRevokeCmd `cmd:"" help:"End a token, at once."`
}

// jsonToken is a token as JSON. The token itself stands in what create and rotate print, and nowhere else.
type jsonToken struct {
	ID        string            `json:"id"`
	Token     string            `json:"token,omitempty"`
	Name      string            `json:"name"`
	State     string            `json:"state"`
	Scopes    []string          `json:"scopes"`
	Accounts  []store.AccountID `json:"accounts,omitempty"`
	Networks  []string          `json:"from,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	CreatedBy string            `json:"created_by"`
	VouchedBy store.PersonID    `json:"vouched_by,omitempty"`
	ExpiresAt time.Time         `json:"expires_at"`
	RevokedAt *time.Time        `json:"revoked_at,omitempty"`
	Replaced  string            `json:"replaced_by,omitempty"`
	UsedAt    *time.Time        `json:"used_at,omitempty"`
	UsedFrom  string            `json:"used_from,omitempty"`
	Key       *jsonTokenKey     `json:"key,omitempty"`
}

// jsonTokenKey is what a client with a key proves itself by, and how many access tokens of it can be used.
type jsonTokenKey struct {
	Algorithm  string `json:"algorithm"`
	Thumbprint string `json:"thumbprint"`
	Access     int    `json:"access_tokens"`
}

func newJSONToken(t admin.Token, text string) jsonToken {
	j := jsonToken{ID: t.ID, Token: text, Name: t.Name, State: t.State, Scopes: t.Scopes, Accounts: t.Accounts,
		Networks: t.Networks, CreatedAt: t.CreatedAt.UTC(), CreatedBy: t.CreatedBy, VouchedBy: t.VouchedBy,
		ExpiresAt: t.ExpiresAt.UTC(), Replaced: t.Replaced, UsedFrom: t.UsedFrom}
	for at, field := range map[*time.Time]**time.Time{&t.RevokedAt: &j.RevokedAt, &t.UsedAt: &j.UsedAt} {
		if !at.IsZero() {
			*field = new(at.UTC())
		}
	}
	if t.Key != "" {
		j.Key = &jsonTokenKey{t.Algorithm, t.Thumbprint, t.Access}
	}
	return j
}

// maxPublicKeyFile bounds the file of a public key, in bytes.
const maxPublicKeyFile = 16 << 10

// publicKey reads the file of a public key; "" where none was named. A file that was named and says nothing is refused:
// a token, which is a secret, would be made in place of the client.
func (s *invocation) publicKey(path *string) (string, error) {
	if path == nil {
		return "", nil
	}
	data, err := s.readInput(*path, maxPublicKeyFile)
	if err == nil && len(bytes.TrimSpace(data)) == 0 {
		err = badInput(fmt.Errorf("%s has no public key", *path), "give one public key in PEM or as a JWK")
	}
	return string(data), err
}

type tokensCreateCmd struct {
	asJSON

	Name    string   `arg:"" help:"Which program uses it, for whoever reads the list and the audit log."`
	Scope   []string `required:"" placeholder:"SCOPE" help:"What it may do, such as accounts:read; several with commas between, or given several times."`
	Days    int      `required:"" placeholder:"DAYS" help:"For how many days: 1 to 365, and at most 30 with a privileged scope."`
	Account []string `placeholder:"ID" help:"The client account that it is confined to; several with commas between. Default: all."`
	From    []string `placeholder:"NETWORK" help:"From where it may be used, such as 192.0.2.7 or 10.20.0.0/16; several with commas between. Default: anywhere."`
	Key     *string  `name:"public-key" placeholder:"FILE" help:"The public key by which the program proves itself, in PEM or as a JWK. No token is made then."`
	Login   string   `placeholder:"LOGIN" help:"Who gives the second factor that a privileged scope needs: a member of console.admin_group."`
	Code    string   `placeholder:"CODE" help:"Their code, of an authenticator app or a recovery code; asked for at a terminal."`
}

// Help is shown by tokens create --help.
func (tokensCreateCmd) Help() string {
	var b strings.Builder
	b.WriteString("The token is shown this once: the store keeps a hash of it. Whoever has it can do what its scopes say, so " +
		"give each program its own, with few scopes, and name the networks that it calls from. The scopes, and what " +
		"somebody could do who has stolen the token; none gives another:\n\n")
	for _, scope := range admin.TokenScopes() {
		privileged := ""
		if scope.Privileged {
			privileged = " (privileged)"
		}
		fmt.Fprintf(&b, "    %-16s %s%s. A thief could %s.\n", scope.Name, scope.Gives, privileged, scope.Risk)
	}
	b.WriteString("\nA privileged scope needs the second factor of an administrator, by --login and --code, and the token " +
		"ends after 30 days at the latest. The REST API is served where api.enabled is true.\n\n" +
		"With --public-key the program is a client with a key: nothing is shown, because no secret exists. It signs a JWT " +
		"with its private key, and gets an access token for 15 minutes at api/v1/token. The key decides its algorithm: " +
		"ES256 (EC on P-256), EdDSA (Ed25519), RS256 (RSA of 2048 bits or more), or PS256 by the alg of a JWK.\n\n" +
		"Examples:\n\n    ssobridge tokens create billing --scope accounts:read --days 90 --from 192.0.2.7\n\n" +
		"    ssobridge tokens create shop --scope users:read,users:write --account a07e1lxqqqo0 --days 30\n\n" +
		"    ssobridge tokens create crm --scope users:read --days 90 --public-key crm.pem")
	return b.String()
}

// Run makes one.
func (c *tokensCreateCmd) Run(s *invocation, p *server.App) error {
	in := admin.TokenInput{Name: c.Name, Scopes: c.Scope, Accounts: c.Account, Networks: c.From,
		Life: time.Duration(c.Days) * 24 * time.Hour}
	var err error
	if in.PublicKey, err = s.publicKey(c.Key); err != nil {
		return err
	}
	if in.VouchedBy, err = s.vouch(p, c.Scope, c.Login, c.Code); err != nil {
		return err
	}
	made, err := p.APITokens().Create(s.ctx, s.scope(), in, s.event("", ""))
	if err != nil {
		return err
	}
	return s.newToken(p, made)
}

// vouch takes the second factor that a privileged scope needs. Without one in the list nothing is asked.
func (s *invocation) vouch(p *server.App, scopes []string, login, code string) (store.PersonID, error) {
	for _, name := range scopes {
		if scope, known := admin.FindTokenScope(name); known && scope.Privileged {
			return s.prove(p, login, code, "the scope "+name+" needs the second factor of an administrator")
		}
	}
	return "", nil
}

func (s *invocation) newToken(p *server.App, made admin.NewToken) error {
	if !p.Config.API.Enabled {
		s.warn("the REST API is not served: set api.enabled to true, and restart the bridge")
	}
	if s.json {
		return s.object(newJSONToken(made.Token, made.Text))
	}
	if made.Key != "" {
		s.printf("client %s (%s) proves itself by a key (%s, thumbprint %s), valid until %s\n", made.ID,
			plaintext.Line(made.Name, 100), made.Algorithm, made.Thumbprint, made.ExpiresAt.UTC().Format(time.RFC3339))
		return nil
	}
	s.printf("%s\n\nThis is shown once. It is token %s (%s), valid until %s.\n", made.Text, made.ID,
		plaintext.Line(made.Name, 100), made.ExpiresAt.UTC().Format(time.RFC3339))
	return nil
}

type tokensListCmd struct {
	asJSON
}

// Help is shown by tokens list --help.
func (tokensListCmd) Help() string {
	return "Also those that ended within the last 30 days. Last uses are kept to a minute.\n\nExample:\n\n" +
		"    ssobridge tokens list"
}

// Run lists them.
func (c *tokensListCmd) Run(s *invocation, p *server.App) error {
	all, err := p.APITokens().List(s.ctx, s.scope())
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.printf("there is no API token\n")
		return nil
	}
	t := s.table(c.asJSON, "TOKEN", "NAME", "STATE", "EXPIRES (UTC)", "LAST USED (UTC)", "FROM", "ACCOUNTS", "SCOPES",
		"KEY")
	for _, one := range all {
		accounts := make([]string, 0, len(one.Accounts))
		for _, id := range one.Accounts {
			accounts = append(accounts, string(id))
		}
		t.row(newJSONToken(one, ""), one.ID, plainText(one.Name), one.State, when(one.ExpiresAt), when(one.UsedAt),
			cmp.Or(strings.Join(one.Networks, " "), "anywhere"), cmp.Or(strings.Join(accounts, " "), "all"),
			strings.Join(one.Scopes, " "), tokenKey(one))
	}
	return t.end()
}

// tokenKey says by which key a client proves itself, and how many access tokens of it can be used.
func tokenKey(t admin.Token) string {
	if t.Key == "" {
		return ""
	}
	return fmt.Sprintf("%s, %s", t.Algorithm, plaintext.Count(t.Access, "access token", "access tokens"))
}

type tokensRotateCmd struct {
	asJSON

	ID      string        `arg:"" help:"The token's id, as tokens list shows it."`
	Overlap time.Duration `default:"24h" help:"For how long the old one can still be used, 0s to 720h; 0s revokes it at once."`
	Days    int           `placeholder:"DAYS" help:"For how many days the new one is valid. Default: as long as the old one was."`
	Key     *string       `name:"public-key" placeholder:"FILE" help:"Of a client with a key: its next public key, in PEM or as a JWK."`
	Login   string        `placeholder:"LOGIN" help:"Who gives the second factor that a privileged scope needs: a member of console.admin_group."`
	Code    string        `placeholder:"CODE" help:"Their code, of an authenticator app or a recovery code; asked for at a terminal."`
}

// Help is shown by tokens rotate --help.
func (tokensRotateCmd) Help() string {
	return "The new token has the scopes, client accounts and networks of the old one. It is shown this once. After a " +
		"restore of the database the old one counts as revoked, also within its overlap. A client with a key gets a new id and " +
		"a new key (--public-key).\n\nExample:\n\n    ssobridge tokens rotate mfzwizltnf --overlap 72h"
}

// Run rotates.
func (c *tokensRotateCmd) Run(s *invocation, p *server.App) error {
	old, err := p.APITokens().Get(s.ctx, s.scope(), c.ID)
	if err != nil {
		return err
	}
	r := admin.Rotation{Overlap: c.Overlap, Life: time.Duration(c.Days) * 24 * time.Hour}
	if r.PublicKey, err = s.publicKey(c.Key); err != nil {
		return err
	}
	if r.VouchedBy, err = s.vouch(p, old.Scopes, c.Login, c.Code); err != nil {
		return err
	}
	made, err := p.APITokens().Rotate(s.ctx, s.scope(), c.ID, r, s.event("", ""))
	if err != nil {
		return err
	}
	return s.newToken(p, made)
}

type tokensRevokeCmd struct {
	asJSON

	ID string `arg:"" help:"The token's id, as tokens list shows it."`
}

// Help is shown by tokens revoke --help.
func (tokensRevokeCmd) Help() string {
	return "The next call with it is refused, on every replica. A restore of the database does not bring it back.\n\n" +
		"Example:\n\n    ssobridge tokens revoke mfzwizltnf"
}

// Run revokes.
func (c *tokensRevokeCmd) Run(s *invocation, p *server.App) error {
	if err := p.APITokens().Revoke(s.ctx, s.scope(), c.ID, s.event("", "")); err != nil {
		return err
	}
	if c.JSON {
		return s.object(struct {
			ID      string `json:"id"`
			Revoked bool   `json:"revoked"`
		}{c.ID, true})
	}
	s.printf("revoked API token %s\n", c.ID)
	return nil
}
