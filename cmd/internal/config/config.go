package config

import (
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
	// Bits behind the length of a network are dropped: 10.1.2.3/16 is 10.1.0.0/16. An
	// IPv4 network is written as such, and not in the form of IPv6.
	// Only the client's address is taken from it, never scheme or host.
	// Default none.
	// Example: [10.0.0.7, 10.1.0.0/16]
	TrustedProxies []string `yaml:"trusted_proxies"`

	// The directory with the people: OpenLDAP, Active Directory or another LDAP server.
	Directory Directory `yaml:"directory"`

	// Sources of people beside the directory, each under a short name that never changes, since it is part of its people's
	// ids. docs/signed-launch.md shows how an application sends its people.
	// Default none: people come from the directory alone.
	// Example: {portal: {issuer: "https://portal.example.com", jwks_url: "https://portal.example.com/jwks.json"}}
	Sources map[string]Source `yaml:"sources"`

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

	// The REST API, for programs.
	API API `yaml:"api"`

	// Client accounts that people order for themselves.
	SelfService SelfService `yaml:"self_service"`

	// What is asked for beside the password: a code of an authenticator app, a passkey, or a recovery code.
	SecondFactor SecondFactor `yaml:"second_factor"`

	// How long the audit is kept, and where its checkpoints go.
	Audit Audit `yaml:"audit"`

	// How old the last backup may be.
	Backup Backup `yaml:"backup"`

	// What is kept of how each sign-in went.
	Traces Traces `yaml:"traces"`

	// Notices of what happens, by mail, webhooks, Slack and Teams.
	Notices Notices `yaml:"notices"`

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

	// Spans for OpenTelemetry.
	Tracing Tracing `yaml:"tracing"`

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
			Life: time.Hour, Password: true, Patience: time.Second, LoginFailures: 5, LoginWindow: 15 * time.Minute,
			RelayStateMax:     idp.DefaultRelayState,
			PendingPerAddress: 200, PendingTotal: 20000,
		},
		SelfService: SelfService{Approval: true, ApprovalExpiry: 7 * 24 * time.Hour, PerDay: 20, PerPerson: 1,
			Keep: 365 * 24 * time.Hour},

		Console: Console{Idle: idp.DefaultConsoleIdle, Life: idp.DefaultConsoleLife},
		Traces:  Traces{Keep: 720 * time.Hour},
		Tracing: Tracing{SampleRatio: 1, Queue: 2048},
		Notices: Notices{SMTP: SMTP{Port: 587, TLS: SMTPStartTLS}, HeartbeatEvery: 24 * time.Hour, Lockouts: 20},
		SecondFactor: SecondFactor{Console: string(mfa.Required), People: string(mfa.Off),
			AuthnContext: idp.DefaultSecondFactorClass, ConfirmAfter: idp.DefaultConfirmAfter, EndOtherSessions: true},
		Metadata: Metadata{MaxMiB: 64},
		Branding: Branding{Name: "Single sign-on", Color: "#1856ed"},
		Log:      Log{Format: "json", Level: "info"},
	}
}
