package config

import (
	"fmt"
	"net/mail"
	"net/netip"
	"strings"
	"time"

	"ssobridge/idp/netname"
	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
)

// Notices is how the bridge sends notices. Who gets which is said by `ssobridge notices add`.
type Notices struct {
	// The server that mails are sent by.
	SMTP SMTP `yaml:"smtp"`

	// Certificates (PEM) of the authorities that may sign those of the mail server and of the receivers of webhooks.
	// Default: the authorities that the system trusts.
	// Example: /etc/ssobridge/internal-ca.crt
	CAFile string `yaml:"ca_file"`

	// Networks of internal addresses at which webhooks may be received. Without them no name leads a webhook to an
	// internal address; link-local addresses are never reached.
	// Default none.
	// Example: [10.20.0.0/16, 192.0.2.7]
	InternalReceivers []string `yaml:"internal_receivers"`

	// How often the notice heartbeat is sent to those who subscribed to it: one that does not come says that the bridge
	// is down. 0s: never; else at least 1m.
	// Default 24h.
	// Example: 1h
	HeartbeatEvery time.Duration `yaml:"heartbeat_every"`

	// From how many people on who are locked out at a time the notice lockouts.many is sent, 1 to 200. 0: never.
	// Default 20.
	// Example: 50
	Lockouts int `yaml:"lockouts"`
}

// SMTP is a mail server. Nothing is sent to it without TLS.
type SMTP struct {
	// The host of the mail server, as its certificate names it.
	// Default none: no mail is sent.
	// Example: smtp.example.com
	Host string `yaml:"host"`

	// Its port.
	// Default 587.
	// Example: 465
	Port int `yaml:"port"`

	// How TLS begins: starttls, without which nothing is sent, or tls from the first byte (port 465).
	// Default starttls.
	// Example: tls
	TLS string `yaml:"tls"`

	// The user name there.
	// Default none: no login.
	// Example: ssobridge
	Username string `yaml:"username"`

	// The password there.
	Password Secret `yaml:"password"`

	// The file with the password.
	// Default none.
	// Example: smtp_password
	PasswordFile string `yaml:"password_file"`

	// The address that mails come from.
	// Required with host.
	// Example: sso@example.com
	From string `yaml:"from"`
}

// How TLS begins at a mail server.
const (
	SMTPStartTLS = "starttls"
	SMTPTLS      = "tls"
)

func checkNotices(c *Config, f *faults) {
	n := &c.Notices
	checkNetworks("notices.internal_receivers", n.InternalReceivers, f)
	if n.HeartbeatEvery != 0 {
		f.between("notices.heartbeat_every", n.HeartbeatEvery, time.Minute, 31*24*time.Hour)
	}
	if n.Lockouts < 0 || n.Lockouts > 200 {
		f.add("notices.lockouts", fmt.Sprintf("is %d", n.Lockouts), "write a number from 1 to 200, or 0")
	}
	if n.CAFile != "" {
		pem, err := ReadFile(n.CAFile, 1<<20)
		if err == nil {
			_, err = partnerapi.Authorities(pem)
		}
		if err != nil {
			f.add("notices.ca_file", fmt.Sprintf("%s can't be used: %s", n.CAFile, PlainCause(err)),
				"name a PEM file with the authority's certificate, readable for the bridge's user")
		}
	}
	s := n.SMTP
	if s.TLS != SMTPStartTLS && s.TLS != SMTPTLS {
		f.add("notices.smtp.tls", plaintext.Quote(s.TLS)+" is not known", "write starttls or tls")
	}
	if s.Port < 1 || s.Port > 65535 {
		f.add("notices.smtp.port", fmt.Sprintf("is %d", s.Port), "write a number from 1 to 65535")
	}
	if s.Host == "" {
		if s.From != "" || s.Username != "" || s.Password != "" || s.PasswordFile != "" {
			f.add("notices.smtp.host", "is missing beside the other keys of the mail server", "write it, or remove the others")
		}
		return
	}
	if strings.ContainsAny(s.Host, ":/ \t") {
		f.add("notices.smtp.host", plaintext.Quote(s.Host)+" is not the name of a host", "write for example smtp.example.com")
	}
	if f.required("notices.smtp.from", s.From, "sso@example.com") {
		if a, err := mail.ParseAddress(s.From); err != nil || a.Address != s.From {
			f.add("notices.smtp.from", plaintext.Quote(s.From)+" is not an e-mail address",
				"write it without a name: sso@example.com")
		}
	}
	if (s.Username == "") != (s.Password == "") {
		f.add("notices.smtp.username", "user name and password belong together, and one is missing", "give both, or neither")
	}
}

// NoticeReceivers are the networks of internal addresses at which notices may be received; never nil.
func (c *Config) NoticeReceivers() []netip.Prefix {
	all := []netip.Prefix{}
	for _, p := range c.Notices.InternalReceivers {
		if prefix, err := netname.ParseNetwork(p); err == nil { // the check refuses others
			all = append(all, prefix)
		}
	}
	return all
}
