package directory

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Step is one step of Check: what was tried, what came of it, and what to do if it failed. One that passed can have
// something to do too: a warning.
type Step struct {
	Name, Detail string
	Server       string // the URL of the one that was tried; "": any of them
	Err          error
	Fix          string
	// Person says that Detail and Err are about one person, whom they may name.
	Person bool
}

// Depth is how far a check goes.
type Depth int

// The depths: each goes further than the one before.
const (
	ToServer  Depth = iota // dial and TLS
	ToAccount              // the bind of the service account
	ToBase                 // the DNs below which people and groups are searched
	ToPeople               // one person, with their groups
)

// Check tries each server: dial and TLS, service bind, base DN; and then, over the pool as a sign-in would, one person
// and that person's groups. It changes nothing and tries no person's password. A step that could not be tried because
// an earlier one failed is left out.
func (d *Directory) Check(ctx context.Context) []Step { return d.CheckTo(ctx, ToPeople) }

// CheckTo is Check up to a depth.
func (d *Directory) CheckTo(ctx context.Context, depth Depth) []Step {
	var steps []Step
	if len(d.unread) > 0 {
		steps = append(steps, Step{Name: "read ca_file", Detail: strings.Join(d.unread, "; "),
			Fix: "have those certificates issued again, or take them out if no server needs them"})
	}
	// Side by side: one that does not answer leaves the others their time.
	each := make([][]Step, len(d.servers))
	var all sync.WaitGroup
	for i, s := range d.servers {
		all.Go(func() { each[i] = d.checkServer(ctx, s, depth) })
	}
	all.Wait()
	for i, s := range d.servers {
		for _, step := range each[i] {
			step.Server = s.url
			steps = append(steps, step)
		}
	}
	if depth < ToPeople {
		return steps
	}
	return append(steps, d.checkSearches(ctx)...)
}

func (d *Directory) checkServer(ctx context.Context, s *server, depth Depth) []Step {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	connect := Step{Name: "connect to " + s.url}
	c, err := s.dial(ctx, &d.o)
	if err != nil {
		f := Diagnose(err)
		connect.Err, connect.Fix = fmt.Errorf("%s: %w", f.Text, err), f.Fix
		return []Step{connect}
	}
	defer c.close()
	connect.Detail = "without TLS: passwords go in clear"
	if state, ok := c.ldap.TLSConnectionState(); ok {
		connect.Detail = tls.VersionName(state.Version)
		if len(state.PeerCertificates) > 0 {
			connect.Detail += ", certificate valid until " + state.PeerCertificates[0].NotAfter.UTC().Format(time.RFC3339)
		}
	}
	steps := []Step{connect}
	if d.o.BindDN != "" && depth >= ToAccount {
		bind := Step{Name: "service bind at " + s.url, Detail: d.o.BindDN}
		_, bind.Err = c.do(ctx, d.o.OpTimeout, func(l *ldap.Conn) error { return l.Bind(d.o.BindDN, d.bindPassword()) })
		if bind.Err != nil {
			f := Diagnose(&serviceError{s.url, d.o.BindDN, bind.Err})
			bind.Err, bind.Fix = fmt.Errorf("%s: %w", f.Text, bind.Err), f.Fix
		}
		if steps = append(steps, bind); bind.Err != nil {
			return steps
		}
	}
	if depth < ToBase {
		return steps
	}
	bases := []struct{ field, dn string }{{"base_dn", d.o.BaseDN}, {"group_base_dn", d.o.GroupBaseDN}}
	if SameDN(d.o.BaseDN, d.o.GroupBaseDN) {
		bases = bases[:1]
	}
	for _, base := range bases {
		steps = append(steps, d.checkBase(ctx, c, base.field, base.dn))
	}
	return steps
}

func (d *Directory) checkBase(ctx context.Context, c *conn, field, dn string) Step {
	step := Step{Name: "read " + field + " at " + c.server.url, Detail: dn}
	var result *ldap.SearchResult
	_, step.Err = c.do(ctx, d.o.OpTimeout, func(l *ldap.Conn) error {
		var err error
		result, err = l.Search(d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)", []string{"1.1"}))
		return err
	})
	if step.Err == nil && len(result.Entries) == 0 {
		step.Err = ErrNotFound
	}
	if step.Err != nil {
		f := Diagnose(&baseError{field, dn, step.Err})
		step.Err, step.Fix = fmt.Errorf("%s: %w", f.Text, step.Err), f.Fix
	} else if found := result.Entries[0].DN; d.o.GroupMode == modeMemberOf && dn == d.o.GroupBaseDN && !SameDN(dn, found) {
		// Groups that memberOf lists are compared with the base here, and less is the same to us than to the server.
		step.Err = fmt.Errorf("the directory spells it %q, and groups below it are not recognized by this spelling", found)
		step.Fix = "write " + field + " as the directory spells it"
	}
	return step
}

func (d *Directory) checkSearches(ctx context.Context) []Step {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	person := Step{Name: "find a person", Person: true}
	// The limit makes the server stop after one; that it says so (result code 4) is no fault.
	found, err := d.search(ctx, d.request(d.o.BaseDN, ldap.ScopeWholeSubtree, 1, d.person.present(), d.attributes))
	switch {
	case err != nil && !hasCode(err, ldap.LDAPResultSizeLimitExceeded):
		person.Err, person.Fix = err, "fix the steps above; if they all passed, let the service account search below "+
			"base_dn"
		return []Step{person}
	case len(found) == 0:
		person.Err, person.Fix = ErrNotFound, "check base_dn and login_filter, and that the service account may read people"
		return []Step{person}
	}
	e, _, err := d.entry(found[0])
	if err != nil {
		person.Err, person.Fix = err, "set login_attribute and id_attribute to attributes that each person has and the "+
			"service account may read"
		return []Step{person}
	}
	person.Detail = fmt.Sprintf("%s: login %q, id %s", e.DN, e.Login, e.ID)
	groups := Step{Name: "read that person's groups", Person: true}
	list, err := d.personGroups(ctx, e, found[0])
	if err != nil {
		groups.Err, groups.Fix = err, "check group_base_dn, group_mode and group_filter, and that the service account may "+
			"read groups"
	} else {
		groups.Detail = fmt.Sprintf("%d groups by group_mode %s", len(list), d.o.GroupMode)
		if token, err := d.token(ctx, e.DN); d.byToken && err == nil && token == nil {
			groups.Detail += ", without tokenGroups: groups are read one by one, and none of another domain is found"
			groups.Fix = "let the service account read tokenGroups of people, for instance as a member of Windows " +
				"Authorization Access Group"
		}
	}
	return []Step{person, groups}
}

// PatternBase reads the DN below which groups of a pattern are to count, and returns it as the directory spells it. One
// that holds everybody's groups is refused: a naming context of the server, base_dn, and what is above them. Whoever
// may create a group there would choose client accounts. Its error is an *Error; BadData for a DN that can't be taken.
func (d *Directory) PatternBase(ctx context.Context, dn string) (string, error) {
	const op = "read the base of a pattern"
	bad := func(format string, args ...any) error {
		return &Error{Problem: BadData, Op: op, Err: fmt.Errorf(format, args...)}
	}
	if _, err := NormalDN(dn); err != nil {
		return "", bad("%w", err)
	}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	found, err := d.search(ctx, d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)", []string{"1.1"}))
	switch {
	case len(found) == 0 && (err == nil || hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultReferral,
		ldap.LDAPResultInvalidDNSyntax)):
		return "", bad("%q: %w", dn, ErrNotFound)
	case err != nil:
		return "", unavailable(op, err)
	}
	base := found[0].DN
	root, err := d.search(ctx, d.request("", ldap.ScopeBaseObject, 1, "(objectClass=*)", []string{"namingContexts"}))
	if err != nil {
		return "", unavailable("read the naming contexts", err)
	}
	wide := []string{d.o.BaseDN}
	if len(root) > 0 {
		wide = append(wide, root[0].GetEqualFoldAttributeValues("namingContexts")...)
	}
	for _, w := range wide {
		if under(w, base) {
			return "", bad("%q holds all of %q; name an organizational unit in which only trusted people may create groups",
				base, w)
		}
	}
	return base, nil
}

// selfWritten are attributes that people can usually write at their own entry: Active Directory's property set
// Personal-Information and what OpenLDAP servers usually allow by "self write", with mail, which many applications let
// people change.
var selfWritten = []string{
	"mail", "departmentNumber", "telephoneNumber", "mobile", "homePhone", "homePostalAddress", "postalAddress",
	"postalCode", "street", "streetAddress", "l", "st", "c", "co",
	"physicalDeliveryOfficeName", "postOfficeBox", "pager", "facsimileTelephoneNumber", "internationalISDNNumber",
	"telexNumber", "primaryTelexNumber",
	"primaryInternationalISDNNumber", "ipPhone", "otherTelephone", "otherMobile", "otherHomePhone", "otherPager",
	"otherFacsimileTelephoneNumber", "otherIpPhone",
	"otherMailbox", "assistant", "info", "personalTitle", "thumbnailPhoto", "thumbnailLogo", "jpegPhoto", "userCert",
	"userCertificate", "userSMIMECertificate", "userSharedFolder",
	"userSharedFolderOther", "registeredAddress", "preferredDeliveryMethod", "teletexTerminalIdentifier", "x121Address",
	"publicDelegates", "mSMQDigests", "mSMQSignCertificates",
	"wWWHomePage", "url", "labeledURI", "displayName", "description", "initials", "preferredLanguage", "roomNumber",
	"carLicense", "title", "loginShell", "gecos",
}

// SelfWritten tells whether people can usually change an attribute of their own entry, by which nobody's access should
// be decided.
func SelfWritten(attribute string) bool {
	name, _, _ := strings.Cut(attribute, ";")
	return slices.ContainsFunc(selfWritten, func(a string) bool { return strings.EqualFold(a, name) })
}
