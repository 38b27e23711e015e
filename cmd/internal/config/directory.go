package config

import "time"

// Directory says how people and groups are found by LDAP.
type Directory struct {
	// Fills every key below that is left out: openldap, active_directory, samba (a domain
	// controller of Samba), freeipa, 389ds, edirectory or lldap. Without a preset every
	// attribute and filter is set by hand.
	// Default none.
	// Example: openldap
	Preset string `yaml:"preset"`

	// The LDAP servers in order: the first that answers is used, and the first is
	// returned to when it is back. ldaps:// or ldap://, with a port if it is not the
	// usual one.
	// Required.
	// Example: [ldaps://ldap1.example.com, ldaps://ldap2.example.com]
	URLs []string `yaml:"urls"`

	// Change an ldap:// connection to TLS before anything else is sent.
	// Default false.
	// Example: true
	StartTLS bool `yaml:"start_tls"`

	// Certificates (PEM) of the authority that signed the servers' certificates.
	// Default: the authorities that the system trusts.
	// Example: /etc/ssobridge/ldap-ca.crt
	CAFile string `yaml:"ca_file"`

	// Allow ldap:// without TLS. Passwords then cross the network in clear: for a
	// test set-up only.
	// Default false.
	// Example: false
	Insecure bool `yaml:"insecure"`

	// Let people change a password that has expired, or that they must change, on the
	// login page. The directory changes it as the person, old and new in one change, and
	// its own policy judges the new one; the service account resets nothing. It needs
	// TLS. OpenLDAP lets nobody in whose password has expired unless its policy has
	// grace logins. Off, the page says that the password has expired, with the link of
	// branding.forgotten_password_url.
	// Default false.
	// Example: false
	PasswordChange bool `yaml:"password_change"`

	// The service account that searches. It needs to read people and groups, nothing else.
	// Default none: searches are anonymous, which few directories allow.
	// Example: cn=ssobridge,ou=services,dc=example,dc=com
	BindDN string `yaml:"bind_dn"`

	// The password of bind_dn.
	BindPassword Secret `yaml:"bind_password"`

	// The file with the password of bind_dn.
	// Required with bind_dn, unless SSOBRIDGE_DIRECTORY_BIND_PASSWORD is set.
	// Example: bind_password
	BindPasswordFile string `yaml:"bind_password_file"`

	// Where people are searched.
	// Required.
	// Example: ou=people,dc=example,dc=com
	BaseDN string `yaml:"base_dn"`

	// The filter that finds one person; {login} stands for the login name that was typed.
	// Default: the preset's.
	// Example: (&(objectClass=inetOrgPerson)(uid={login}))
	LoginFilter string `yaml:"login_filter"`

	// The attribute with the login name.
	// Default: the preset's.
	// Example: uid
	LoginAttribute string `yaml:"login_attribute"`

	// The attribute with an id that never changes and is never given to somebody else.
	// objectGUID and eDirectory's GUID are written 8-4-4-4-12; of other attributes, octets
	// that are no text are written hex-0123abcd.
	// Default: the preset's.
	// Example: entryUUID
	IDAttribute string `yaml:"id_attribute"`

	// The attribute with the first name.
	// Default: the preset's.
	// Example: givenName
	FirstNameAttribute string `yaml:"first_name_attribute"`

	// The attribute with the last name.
	// Default: the preset's.
	// Example: sn
	LastNameAttribute string `yaml:"last_name_attribute"`

	// The attribute with the e-mail address.
	// Default: the preset's.
	// Example: mail
	MailAttribute string `yaml:"mail_attribute"`

	// Further attributes to read, for mapping patterns, templates and released attributes.
	// Default none.
	// Example: [employeeNumber, departmentNumber]
	ExtraAttributes []string `yaml:"extra_attributes"`

	// The attributes that say that an account is disabled: NAME, by any value but FALSE,
	// no, off, none and 0, or NAME=VALUE. They are read with each reading of a person, so
	// a live session ends too. Active Directory's userAccountControl and OpenLDAP's
	// password policy count anyway. An empty list is none.
	// Default: the preset's. freeipa and 389ds: nsAccountLock; edirectory: loginDisabled;
	// openldap and no preset: both.
	// Example: [nsAccountLock, employeeType=left]
	DisabledAttributes []string `yaml:"disabled_attributes"`

	// The attributes with the time at which an account ends. A time that can't be read
	// counts as past.
	// Default: the preset's. freeipa: krbPrincipalExpiration; edirectory:
	// loginExpirationTime.
	// Example: [shadowExpire]
	AccountExpiryAttributes []string `yaml:"account_expiry_attributes"`

	// The attributes with the time at which a password ends.
	// Default: the preset's. freeipa: krbPasswordExpiration; 389ds: passwordExpirationTime
	// and krbPasswordExpiration; edirectory: passwordExpirationTime.
	// Example: [krbPasswordExpiration]
	PasswordExpiryAttributes []string `yaml:"password_expiry_attributes"`

	// OpenLDAP: the entry of the password policy that holds for everybody else
	// (ppolicy_default), which no person's entry names. check and lockouts compare
	// wrong passwords with it.
	// Default none: only policies that a search finds.
	// Example: cn=default,ou=policies,dc=example,dc=com
	PasswordPolicyDN string `yaml:"password_policy_dn"`

	// Active Directory: the domain that people may write before their login, as in
	// EXAMPLE\alice. Another domain is refused. The DNS domain of base_dn is taken anyway,
	// also as in alice@ad.example.com for whom no user principal name was entered.
	// Default none.
	// Example: EXAMPLE
	Domain string `yaml:"domain"`

	// Where groups are searched.
	// Default: base_dn.
	// Example: ou=groups,dc=example,dc=com
	GroupBaseDN string `yaml:"group_base_dn"`

	// How groups are found: member_of (the person's memberOf), search (groups that
	// name the person), ad (Active Directory's token of the person: nested groups and the
	// primary group included).
	// Default: the preset's.
	// Example: member_of
	GroupMode string `yaml:"group_mode"`

	// With group_mode search: the filter; {dn} and {login} stand for the person's.
	// Default: the preset's.
	// Example: (&(objectClass=groupOfNames)(member={dn}))
	GroupFilter string `yaml:"group_filter"`

	// Active Directory: also takes distribution groups, which are meant for mail and which
	// more people may create and fill. By default security groups alone give access.
	// A group_filter of your own decides by itself.
	// Default: false.
	// Example: true
	DistributionGroups bool `yaml:"distribution_groups"`

	// The attribute with a group's id that never changes.
	// Default: the preset's.
	// Example: entryUUID
	GroupIDAttribute string `yaml:"group_id_attribute"`

	// The attribute with a group's name.
	// Default: the preset's.
	// Example: cn
	GroupNameAttribute string `yaml:"group_name_attribute"`

	// Follow groups that are members of groups.
	// Default false; Active Directory's preset always does.
	// Example: true
	Nested bool `yaml:"nested"`

	// How deep nested groups are followed. Deeper nesting refuses the sign-in with a
	// clear error, it is not cut off in silence.
	// Default 10.
	// Example: 10
	MaxDepth int `yaml:"max_depth"`

	// How many groups one person may be in, nested ones counted.
	// Default 2000.
	// Example: 2000
	MaxGroups int `yaml:"max_groups"`

	// How many connections are kept for searches.
	// Default 8.
	// Example: 8
	PoolSize int `yaml:"pool_size"`

	// How many connections are kept for checking passwords.
	// Default 8.
	// Example: 8
	BindPoolSize int `yaml:"bind_pool_size"`

	// How long a connection may take, TLS included.
	// Default 3s.
	// Example: 3s
	DialTimeout time.Duration `yaml:"dial_timeout"`

	// How long one LDAP operation may take.
	// Default 4s.
	// Example: 4s
	OpTimeout time.Duration `yaml:"op_timeout"`

	// How long everything that one sign-in asks of the directory may take.
	// Default 10s.
	// Example: 10s
	Timeout time.Duration `yaml:"timeout"`

	// How long a server that failed is left alone before it is tried again.
	// Default 30s.
	// Example: 30s
	Cooldown time.Duration `yaml:"cooldown"`
}
