package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/go-ldap/ldap/v3"
)

// Directory is safe for concurrent use.
type Directory struct {
	o          Options
	password   atomic.Pointer[string] // of the service account
	isAD       bool
	byToken    bool // tokenGroups gives a person's groups, where it can be read
	sifts      bool // the rule in chain finds security groups, and would find them by way of distribution groups too
	person     *template
	upn        *template // finds by user principal name; nil: person does
	groups     *template // nil in mode member_of
	attributes []string  // of a person

	unread   []string // what of ca_file can't be read, beside what can
	servers  []*server
	searches *pool         // bound as the service account
	binds    *pool         // bound as people only
	slow     chan struct{} // the share of binds that tries of addresses past their limit have
	cache    groupCache

	warnToken sync.Once
	referrals atomic.Int64
	closed    atomic.Bool
}

// New checks the options, fills their defaults and reads the CA file. It does not connect: a directory that is down
// must not keep the program from starting. Its error joins a *FieldError for every fault.
func New(o Options) (*Directory, error) {
	p, err := o.check()
	if err != nil {
		return nil, err
	}
	d := &Directory{o: o, isAD: o.isAD(), person: p.person, upn: p.upn, groups: p.groups, unread: p.unread,
		cache: newGroupCache(o.Now)}
	d.SetBindPassword(o.BindPassword)
	// A filter of one's own and distribution groups ask for other groups than those of a token.
	d.byToken = d.isAD && o.GroupMode == modeAD && o.GroupFilter == adTokenFilter
	d.sifts = o.GroupMode == modeAD && d.refuses() && d.groups.followsChain()
	for _, text := range p.unread {
		o.Logger.Warn("a certificate of ca_file can't be read and is passed over", "ca_file", o.CAFile, "fault", text)
	}
	for _, u := range p.urls {
		s := newServer(u, &d.o, p)
		if s.tls == nil {
			o.Logger.Warn("passwords go to the directory in clear: insecure is set and the URL is not ldaps://", "server", s.url)
		}
		d.servers = append(d.servers, s)
	}
	d.searches = newPool(&d.o, spanSearch, d.servers, o.PoolSize)
	d.searches.open, d.searches.probe = d.openSearch, d.probeSearch
	d.binds = newPool(&d.o, spanBind, d.servers, o.BindPoolSize)
	d.binds.open = d.openBind
	d.slow = make(chan struct{}, max(1, o.BindPoolSize/slowShare))
	d.attributes = append([]string{o.LoginAttribute, o.IDAttribute, o.FirstNameAttribute, o.LastNameAttribute,
		o.MailAttribute}, o.ExtraAttributes...)
	d.attributes = append(d.attributes, o.stateAttributes()...)
	if o.GroupMode != modeSearch {
		d.attributes = append(d.attributes, "memberOf")
	}
	if d.isAD {
		d.attributes = append(d.attributes, "objectSid", "primaryGroupID") // see primarySID
	} else {
		d.attributes = append(d.attributes, "gidNumber")
	}
	return d, nil
}

// Close closes the connections. Calls that are under way end as they would have; later ones fail with Unavailable.
func (d *Directory) Close() error {
	d.closed.Store(true)
	d.searches.close()
	d.binds.close()
	return nil
}

// Referrals is the number of referral entries that searches have found and ignored since the start. A high one means
// that base_dn is wider than this server: for Active Directory, use the domain's DN or the global catalog at port 3269.
func (d *Directory) Referrals() int64 { return d.referrals.Load() }

// Read reads a person again by immutable id, for a live session. A person who is gone, or whom the login filter no
// longer takes, is an Entry with Problem Disabled and the id. An Entry whose Problem is set is returned without error.
func (d *Directory) Read(ctx context.Context, id string) (Entry, error) {
	id = canonicalID(d.o.IDAttribute, id)
	op := "read the person " + id
	condition, err := idFilter(d.o.IDAttribute, id)
	if err != nil {
		return Entry{}, &Error{Problem: BadData, Op: "read a person", Err: err}
	}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	// The login filter's other conditions still hold: somebody whom it no longer takes may not go on with a session.
	found, err := d.findPerson(ctx, "(&"+condition+d.person.present()+")")
	if errors.Is(err, ErrNotFound) {
		return Entry{ID: id, Problem: Disabled, ReadAt: d.o.Now()}, nil
	}
	if err != nil {
		return Entry{}, unavailable(op, err)
	}
	e, st, err := d.entry(found)
	if err != nil {
		return Entry{}, unavailable(op, err)
	}
	if e.ID != id {
		// A server compares an id of text without regard to case or spaces. Nobody is somebody else's record by that: the
		// id as the entry holds it is the only one.
		return Entry{ID: id, Problem: Disabled, ReadAt: d.o.Now()}, nil
	}
	if e.Problem = st.problem; e.Problem != "" {
		return e, nil
	}
	if e.Groups, err = d.personGroups(ctx, e, found); err != nil {
		return Entry{}, withPerson(err, e.ID)
	}
	return e, nil
}

// Find reads a person by login name without a password, for people who look into a case. Groups are read whatever the
// account's state, and a lock after wrong passwords is told as Locked; on OpenLDAP it may have run out since, which
// only the next sign-in clears. A login that nobody has is an Error with ErrNotFound in its chain.
func (d *Directory) Find(ctx context.Context, login string) (Entry, error) {
	const op = "find a person by login"
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	found, err := d.findLogin(ctx, login)
	if errors.Is(err, ErrNotFound) {
		return Entry{}, &Error{Problem: BadCredentials, Op: op, Err: err}
	}
	if err != nil {
		return Entry{}, unavailable(op, err)
	}
	e, st, err := d.entry(found)
	if err != nil {
		return Entry{}, unavailable(op, err)
	}
	e.Problem = st.problem
	if e.Problem == "" && st.locked {
		e.Problem = Locked
	}
	if e.Groups, err = d.personGroups(ctx, e, found); err != nil {
		return Entry{}, withPerson(err, e.ID)
	}
	return e, nil
}

// bounded puts the total time of one call on ctx.
func (d *Directory) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d.o.Timeout, fmt.Errorf("the directory took longer than timeout (%v): %w",
		d.o.Timeout, context.DeadlineExceeded))
}

// findPerson runs a search that must find exactly one entry.
func (d *Directory) findPerson(ctx context.Context, filter string) (*ldap.Entry, error) {
	// Two are asked for, so that a second one is seen.
	found, err := d.search(ctx, d.request(d.o.BaseDN, ldap.ScopeWholeSubtree, 2, filter, d.attributes))
	if len(found) > 1 {
		return nil, &Error{Problem: Ambiguous, Op: "find the person",
			Err: fmt.Errorf("several entries below %q fit: %q and %q", d.o.BaseDN, found[0].DN, found[1].DN)}
	}
	if err != nil {
		if hasCode(err, ldap.LDAPResultNoSuchObject) {
			err = &baseError{"base_dn", d.o.BaseDN, err}
		}
		return nil, &Error{Problem: Unavailable, Op: "find the person", Err: err}
	}
	if len(found) == 0 {
		return nil, ErrNotFound
	}
	return found[0], nil
}

// nobody is the problem of a search that named no one person, "" if it did or could not be made.
func nobody(err error) Problem {
	if errors.Is(err, ErrNotFound) {
		return BadCredentials
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Problem == Ambiguous {
		return Ambiguous
	}
	return ""
}

// withPerson names the person in an Error.
func withPerson(err error, id string) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.PersonID = id
	}
	return err
}

// SetBindPassword changes the password of the service account, for the connections that are made from now on.
func (d *Directory) SetBindPassword(password string) { d.password.Store(&password) }

func (d *Directory) bindPassword() string { return *d.password.Load() }
