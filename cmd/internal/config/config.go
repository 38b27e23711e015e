package config

import (
	"log/slog"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/mfa"
)

// Config is the whole configuration of the bridge. The comments of its fields are
// the operator's manual: docs/configuration.md and the file that `ssobridge init`
// writes are made from them.
//
// Every key can be overridden by an environment variable: SSOBRIDGE_ and the key's
// path in capitals, its parts joined by an underscore (directory.base_dn is
// SSOBRIDGE_DIRECTORY_BASE_DN); lists are written with commas between. Times are
// written with a unit: 90s, 15m, 10h. File names are relative to the folder of the
// configuration file.
type Config struct {
	// Scheme, host and port under which browsers reach the bridge. It fixes every
	// address that the bridge names, its cookies and the host it answers to. It is
	// https; http only with a loopback host such as localhost. No path.
	// Required.
	// Example: https://sso.example.com
	PublicURL string `yaml:"public_url"`

	// The name of this identity provider, byte for byte as it is registered at
	// Constant Contact, a trailing slash included. It may stay as it is when
	// public_url changes. Mostly an address; a plain word without blanks, such as
	// acme-sso, where that is what is registered. At most 256 characters.
	// Required.
	// Example: https://sso.example.com/saml/metadata
	EntityID string `yaml:"entity_id"`

	// Address and port to listen on.
	// Default 127.0.0.1:8080.
	// Example: 0.0.0.0:8443
	Listen string `yaml:"listen"`

	// The folder that holds the SQLite database. It is the only folder that the
	// bridge writes to, and nobody else should be able to read it.
	// Default data.
	// Example: /var/lib/ssobridge
	DataDir string `yaml:"data_dir"`

	// The folder for the journal of revocations: what was revoked (second factors, recovery codes, invitations, suspended
	// users, retired keys, removed mappings and service providers) is written there before it is committed, so that a
	// restored database does not bring it back. Each replica has a folder of its own, that stays when the replica is
	// started again. Keep it on another disk than the database where you can, and out of the database's backups: a folder
	// that is restored with the database knows no more than the database.
	// Default: data_dir.
	// Example: /var/lib/ssobridge-state
	StateDir string `yaml:"state_dir"`

	// Where everything is kept.
	Store Store `yaml:"store"`

	// The key that seals private keys in the store: at least 32 random bytes as
	// base64, as `ssobridge init` makes it. Without it a backup can't sign anybody
	// in, so keep a copy of it apart from the backups.
	SecretKey Secret `yaml:"secret_key"`

	// The file with secret_key.
	// Required, unless SSOBRIDGE_SECRET_KEY is set.
	// Example: secret_key
	SecretKeyFile string `yaml:"secret_key_file"`

	// Files with secret keys, in place of secret_key_file, while one secret key is
	// replaced by another. The first one is in use; what the others have made is
	// still read. A new one is added as the second on every replica first, and
	// becomes the first only then: see "Replace the secret key" in
	// docs/keys.md. At most 8.
	// Default none.
	// Example: [secret_key_2027, secret_key]
	SecretKeys []string `yaml:"secret_keys"`

	// How signing keys are rolled over.
	Keys Keys `yaml:"keys"`

	// How signatures are made.
	Signing Signing `yaml:"signing"`

	// A token that holds signing keys: a hardware security module, or SoftHSM. Keys
	// are made in it by `ssobridge keys generate --pkcs11 LABEL`. Without module no
	// token is used.
	PKCS11 PKCS11 `yaml:"pkcs11"`

	// The bridge's own TLS. Without it the bridge speaks plain HTTP, and a proxy in
	// trusted_proxies ends TLS before it.
	TLS TLS `yaml:"tls"`

	// Addresses or networks of the proxies whose X-Forwarded-For header is believed.
	// Only the client's address is taken from it, never scheme or host.
	// Default none.
	// Example: [10.0.0.7, 10.1.0.0/16]
	TrustedProxies []string `yaml:"trusted_proxies"`

	// The directory with the people: OpenLDAP, Active Directory or another LDAP server.
	Directory Directory `yaml:"directory"`

	// Constant Contact's partner API and how it knows this partner.
	ConstantContact ConstantContact `yaml:"constant_contact"`

	// What a new Constant Contact user is called.
	Provisioning Provisioning `yaml:"provisioning"`

	// How long people stay signed in at the bridge.
	Sessions Sessions `yaml:"sessions"`

	// How long what the directory has returned of a person's groups and account state is used before it is read again.
	DirectoryCache DirectoryCache `yaml:"directory_cache"`

	// Limits of a sign-in.
	SignIn SignIn `yaml:"sign_in"`

	// Who may use the admin console, at /admin/. Without any of its groups there is no
	// console.
	Console Console `yaml:"console"`

	// What is asked for beside the password: a code of an authenticator app, a passkey, or a recovery code.
	SecondFactor SecondFactor `yaml:"second_factor"`

	// How long the audit is kept, and where its checkpoints go.
	Audit Audit `yaml:"audit"`

	// How old the last backup may be.
	Backup Backup `yaml:"backup"`

	// What is kept of how each sign-in went.
	Traces Traces `yaml:"traces"`

	// Signing out at all services at once.
	Logout Logout `yaml:"logout"`

	// What our SAML metadata says about who runs the bridge, and how that of service
	// providers is read.
	Metadata Metadata `yaml:"metadata"`

	// What the pages show of the partner.
	Branding Branding `yaml:"branding"`

	// The log, on standard error.
	Log Log `yaml:"log"`

	// Figures for Prometheus.
	Metrics Metrics `yaml:"metrics"`

	secretKeys []Secret // what the files in SecretKeys hold
	origin     origin   // where the values come from
}

// Audit is about the audit log: how long its events are kept, and its checkpoints. Every ten
// seconds the chain of events is signed, so that nobody who can write the database can
// rewrite it unseen.
type Audit struct {
	// How long events are kept, by their action as `ssobridge audit list` shows it;
	// ACTION.refused, ACTION.failed and ACTION.unknown name those of one outcome alone,
	// default stands for all actions that are not named. At least 24h; 0s: for ever.
	// What is older is deleted for good. Its entry in the chain stays, with action,
	// outcome and time, so that `ssobridge audit verify` still tells it from a removed
	// one; when all events before a checkpoint are gone, the chain is cut there. An action that
	// is kept for ever keeps the chain from its first event on. Each key here takes the
	// place of the same one below; login takes that of login.refused too. As a
	// variable: default=26280h,sign-in=8760h.
	// Default {default: 9600h, login.refused: 2160h, second-factor.refused: 2160h}.
	// Example: {default: 26280h, login: 8760h, login.refused: 2160h}
	Keep map[string]time.Duration `yaml:"keep"`

	// A file to which each checkpoint is added, beside the log and the database. Keep it where
	// the database's admins can't write, for example on another machine. `ssobridge audit
	// verify --checkpoints FILE` compares the audit log with it.
	// Default none.
	// Example: /var/log/ssobridge/audit-checkpoints.jsonl
	Sink string `yaml:"sink"`
}

// Backup is about backups of the database.
type Backup struct {
	// When `ssobridge check` and the overview of the console say that the last backup is too old: one that `ssobridge
	// backup` has made, or that `ssobridge backup --record NAME` says another tool has made, as pg_dump does for
	// PostgreSQL. 0s: they don't look. Else at least 1h.
	// Default 0s.
	// Example: 26h
	MaxAge time.Duration `yaml:"max_age"`
}

// Traces is about traces: for each sign-in its steps with their durations and
// reasons, found by the reference id on a person's error page.
type Traces struct {
	// How long traces are kept. 0s: none are written.
	// Default 720h.
	// Example: 720h
	Keep time.Duration `yaml:"keep"`
}

// Console says who may use the admin console. A role belongs to the members of
// one group of the directory, direct or nested; who is in several has the highest.
type Console struct {
	// The DN of the group whose members may look at everything and change nothing.
	// Default none.
	// Example: cn=sso-viewers,ou=groups,dc=example,dc=com
	ViewerGroup string `yaml:"viewer_group"`

	// The DN of the group whose members may help people as well: try again, adopt,
	// suspend, end sessions, apply plans, tick work off.
	// Default none.
	// Example: cn=sso-operators,ou=groups,dc=example,dc=com
	OperatorGroup string `yaml:"operator_group"`

	// The DN of the group whose members may change everything: mappings, client
	// accounts, service providers, keys.
	// Default none.
	// Example: cn=sso-admins,ou=groups,dc=example,dc=com
	AdminGroup string `yaml:"admin_group"`

	// Address and port of a listener for the console alone, with the same certificate as listen. The console and signing
	// in to it are then served there, under public_url of this section, and not at listen, where /admin/ does not exist.
	// Default none: the console is served at listen.
	// Example: 10.20.0.5:8444
	Listen string `yaml:"listen"`

	// Scheme, host and port of that listener as browsers reach it. With the host of the other public_url and another port,
	// sessions and passkeys are the same for both. Another host has sessions, a login and passkeys of its own; an
	// authenticator app and recovery codes are good at both.
	// Default none; required with listen of this section.
	// Example: https://sso-admin.example.com:8444
	PublicURL string `yaml:"public_url"`

	// Networks from which the console is served; from elsewhere its pages don't exist, and no sign-in to it goes on.
	// Clients are known by their address, so that the bridge's own TLS or trusted_proxies is needed, and the address of a
	// trusted proxy itself is never let in. Commands need no console: whoever locks themselves out changes this.
	// Default none: served to everybody.
	// Example: [10.20.0.0/16, 192.0.2.7]
	AllowFrom []string `yaml:"allow_from"`

	// The console asks for a login, with the second factor, when nobody has opened a page or sent a form in it for so
	// long. Live pages and searches as one types don't count, and a session in which only other services were used has no
	// console. From 5m to 1h.
	// Default 15m.
	// Example: 15m
	Idle time.Duration `yaml:"idle"`

	// The console asks for a login at the latest so long after the one before, however much it is used. sessions.life ends
	// it earlier where that is shorter. From 5m to 24h.
	// Default 8h.
	// Example: 8h
	Life time.Duration `yaml:"life"`
}

// SecondFactor says what is asked for beside the password: off, offered or
// required. offered asks those who have enrolled a second factor, and offers one to
// others after a login; required has everybody enrol one before they go on.
type SecondFactor struct {
	// What the admin console asks for. With required, an administrator's first factor is
	// enrolled with an invitation, which `ssobridge admin invite LOGIN` prints.
	// Default required.
	// Example: required
	Console string `yaml:"console"`

	// What client accounts ask for that have no policy of their own (`ssobridge accounts
	// set-factor`), and other service providers.
	// Default off.
	// Example: offered
	People string `yaml:"people"`

	// The age from which a second factor counts for a service provider that demands one, if neither an invitation
	// nor a confirmed factor stands for it: at a login after that, where its owner was shown at a login before
	// that it was added, in the browser that they have used for longest. Until then such a service provider is
	// answered NoAuthnContext. It never counts for the admin console by its age. From 1m to 30 days.
	// Default 24h.
	// Example: 24h
	ConfirmAfter time.Duration `yaml:"confirm_after"`

	// Whether a person's other sessions end when they add or remove a second factor.
	// Default true.
	// Example: true
	EndOtherSessions bool `yaml:"end_other_sessions"`

	// The authentication context class that a sign-in with a second factor is told by. Where
	// a service provider asks for the class of a password alone, it gets that one.
	// Default https://refeds.org/profile/mfa.
	// Example: https://refeds.org/profile/mfa
	AuthnContext string `yaml:"authn_context"`
}

// Store says where everything is kept.
type Store struct {
	// The database: sqlite: and a file name, or a postgres:// address without a
	// password (a DSN with one comes by dsn_file or SSOBRIDGE_STORE_DSN). Several
	// replicas need PostgreSQL.
	// Default: the file ssobridge.db in data_dir.
	// Example: sqlite:/var/lib/ssobridge/ssobridge.db
	DSN string `yaml:"dsn"`

	// A file with the DSN, for one that holds a password.
	// Default none.
	// Example: store_dsn
	DSNFile string `yaml:"dsn_file"`

	// Allow connections to PostgreSQL over the network without TLS. Otherwise an sslmode
	// of the DSN that is absent, prefer or allow is taken as require, and disable is
	// refused. Unix sockets and loopback addresses need no TLS. Without TLS everybody on
	// the way reads and changes what the bridge stores. `ssobridge check` names the
	// sslmode in force.
	// Default false.
	// Example: false
	Insecure bool `yaml:"insecure"`
}

// Keys says how signing keys are rolled over.
type Keys struct {
	// Around the agreed switch to another key at a service provider that holds one
	// certificate, people wait on a page: nobody knows which of the two certificates
	// it holds at that moment. This is how long before the switch the waiting begins.
	// Default 2m.
	// Example: 2m
	SwitchBefore time.Duration `yaml:"switch_before"`

	// How long after the switch the waiting ends, and sign-ins go on by themselves.
	// Default 3m.
	// Example: 3m
	SwitchAfter time.Duration `yaml:"switch_after"`
}

// Signing is about how signatures are made.
type Signing struct {
	// Who makes RSA signatures with keys in the store. With auto it is OpenSSL's library libcrypto, 3 or later, where the
	// machine has it: the same signatures in about a third of the time at 2048 bits. It is configured by the machine's
	// openssl.cnf, a FIPS provider included. Without it, after a fault of its, and with off, the program makes them
	// itself. `ssobridge check` says which of the two it is.
	// Default auto.
	// Example: auto
	Libcrypto string `yaml:"libcrypto"`
}

// Values of Signing.Libcrypto.
const (
	libcryptoAuto = "auto"
	LibcryptoOff  = "off"
)

// PKCS11 is a PKCS #11 token.
type PKCS11 struct {
	// The library of the token's vendor.
	// Default none.
	// Example: /usr/lib/softhsm/libsofthsm2.so
	Module string `yaml:"module"`

	// The label of the token.
	// Required with module.
	// Example: ssobridge
	TokenLabel string `yaml:"token_label"`

	// The PIN of the token's user.
	PIN Secret `yaml:"pin"`

	// The file with the PIN of the token's user. A refused PIN is not tried again
	// before a restart, since tokens lock themselves after a few.
	// Required with module, unless SSOBRIDGE_PKCS11_PIN is set.
	// Example: pkcs11_pin
	PINFile string `yaml:"pin_file"`
}

// TLS is the bridge's own TLS.
type TLS struct {
	// The certificate with its chain, PEM. It is read again when the file changes.
	// This is not the key that signs sign-ins.
	// Default none.
	// Example: /etc/ssobridge/tls.crt
	Cert string `yaml:"cert"`

	// The private key of cert, PEM.
	// Default none.
	// Example: /etc/ssobridge/tls.key
	Key string `yaml:"key"`
}

// Sessions says how long people stay signed in at the bridge.
type Sessions struct {
	// How long a session lasts without use.
	// Default 1h.
	// Example: 1h
	Idle time.Duration `yaml:"idle"`

	// How long a session lasts at most.
	// Default 10h.
	// Example: 10h
	Life time.Duration `yaml:"life"`
}

// DirectoryCache says how old what is known of a person may be.
type DirectoryCache struct {
	// Groups and account state that were read longer ago are read again before the next assertion.
	// Default 1m.
	// Example: 1m
	TTL time.Duration `yaml:"ttl"`

	// While the directory is down, what was read up to this long ago still serves people who
	// have a session. 0s: never.
	// Default 15m.
	// Example: 15m
	MaxStale time.Duration `yaml:"max_stale"`
}

// SignIn limits a sign-in.
type SignIn struct {
	// How long a started sign-in can be finished. At least 15m, since it is also the
	// record that refuses a request that comes a second time.
	// Default 1h.
	// Example: 1h
	Life time.Duration `yaml:"life"`

	// How long a page waits for a new Constant Contact user before it says so and
	// goes on by itself, 0s to 5s.
	// Default 1s.
	// Example: 1s
	Patience time.Duration `yaml:"patience"`

	// Wrong passwords for one person within login_window, by whatever spelling of the
	// login, after which further tries are refused without asking the directory. The
	// last two are reserved for browsers in which the person signed in before: others
	// have two less, so that strangers can't shut anybody out. Set it below the
	// directory's own lockout threshold, which check compares.
	// Default 5.
	// Example: 5
	LoginFailures int `yaml:"login_failures"`

	// How long after the last one wrong passwords are forgotten. Set it no shorter than
	// the time after which the directory forgets them.
	// Default 15m.
	// Example: 15m
	LoginWindow time.Duration `yaml:"login_window"`

	// Started sign-ins without a session that one client address may have stored. It is of no
	// effect but while a replica of the version before is running, during an upgrade: since
	// then nothing is stored of a sign-in before the right password. It will go with the next version.
	// Default 200.
	// Example: 200
	PendingPerAddress int `yaml:"pending_per_address"`

	// Started sign-ins without a session that may be stored in all. Of no effect but during an
	// upgrade, like pending_per_address.
	// Default 20000.
	// Example: 20000
	PendingTotal int `yaml:"pending_total"`

	// Bytes that a RelayState of a service provider may have, 80 to 16384. Many products
	// put the whole address of the page into it that somebody wanted.
	// Default 8192.
	// Example: 8192
	RelayStateMax int `yaml:"relay_state_max"`

	// Ask for one click where another site leads a browser to a launch link, so that no
	// site can sign somebody in unasked. Leave it off where action buttons stand on
	// sites of other domains and should work with one click.
	// Default false.
	// Example: false
	ConfirmLaunch bool `yaml:"confirm_launch"`
}

// Logout is about signing out at all services at once (SAML single logout).
type Logout struct {
	// Serve single logout at /saml/slo and name it in the metadata: service providers
	// with a logout address can sign people out here and at each other, and the page
	// /logout offers to sign out everywhere. Messages must be signed both ways, so
	// each such service provider needs its signing certificate on record. Off, people
	// sign out here alone.
	// Default false.
	// Example: true
	Enabled bool `yaml:"enabled"`
}

// Branding is what the pages show of the partner.
type Branding struct {
	// The partner's name.
	// Default Single sign-on.
	// Example: Example Marketing
	Name string `yaml:"name"`

	// A picture: PNG, JPEG, WebP or SVG, at most 256 KiB.
	// Default none.
	// Example: /etc/ssobridge/logo.svg
	Logo string `yaml:"logo"`

	// The colour of buttons and links: # and six hexadecimal digits.
	// Default #1856ed.
	// Example: "#1856ed"
	Color string `yaml:"color"`

	// Where people find help: https, or mailto.
	// Default none.
	// Example: https://help.example.com/sso
	HelpURL string `yaml:"help_url"`

	// Where people set a new password: https.
	// Default none.
	// Example: https://password.example.com
	ForgottenPasswordURL string `yaml:"forgotten_password_url"`
}

// Log is the log on standard error.
type Log struct {
	// json for machines, text for people.
	// Default json.
	// Example: json
	Format string `yaml:"format"`

	// The least level that is written: debug, info, warn or error.
	// Default info.
	// Example: info
	Level string `yaml:"level"`
}

// Metrics is the listener for Prometheus.
type Metrics struct {
	// Address and port that serve /metrics, apart from the pages. Anybody who reaches
	// it can read it, so keep it on loopback or an inner network.
	// Default none: off.
	// Example: 127.0.0.1:9090
	Listen string `yaml:"listen"`
}

// Defaults returns a configuration with every default filled in. What is required
// has none.
func Defaults() Config {
	return Config{
		Listen:  "127.0.0.1:8080",
		DataDir: "data",
		Keys:    Keys{SwitchBefore: 2 * time.Minute, SwitchAfter: 3 * time.Minute},
		Signing: Signing{Libcrypto: libcryptoAuto},
		Directory: Directory{
			MaxDepth: 10, MaxGroups: 2000,
			PoolSize: 8, BindPoolSize: 8,
			DialTimeout: 3 * time.Second, OpTimeout: 4 * time.Second, Timeout: 10 * time.Second, Cooldown: 30 * time.Second,
		},
		ConstantContact: ConstantContact{
			BaseURL:  "https://api.cc.email/v3",
			TokenURL: "https://authz.constantcontact.com/partners/oauth2/default/v1/token",
			Limits:   Limits{PerSecond: 4, PerDay: 10000, Reserve: 0.2, Share: 1},
			Timeout:  10 * time.Second, TokenTimeout: 10 * time.Second,
			ClosedStatuses: []string{"Canceled", "Cancelled", "Disabled"},
		},
		Provisioning: Provisioning{
			ExternalID: "{person_id}.{account}", LoginName: "sso-{key}", ContactEmail: "{mail}",
			MaxCreate: 1000, Lease: 15 * time.Second,
		},
		Sessions:       Sessions{Idle: time.Hour, Life: 10 * time.Hour},
		DirectoryCache: DirectoryCache{TTL: time.Minute, MaxStale: 15 * time.Minute},
		SignIn: SignIn{
			Life: time.Hour, Patience: time.Second, LoginFailures: 5, LoginWindow: 15 * time.Minute,
			RelayStateMax:     idp.DefaultRelayState,
			PendingPerAddress: 200, PendingTotal: 20000,
		},
		Console: Console{Idle: idp.DefaultConsoleIdle, Life: idp.DefaultConsoleLife},
		Traces:  Traces{Keep: 720 * time.Hour},
		SecondFactor: SecondFactor{Console: string(mfa.Required), People: string(mfa.Off),
			AuthnContext: idp.DefaultSecondFactorClass, ConfirmAfter: idp.DefaultConfirmAfter, EndOtherSessions: true},
		Metadata: Metadata{MaxMiB: 64},
		Branding: Branding{Name: "Single sign-on", Color: "#1856ed"},
		Log:      Log{Format: "json", Level: "info"},
	}
}

// Secret is text that must never be shown: it prints, logs and marshals as ***.
// Convert it to string where it is used.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
