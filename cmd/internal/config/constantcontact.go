package config

import "time"

// ConstantContact is the partner API and how it knows this partner.
type ConstantContact struct {
	// Where the partner API is.
	// Default https://api.cc.email/v3.
	// Example: https://api.cc.email/v3
	BaseURL string `yaml:"base_url"`

	// Where tokens are asked for.
	// Default https://authz.constantcontact.com/partners/oauth2/default/v1/token.
	// Example: https://authz.constantcontact.com/partners/oauth2/default/v1/token
	TokenURL string `yaml:"token_url"`

	// Certificates (PEM) of the authorities that may sign those of base_url and token_url, for a proxy that opens TLS.
	// The proxy itself comes by the environment: HTTPS_PROXY is its address (HTTP_PROXY for http:// URLs), NO_PROXY names
	// hosts that are reached without it. SSL_CERT_FILE replaces the authorities that the system trusts, for everything.
	// Default: the authorities that the system trusts.
	// Example: /etc/ssobridge/proxy-ca.crt
	CAFile string `yaml:"ca_file"`

	// Allow http:// in base_url and token_url to other hosts than loopback. The
	// partner secret then crosses the network in clear: for a sandbox only.
	// Default false.
	// Example: false
	Insecure bool `yaml:"insecure"`

	// The partner's client id, as Constant Contact gave it.
	// Required.
	// Example: 0oa1partnerid
	PartnerClientID string `yaml:"partner_client_id"`

	// The partner's secret.
	PartnerSecret Secret `yaml:"partner_secret"`

	// The file with the partner's secret.
	// Required, unless SSOBRIDGE_CONSTANT_CONTACT_PARTNER_SECRET is set.
	// Example: partner_secret
	PartnerSecretFile string `yaml:"partner_secret_file"`

	// The key of the registered application (x-api-key).
	APIKey Secret `yaml:"api_key"`

	// The file with the key of the registered application.
	// Required, unless SSOBRIDGE_CONSTANT_CONTACT_API_KEY is set.
	// Example: api_key
	APIKeyFile string `yaml:"api_key_file"`

	// The name that Constant Contact gave this partner as an external provider. With
	// a person's external_id it ties the person to the Constant Contact user. At most
	// 80 characters.
	// Required.
	// Example: example_partner
	ExternalProvider string `yaml:"external_provider"`

	// How many calls Constant Contact allows. They count for the whole API key: all
	// client accounts and replicas together.
	Limits Limits `yaml:"limits"`

	// Billing statuses, in any letter case, whose client accounts take no sign-ins: people
	// get a page that says so. Constant Contact publishes Trial, Open, Canceled and Trial
	// End and shows Active; what it calls a disabled account is not published: ask it.
	// Default [Canceled, Cancelled, Disabled].
	// Example: [Canceled, Cancelled, Disabled]
	ClosedStatuses []string `yaml:"closed_statuses"`

	// Calls that admins may make on behalf of a client account by `ssobridge accounts
	// call`, each a method and a path of the V3 API; * stands for one segment. Without
	// any, all are refused.
	// Default none.
	// Example: ["GET /contacts", "GET /contacts/*"]
	Operations []string `yaml:"operations"`

	// Constant Contact's webhooks, which tell that the state of a client account has
	// changed. Without a secret the bridge takes none.
	Webhook Webhook `yaml:"webhook"`

	// How long one call may take, without its waiting for a place in the budget.
	// Constant Contact does not publish how long its calls take.
	// Default 10s.
	// Example: 10s
	Timeout time.Duration `yaml:"timeout"`

	// How long asking for a token may take.
	// Default 10s.
	// Example: 10s
	TokenTimeout time.Duration `yaml:"token_timeout"`
}

// Webhook is how webhooks come in.
type Webhook struct {
	// The last part of the address that Constant Contact posts to,
	// /webhooks/constant-contact/SECRET: at least 32 hexadecimal digits (128 bits), as
	// `openssl rand -hex 16` makes them.
	Secret Secret `yaml:"secret"`

	// The file with the secret.
	// Default none: webhooks are off.
	// Example: webhook_secret
	SecretFile string `yaml:"secret_file"`
}

// Limits is the budget of calls.
type Limits struct {
	// Calls a second. Constant Contact publishes 4, and does not publish how it
	// counts: the bridge spaces its calls evenly.
	// Default 4.
	// Example: 4
	PerSecond float64 `yaml:"per_second"`

	// Calls a day, from 00:00 UTC.
	// Default 10000.
	// Example: 10000
	PerDay int `yaml:"per_day"`

	// The share of the day that background work leaves for sign-ins, 0 to 0.9.
	// Default 0.2.
	// Example: 0.2
	Reserve float64 `yaml:"reserve"`

	// The share of both limits that the bridge uses, above 0 to 1. Set it below 1 where
	// another program calls Constant Contact with the same API key.
	// Default 1.
	// Example: 0.75
	Share float64 `yaml:"share"`
}

// Provisioning says what a new Constant Contact user is called. The templates
// know {person_id} {account} {key} {login} {mail} {first_name} {last_name} and
// {attr:NAME}; {key} is 20 characters that are unique for (person, client account).
type Provisioning struct {
	// The external_id, which is also the NameID of each sign-in. It must be unique for
	// (person, client account), must never be given to somebody else, and has at most
	// 255 characters. Users that exist already keep theirs when this changes.
	// Default {person_id}.{account}.
	// Example: "{person_id}.{account}"
	ExternalID string `yaml:"external_id"`

	// Accepts an external_id template without {person_id} and {key}. Set it only for an
	// attribute that never changes, that people can't edit and that is never given to
	// somebody else: whoever gets another person's value is signed in as that person.
	// Default false.
	// Example: true
	AllowMutableExternalID bool `yaml:"allow_mutable_external_id"`

	// The login name at Constant Contact, unique across all of Constant Contact, at
	// most 50 characters: letters, digits and - _ @ . +
	// Default sso-{key}.
	// Example: "sso-{key}"
	LoginName string `yaml:"login_name"`

	// The e-mail address at Constant Contact, at most 80 characters. Whether two users
	// may share one is not published: ask Constant Contact.
	// Default {mail}.
	// Example: "{mail}"
	ContactEmail string `yaml:"contact_email"`

	// How many users one run of a plan may create before it stops and asks.
	// Default 1000.
	// Example: 1000
	MaxCreate int `yaml:"max_create"`

	// How often the bridge compares the directory with its ledger by itself, and lists
	// who would be created, who has left and whose role has changed. 0s: never; else at
	// least 10m.
	// Default 0s.
	// Example: 24h
	WatchEvery time.Duration `yaml:"watch_every"`

	// Create the users that such a comparison finds missing, where they are at most
	// max_create. Off, they are listed and wait for an admin or their first sign-in.
	// Default false.
	// Example: true
	WatchApply bool `yaml:"watch_apply"`

	// After how long the work of a replica that died goes on elsewhere.
	// Default 15s.
	// Example: 15s
	Lease time.Duration `yaml:"lease"`
}
