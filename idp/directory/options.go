package directory

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Options are what New needs; the app's configuration maps onto them one to one. The preset fills what is empty.
type Options struct {
	// Preset is "openldap", "active_directory", "samba", "freeipa", "389ds", "edirectory", "lldap" or "" (all fields by
	// hand).
	Preset               string
	URLs                 []string // ldaps://host[:port] or ldap://host[:port], tried in order
	StartTLS             bool     // upgrade ldap:// connections before anything is sent
	CAFile               string   // PEM file of authorities to trust instead of the system's
	Insecure             bool     // allow ldap:// without StartTLS; warns
	BindDN, BindPassword string   // the service account; both empty: searches are anonymous

	BaseDN string // people are searched below it
	// LoginFilter finds a person; "{login}" is replaced by the escaped login name. Its other conditions hold for live
	// sessions too.
	LoginFilter                                                                       string
	LoginAttribute, IDAttribute, FirstNameAttribute, LastNameAttribute, MailAttribute string
	// for Entry.Attributes, at most 50
	ExtraAttributes []string
	// DisabledAttributes say that an account is disabled: NAME, by any value but FALSE, no, off, none and 0, or
	// NAME=VALUE. The others hold the time from which an account or a password is over. nil: those of the preset; empty:
	// none.
	DisabledAttributes, AccountExpiryAttributes, PasswordExpiryAttributes []string
	// OpenLDAP: the policy of whom no pwdPolicySubentry names one; "" where nothing shows it
	PasswordPolicyDN string
	// AD: NetBIOS or DNS domain, stripped from DOMAIN\user; UPN logins search userPrincipalName
	Domain string

	GroupBaseDN string // groups are searched below it; default BaseDN
	// GroupMode is "member_of" (the person's memberOf), "search" (GroupFilter by the person's DN) or "ad" (always nested:
	// the person's tokenGroups, or one search by the matching rule in chain). With the preset for Active Directory, the
	// primary group, such as Domain Users, is among the groups in each mode.
	GroupMode string
	// DistributionGroups takes them beside security groups; Active Directory only. A GroupFilter of one's own decides by
	// itself.
	DistributionGroups                   bool
	GroupFilter                          string // "{dn}" and "{login}" are replaced, escaped
	GroupIDAttribute, GroupNameAttribute string
	Nested                               bool // follow groups in groups; "ad" always does
	// of the walk; defaults 10 and 2000; beyond them a sign-in is refused with that reason
	MaxDepth, MaxGroups int

	PoolSize, BindPoolSize int           // connections for searches and for user binds, each; default 8
	DialTimeout            time.Duration // connect and TLS; default 3 s
	OpTimeout              time.Duration // one search or bind; default 4 s
	Timeout                time.Duration // one call of this package; default 10 s
	Cooldown               time.Duration // a failed server is left alone so long; default 30 s
	Now                    func() time.Time
	// Span begins a span within the one of ctx: a search, a bind, a connection. end takes the server's URL and the result
	// code of LDAP, never a DN, filter or login; it is nil where nothing is recorded. Default nil: no spans.
	Span   func(ctx context.Context, name string) (_ context.Context, end func(of, result string, err error))
	Logger *slog.Logger
}

// FieldError is one fault of Options. Field is the configuration key, without what stands above it.
type FieldError struct {
	Field string
	Fault string // what is wrong with the value
	Fix   string // what to write instead
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Fault + "; " + e.Fix }

// faults collects what is wrong.
type faults []error

func (f *faults) add(field, fault, fix string) {
	*f = append(*f, &FieldError{Field: field, Fault: fault, Fix: fix})
}

// Bounds of the options.
const (
	maxURLs       = 10
	maxAttributes = 50
	maxPool       = 1000
	maxDepth      = 100
	maxGroups     = 100_000
)

var attributeName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]{0,127}|[0-9]+(\.[0-9]+)+)$`)

// secretAttributes must never be read into an Entry, which is stored and may be sent to a service provider.
var secretAttributes = []string{"userPassword", "unicodePwd", "sambaNTPassword", "sambaLMPassword", "krbPrincipalKey",
	"pwdHistory", "ms-Mcs-AdmPwd", "msDS-ManagedPassword"}

// parts are what New makes of checked options.
type parts struct {
	urls   []*url.URL
	roots  *x509.CertPool // nil: the system's
	unread []string       // what of ca_file can't be read
	person *template
	upn    *template // nil: no filter of its own for user principal names
	groups *template // nil in mode member_of
}

// check fills defaults and names all faults at once.
func (o *Options) check() (parts, error) {
	var f faults
	var p parts
	groupFilterGiven := o.GroupFilter != ""
	o.checkPreset(&f)
	o.preset()
	o.presetStates()
	if o.GroupBaseDN == "" {
		o.GroupBaseDN = o.BaseDN
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.checkNumbers(&f)
	p.urls = o.checkURLs(&f)
	p.roots, p.unread = o.checkCA(&f)
	o.checkNames(&f)

	var err error
	if o.LoginFilter == "" {
		f.add("login_filter", "it is missing", "write the filter that finds a person, such as (uid={login}), or choose a "+
			"preset")
	} else if p.person, err = parseTemplate(o.LoginFilter, holdLogin); err != nil {
		f.add("login_filter", err.Error(), "write an LDAP filter such as (&(objectClass=person)(uid={login}))")
	} else if !p.person.uses(holdLogin) {
		f.add("login_filter", "it does not hold {login}, so it would find the same people for every login",
			"write {login} where the login name belongs")
	}
	if o.isAD() && o.LoginFilter == adLoginFilter {
		if p.upn, err = parseTemplate(adUPNFilter, holdLogin); err != nil {
			f.add("login_filter", err.Error(), "report this fault of the preset")
		}
	}
	p.groups = o.checkGroups(&f, groupFilterGiven)
	if o.Domain != "" && !o.isAD() {
		f.add("domain", "it has a meaning only for Active Directory", "remove it, or set preset to active_directory")
	}
	return p, errors.Join(f...)
}

const presetNames = `"openldap", "active_directory", "samba", "freeipa", "389ds", "edirectory" or "lldap"`

// checkPreset names a preset that is unknown, or missing with all that it stands for, as the one fault that it is: the
// rest is checked as with a preset that it may have been.
func (o *Options) checkPreset(f *faults) {
	switch o.Preset {
	case presetOpenLDAP, presetAD, presetSamba, presetFreeIPA, preset389DS, presetEDirectory, presetLLDAP:
		return
	case "":
		if slices.ContainsFunc([]string{o.LoginAttribute, o.IDAttribute, o.FirstNameAttribute, o.LastNameAttribute,
			o.MailAttribute, o.GroupIDAttribute, o.GroupNameAttribute, o.LoginFilter, o.GroupMode},
			func(s string) bool { return s != "" }) {
			return // somebody sets each field
		}
		f.add("preset", "it is missing, and so are the attributes that it stands for",
			"write "+presetNames+", or set login_filter, group_mode and each attribute")
	default:
		f.add("preset", fmt.Sprintf("unknown preset %q", o.Preset),
			"write "+presetNames+", or leave it empty and set each field")
	}
	o.Preset = presetOpenLDAP
	if _, err := parseDN(o.BindDN); o.Domain != "" || err != nil {
		o.Preset = presetAD
	}
}

func (o *Options) checkNumbers(f *faults) {
	number := func(field string, value *int, standard, most int) {
		if *value == 0 {
			*value = standard
		}
		if *value < 1 || *value > most {
			f.add(field, fmt.Sprintf("%d is out of range", *value), fmt.Sprintf("write a number from 1 to %d", most))
		}
	}
	number("max_depth", &o.MaxDepth, 10, maxDepth)
	number("max_groups", &o.MaxGroups, 2000, maxGroups)
	number("pool_size", &o.PoolSize, 8, maxPool)
	number("bind_pool_size", &o.BindPoolSize, 8, maxPool)
	span := func(field string, value *time.Duration, standard time.Duration) {
		if *value == 0 {
			*value = standard
		}
		if *value < time.Millisecond || *value > time.Hour {
			f.add(field, fmt.Sprintf("%v is out of range", *value), fmt.Sprintf("write a duration such as %v", standard))
		}
	}
	span("dial_timeout", &o.DialTimeout, 3*time.Second)
	span("op_timeout", &o.OpTimeout, 4*time.Second)
	span("timeout", &o.Timeout, 10*time.Second)
	span("cooldown", &o.Cooldown, 30*time.Second)
	// A call that ends before its first operation could time out would never learn that a server hangs.
	if o.Timeout < o.OpTimeout || o.Timeout < o.DialTimeout {
		f.add("timeout", fmt.Sprintf("%v is shorter than dial_timeout or op_timeout", o.Timeout),
			"make it at least as long as both together")
	}
}

func (o *Options) checkURLs(f *faults) []*url.URL {
	const fix = "write ldaps://host or ldaps://host:port"
	if len(o.URLs) == 0 || len(o.URLs) > maxURLs {
		f.add("urls", fmt.Sprintf("%d servers are named", len(o.URLs)),
			fmt.Sprintf("name 1 to %d servers, each as ldaps://host:port", maxURLs))
	}
	var urls []*url.URL
	plain := 0
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		switch {
		case err != nil:
			// The parse error is left out: it repeats the URL, which may hold a password.
			f.add("urls", "one is not a URL", fix)
			continue
		case u.User != nil:
			f.add("urls", fmt.Sprintf("%s holds a user name or password", u.Redacted()),
				"write those into bind_dn and bind_password")
			continue
		case u.Scheme != "ldap" && u.Scheme != "ldaps":
			f.add("urls", fmt.Sprintf("%q is neither ldaps:// nor ldap://", text), fix)
			continue
		case !strings.HasPrefix(u.Host, "[") && strings.Count(u.Host, ":") > 1:
			f.add("urls", fmt.Sprintf("%q has an IPv6 address without brackets", text), "write ldaps://[2001:db8::1]")
			continue
		case u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
			f.add("urls", fmt.Sprintf("%q has no host, or has something after it", text), fix)
			continue
		}
		if u.Scheme == "ldap" {
			plain++
			if !o.StartTLS && !o.Insecure {
				f.add("urls", fmt.Sprintf("%q would send passwords in clear", text),
					"write ldaps://, or set start_tls, or, on a network that nobody listens on, insecure")
			}
		}
		urls = append(urls, u)
	}
	if o.StartTLS && plain == 0 && len(urls) > 0 {
		f.add("start_tls", "all urls are ldaps://, which is encrypted from the start",
			"remove start_tls, or write ldap:// URLs")
	}
	if o.StartTLS && o.Insecure {
		f.add("insecure", "it contradicts start_tls", "remove one of them")
	}
	return urls
}

// checkCA reads the authorities of ca_file, and says what of it can't be read beside those that can.
func (o *Options) checkCA(f *faults) (roots *x509.CertPool, unread []string) {
	if o.CAFile == "" {
		return nil, nil
	}
	if o.Insecure && !strings.Contains(strings.Join(o.URLs, " "), "ldaps://") {
		f.add("ca_file", "no connection uses TLS, so it is never read", "remove it, or write ldaps:// URLs")
	}
	data, err := os.ReadFile(o.CAFile)
	if err != nil {
		f.add("ca_file", err.Error(), "name a PEM file that the program may read")
		return nil, nil
	}
	roots, unread, fault := readAuthorities(o.CAFile, data)
	if fault != nil {
		f.add("ca_file", fault.Text, fault.Fix)
	}
	return roots, unread
}

func (o *Options) checkNames(f *faults) {
	if (o.BindDN == "") != (o.BindPassword == "") {
		f.add("bind_password", "only one of bind_dn and bind_password is set", "set both, or neither for anonymous searches")
	}
	if strings.ContainsRune(o.BindPassword, 0) {
		f.add("bind_password", "it has a NUL in it", "write it without")
	}
	// Active Directory also binds by user@domain and DOMAIN\user, which are no DNs.
	if o.BindDN != "" && !o.isAD() {
		if _, err := parseDN(o.BindDN); err != nil {
			f.add("bind_dn", err.Error(), "write the service account's DN, such as cn=reader,ou=services,dc=example,dc=com")
		}
	}
	if _, err := parseDN(o.BaseDN); err != nil {
		f.add("base_dn", err.Error(), "write the DN that people are below, such as dc=example,dc=com")
	}
	if _, err := parseDN(o.GroupBaseDN); err != nil && o.GroupBaseDN != o.BaseDN {
		f.add("group_base_dn", err.Error(), "write the DN that groups are below, such as ou=groups,dc=example,dc=com")
	}
	if o.PasswordPolicyDN != "" {
		if _, err := parseDN(o.PasswordPolicyDN); err != nil {
			f.add("password_policy_dn", err.Error(), "write the DN of the policy's entry, such as "+
				"cn=default,ou=policies,dc=example,dc=com")
		}
	}
	attribute := func(field, name string) {
		switch {
		case name == "":
			f.add(field, "it is missing", "name the attribute, or choose a preset")
		case !attributeName.MatchString(name):
			f.add(field, fmt.Sprintf("%q is no attribute name", name), "write a name such as mail")
		default:
			for _, secret := range secretAttributes {
				if strings.EqualFold(name, secret) {
					f.add(field, fmt.Sprintf("%q holds a secret and is never read", name), "name another attribute")
				}
			}
		}
	}
	attribute("login_attribute", o.LoginAttribute)
	attribute("id_attribute", o.IDAttribute)
	attribute("first_name_attribute", o.FirstNameAttribute)
	attribute("last_name_attribute", o.LastNameAttribute)
	attribute("mail_attribute", o.MailAttribute)
	attribute("group_id_attribute", o.GroupIDAttribute)
	attribute("group_name_attribute", o.GroupNameAttribute)
	if len(o.ExtraAttributes) > maxAttributes {
		f.add("extra_attributes", fmt.Sprintf("%d are named", len(o.ExtraAttributes)), fmt.Sprintf("name at most %d",
			maxAttributes))
	}
	for _, name := range o.ExtraAttributes {
		attribute("extra_attributes", name)
	}
	for _, list := range []struct {
		field string
		names []string
		value bool
	}{
		{"disabled_attributes", o.DisabledAttributes, true},
		{"account_expiry_attributes", o.AccountExpiryAttributes, false},
		{"password_expiry_attributes", o.PasswordExpiryAttributes, false},
	} {
		if len(list.names) > maxAttributes {
			f.add(list.field, fmt.Sprintf("%d are named", len(list.names)), fmt.Sprintf("name at most %d", maxAttributes))
		}
		for _, name := range list.names {
			if n, value, has := strings.Cut(name, "="); list.value && has {
				if name = n; value == "" {
					f.add(list.field, fmt.Sprintf("%q has no value after the =", n+"="), "write NAME=VALUE, or NAME alone")
				}
			}
			attribute(list.field, name)
		}
	}
}

func (o *Options) checkGroups(f *faults, filterGiven bool) *template {
	switch o.GroupMode {
	case modeMemberOf:
		if filterGiven {
			f.add("group_filter", "group_mode member_of does not search", "remove it, or set group_mode to search")
		}
		return nil
	case modeSearch, modeAD:
	default:
		f.add("group_mode", fmt.Sprintf("unknown mode %q", o.GroupMode), `write "member_of", "search" or "ad"`)
		return nil
	}
	if o.GroupFilter == "" {
		f.add("group_filter", "it is missing", "write the filter that finds a person's groups, such as (member={dn}), or "+
			"choose a preset")
		return nil
	}
	t, err := parseTemplate(o.GroupFilter, holdDN, holdLogin)
	switch {
	case err != nil:
		f.add("group_filter", err.Error(), "write an LDAP filter such as (&(objectClass=groupOfNames)(member={dn}))")
	case !t.uses(holdDN) && !t.uses(holdLogin):
		f.add("group_filter", "it holds neither {dn} nor {login}, so everybody would be in the same groups",
			"write (member={dn}) or (memberUid={login})")
	case o.GroupMode == modeAD && !strings.Contains(o.GroupFilter, inChain):
		f.add("group_filter", "group_mode ad needs the matching rule in chain", "write (member:"+inChain+":={dn})")
	}
	return t
}
