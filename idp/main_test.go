package idp_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// start is the moment at which every test begins.
var start = time.Date(2027, 1, 5, 10, 0, 0, 0, time.UTC)

// now is the one clock: ours, the store's, and that of crewjam's service
// provider, which keeps it in a package variable. Tests of this package so run
// one after the other.
var now = &clock{at: start}

func TestMain(m *testing.M) {
	flag.Parse()
	saml.TimeNow = now.Now
	os.Exit(m.Run())
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

func (c *clock) Advance(d time.Duration) { c.Set(c.Now().Add(d)) }

// Addresses and names of the tests.
const (
	entityID   = "https://sso.partner.test/saml/" // with the slash that must never get lost
	publicURL  = "https://sso.partner.test"
	endpoint   = publicURL + "/saml/sso"
	ctct       = "https://identity.ctct.test/sp"
	ctctACS    = "https://identity.ctct.test/sso/saml2"
	plain      = "https://wiki.partner.test/metadata"
	plainACS   = "https://wiki.partner.test/acs"
	plainACS2  = "https://wiki.partner.test/acs2"
	persistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	basic      = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	staff      = "cn=staff,ou=groups,dc=partner,dc=test"
)

// fixture is an identity provider on a real store, with a directory and a gate
// that behave as told.
type fixture struct {
	*idp.IdP
	db        *store.DB
	dsn       string
	directory *people
	gate      *gate
	log       *lockedBuffer
	random    *interrupted
	sealer    *certs.Sealer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// interrupted is randomness that can be interrupted once: something is done while it is drawn.
type interrupted struct {
	mu sync.Mutex
	do func()
}

func (i *interrupted) set(do func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.do = do
}

func (i *interrupted) Read(p []byte) (int, error) {
	i.mu.Lock()
	do := i.do
	i.do = nil
	i.mu.Unlock()
	if do != nil {
		do()
	}
	return rand.Read(p)
}

// newFixture builds one; change may alter the options.
func newFixture(t testing.TB, key string, change func(*idp.Options)) *fixture {
	t.Helper()
	now.Set(start)
	return fixtureOn(t, storetest.Migrated(t).DSN, key, change)
}

// fixtureOn is one on a database that another may share, as replicas do.
func fixtureOn(t testing.TB, dsn, key string, change func(*idp.Options)) *fixture {
	t.Helper()
	ctx := context.Background()
	log := &lockedBuffer{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	sealer, err := certs.NewSealer(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(ctx, store.Options{DSN: dsn, Now: now.Now, Logger: logger, Voucher: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &fixture{
		db: db, dsn: dsn, log: log, sealer: sealer,
		directory: &people{all: map[string]*person{}, groups: []directory.Group{staffEntry}},
		gate:      &gate{},
		random:    &interrupted{},
	}
	f.addKey(t, key)
	f.put(t, constantContact())
	f.put(t, plainSP())
	f.directory.add("alice", "correct horse", directory.Entry{
		DN: "uid=alice,ou=people,dc=partner,dc=test", ID: "11111111-aaaa-4bbb-8ccc-000000000001", Login: "alice",
		FirstName: "Alice", LastName: "Ångström", Mail: "alice@partner.test",
		Attributes: map[string][]string{"department": {"Sales", "R&D <x>"}},
		Groups:     []directory.Group{staffEntry},
	})
	f.directory.add("bob", "battery staple", directory.Entry{
		DN: "uid=bob,ou=people,dc=partner,dc=test", ID: "11111111-aaaa-4bbb-8ccc-000000000002", Login: "bob",
		FirstName: "Bob", LastName: "Bauer", Mail: "bob@partner.test",
	})
	o := idp.Options{
		EntityID: entityID, PublicURL: publicURL,
		SignIns: db.SignIns(), Sessions: db.Sessions(), Logouts: db.Logouts(), Providers: db.ServiceProviders(),
		Groups: db.NamedGroups(), Accounts: db.Accounts(), NameIDs: db.NameIDs(), Keys: db.Keys(),
		Throttle: db.Throttle(), Forms: db.Forms(), Captures: db.Captures(), SecondFactors: db.SecondFactors(),
		Audit: db.Audit(), Changes: db.Changes, Sealer: sealer,
		SourceStates: db.Sources(), Directory: f.directory, Gate: f.gate, ReadingStale: 15 * time.Minute,
		LoginFloor: time.Millisecond,
		Now:        now.Now, Random: f.random, Logger: logger,
	}
	if change != nil {
		change(&o)
	}
	if f.IdP, err = idp.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Drain) // before the store is closed
	f.resolve(t)
	return f
}

// staffEntry is the group staff as the directory knows it.
var staffEntry = directory.Group{DN: "CN=Staff, OU=groups,dc=partner,dc=test", Name: "Staff",
	ID: "99999999-aaaa-4bbb-8ccc-000000000001"}

// resolve does what the background work does for groups that are named by a DN.
func (f *fixture) resolve(t testing.TB) []idp.GroupUse {
	t.Helper()
	uses, err := f.ResolveGroups(context.Background(), false)
	if err != nil {
		t.Fatal(err)
	}
	return uses
}

// readKey reads a fixed key of the tests, which protects nothing.
func readKey(t testing.TB, name string) *certs.Key {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	private, rest := pem.Decode(data)
	certificate, _ := pem.Decode(rest)
	key, err := certs.Load(certificate.Bytes, private.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (f *fixture) addKey(t testing.TB, name string) {
	t.Helper()
	if name == "" {
		return
	}
	key := readKey(t, name)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := f.sealer.Seal(pkcs8, "signing-key:"+key.ID)
	if err != nil {
		t.Fatal(err)
	}
	err = f.db.Keys().Add(context.Background(), store.SigningKey{
		ID: key.ID, Use: "signing", State: "active", Algorithm: string(key.Algorithm),
		Certificate: key.Certificate.Raw, Private: sealed, CreatedAt: now.Now(),
	}, store.Event{Action: "key-add", Outcome: "ok"})
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) put(t testing.TB, sp store.ServiceProvider) {
	t.Helper()
	if err := f.db.ServiceProviders().Put(context.Background(), sp, store.Event{Action: "sp-add",
		Outcome: "ok"}); err != nil {
		t.Fatal(err)
	}
	if f.IdP != nil {
		f.resolve(t)
	}
}

// constantContact is a record as the bridge's own command makes it.
func constantContact() store.ServiceProvider {
	return store.ServiceProvider{
		EntityID: ctct, Name: "Constant Contact", Kind: store.ConstantContact, Enabled: true,
		ACS:          []store.Endpoint{{URL: ctctACS, Binding: saml.HTTPPostBinding}},
		NameIDFormat: persistent, NameID: "{external_id}",
		Attributes: []store.Attribute{
			{Name: "email", NameFormat: basic, Value: "{mail}"},
			{Name: "firstName", NameFormat: basic, Value: "{first_name}"},
			{Name: "lastName", NameFormat: basic, Value: "{last_name}"},
		},
		SignAssertion: true, SignResponse: true, RelayStateIn: "field",
		RelayStates: []store.RelayState{
			{ID: "home", Value: "https://login.ctct.test/login/idp-redirect", Default: true},
			{ID: "other", Value: "a b&c=d"},
		},
		Lifetime: 5 * time.Minute, Skew: time.Minute,
	}
}

func plainSP() store.ServiceProvider {
	return store.ServiceProvider{
		EntityID: plain, Name: "Wiki", Kind: store.PlainSAML, Enabled: true,
		ACS: []store.Endpoint{
			{URL: plainACS, Binding: saml.HTTPPostBinding, Index: 0},
			{URL: plainACS2, Binding: saml.HTTPPostBinding, Index: 1},
			{URL: "https://wiki.partner.test/artifact", Binding: saml.HTTPArtifactBinding, Index: 2},
		},
		NameIDFormat: persistent, NameID: "{person_id}",
		Attributes: []store.Attribute{
			{Name: "urn:oid:2.5.4.11", FriendlyName: "ou", NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
				Value: "attr:department"},
			{Name: "mail", NameFormat: basic, Value: "{mail}"},
			{Name: "phone", NameFormat: basic, Value: "{attr:telephoneNumber}"},
		},
		SignAssertion: true, SignResponse: true, RelayStateIn: "field",
		Groups: []string{staff}, Lifetime: 5 * time.Minute, Skew: time.Minute,
	}
}

// people is a directory with behaviour.
type people struct {
	mu     sync.Mutex
	all    map[string]*person
	down   bool
	groups []directory.Group // that can be asked for by DN
	reads  int
	binds  int
	bound  func() // called after a password was right; nil: nothing
	slow   int    // of the binds, those in the share of slow ones

	held   chan struct{} // binds wait until it is closed; nil: they don't
	lost   int           // so many answers get lost on a connection that had been idle
	unsent bool          // no bind can be sent
}

type person struct {
	entry    directory.Entry
	password string
	problem  directory.Problem
	unproved bool // the directory says so before it looks at the password
	lags     bool // the server that judges logins does not have a changed password yet
	changing func()
}

func (d *people) add(login, password string, e directory.Entry) {
	d.all[login] = &person{entry: e, password: password}
}

// change alters a person under the lock.
func (d *people) change(login string, do func(*person)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do(d.all[login])
}

func (d *people) setDown(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

func (d *people) counts() (reads, binds int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reads, d.binds
}

func (d *people) Lookup(_ context.Context, login string) (directory.Found, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return directory.Found{}, &directory.Error{Problem: directory.Unavailable, Op: "sign in",
			Err: errors.New("connection refused")}
	}
	login = strings.ToLower(login)
	if _, name, ok := strings.Cut(login, `\`); ok {
		login = name
	}
	who := d.all[login]
	if who == nil {
		name, _, _ := strings.Cut(strings.TrimSpace(login), "@")
		who = d.all[name]
	}
	if who == nil {
		return directory.Found{}, &directory.Error{Problem: directory.BadCredentials, Op: "sign in",
			Err: directory.ErrNotFound}
	}
	return directory.Found{Entry: directory.Entry{ID: who.entry.ID, DN: who.entry.DN, Login: who.entry.Login}}, nil
}

func (d *people) Bind(_ context.Context, f directory.Found, password string, slow bool) (directory.Entry, error) {
	d.mu.Lock()
	d.binds++
	if slow {
		d.slow++
	}
	held := d.held
	d.mu.Unlock()
	if held != nil {
		<-held
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, who := range d.all {
		if who.entry.ID != f.Entry.ID {
			continue
		}
		refused := func(problem directory.Problem, try directory.Try) (directory.Entry, error) {
			return directory.Entry{}, &directory.Error{Problem: problem, Op: "sign in", PersonID: who.entry.ID,
				Err: errors.New("code 49"), Try: try}
		}
		switch {
		case d.lost > 0:
			d.lost--
			return directory.Entry{}, &directory.Error{Problem: directory.Unavailable, Op: "sign in", PersonID: who.entry.ID,
				Err: io.EOF, Again: true}
		case d.unsent:
			return refused(directory.Unavailable, directory.NotSent)
		case who.password != password:
			return refused(directory.BadCredentials, directory.MaybeJudged)
		case who.problem == directory.Locked, who.problem == directory.BadCredentials, who.problem == directory.Ambiguous,
			who.problem == directory.Unavailable:
			return refused(who.problem, directory.MaybeJudged)
		case who.problem != "" && who.unproved:
			return refused(who.problem, directory.MaybeJudged)
		case who.problem != "":
			return refused(who.problem, directory.Proved)
		}
		e := who.entry
		e.ReadAt = now.Now()
		if d.bound != nil {
			d.bound()
		}
		return e, nil
	}
	return directory.Entry{}, &directory.Error{Problem: directory.BadCredentials, Op: "sign in",
		Err: directory.ErrNotFound}
}

// ChangePassword is as the directory's: old and new in one change, for somebody whose password has ended.
func (d *people) ChangePassword(ctx context.Context, f directory.Found, old, fresh string, slow bool) error {
	d.mu.Lock()
	for _, who := range d.all {
		if who.entry.ID == f.Entry.ID && who.changing != nil {
			who.changing()
		}
	}
	d.mu.Unlock()
	if ctx.Err() != nil {
		return &directory.Error{Problem: directory.Unavailable, Op: "change", Err: ctx.Err()}
	}
	_, err := d.Bind(ctx, f, old, slow)
	var failed *directory.Error
	if err == nil || !errors.As(err, &failed) || failed.Problem != directory.PasswordExpired &&
		failed.Problem != directory.MustChange {
		return err
	}
	if len(fresh) < 10 {
		return &directory.PasswordError{Refusal: directory.PasswordShort, Said: "Too short", Err: errors.New("code 19")}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, who := range d.all {
		if who.entry.ID == f.Entry.ID {
			who.problem = ""
			if !who.lags {
				who.password = fresh
			}
		}
	}
	return nil
}

// Group answers as a server does: by its own matching rule, which here is letter case alone.
func (d *people) Group(_ context.Context, dn string) (directory.Group, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return directory.Group{}, &directory.Error{Problem: directory.Unavailable, Op: "read a group",
			Err: errors.New("connection refused")}
	}
	for _, g := range d.groups {
		if directory.SameDN(g.DN, dn) {
			return g, nil
		}
	}
	return directory.Group{}, &directory.Error{Problem: directory.BadData, Op: "read a group", Err: directory.ErrNotFound}
}

func (d *people) Read(_ context.Context, id string) (directory.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	if d.down {
		return directory.Entry{}, &directory.Error{Problem: directory.Unavailable, Op: "read",
			Err: errors.New("connection refused")}
	}
	for _, who := range d.all {
		if who.entry.ID == id {
			e := who.entry
			e.Problem, e.ReadAt = who.problem, now.Now()
			return e, nil
		}
	}
	return directory.Entry{ID: id, Problem: directory.Disabled, ReadAt: now.Now()}, nil
}

// gate is provisioning's decision, as told. Without an answer everybody is
// granted the account they want, a1 in doubt.
type gate struct {
	mu     sync.Mutex
	answer func(provisioning.Question) (provisioning.Decision, error)
	asked  []provisioning.Question
}

func (g *gate) set(answer func(provisioning.Question) (provisioning.Decision, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

func (g *gate) questions() []provisioning.Question {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]provisioning.Question(nil), g.asked...)
}

func (g *gate) Decide(_ context.Context, q provisioning.Question) (provisioning.Decision, error) {
	g.mu.Lock()
	g.asked = append(g.asked, q)
	answer := g.answer
	g.mu.Unlock()
	if answer != nil {
		return answer(q)
	}
	return granted(q), nil
}

func granted(q provisioning.Question) provisioning.Decision {
	account := q.Account
	if account == "" {
		account = "a1"
	}
	return provisioning.Decision{
		Outcome:    provisioning.Granted,
		Assignment: provisioning.Assignment{Account: account, Name: "Account " + string(account), Role: store.AccountManager},
		User:       store.SSOUser{Account: account, ExternalID: q.Person.ID + "." + string(account)},
	}
}

func denied(r provisioning.Reason) func(provisioning.Question) (provisioning.Decision, error) {
	return func(provisioning.Question) (provisioning.Decision, error) {
		return provisioning.Decision{Outcome: provisioning.Denied, Reason: r, Detail: "as told"}, nil
	}
}

// authnRequest is an AuthnRequest to send; every part can be spoilt.
type authnRequest struct {
	id, version, instant, destination, issuer string
	attributes                                string // further attributes of the root
	inner                                     string // after the Issuer
}

var requests int

func newRequest(issuer string) authnRequest {
	requests++
	return authnRequest{
		id: fmt.Sprintf("_request-%d", requests), version: "2.0", instant: now.Now().Format(time.RFC3339),
		destination: endpoint, issuer: "<saml:Issuer>" + issuer + "</saml:Issuer>",
	}
}

func (r authnRequest) xml() string {
	destination := ""
	if r.destination != "" {
		destination = ` Destination="` + r.destination + `"`
	}
	return `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="` +
		r.id + `" Version="` + r.version + `" IssueInstant="` + r.instant + `"` + destination + ` ` + r.attributes + `>` +
		r.issuer + r.inner + `</samlp:AuthnRequest>`
}

// byRedirect sends a request by GET.
func byRedirect(t testing.TB, text string, more ...string) *http.Request {
	t.Helper()
	query := "SAMLRequest=" + url.QueryEscape(deflated(t, text))
	for _, m := range more {
		query += "&" + m
	}
	return httptest.NewRequest(http.MethodGet, "/saml/sso?"+query, nil)
}

// byPost sends a request by POST.
func byPost(t testing.TB, text string, more ...string) *http.Request {
	t.Helper()
	form := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(text)))
	for _, m := range more {
		form += "&" + m
	}
	r := httptest.NewRequest(http.MethodPost, "/saml/sso", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// visitor is one browser.
func visitor(browser string) idp.Visitor {
	return idp.Visitor{Ref: "REF1", Address: "192.0.2.1", Browser: browser}
}

// must returns an answer's page as the type that is wanted.
func must[P idp.Page](t testing.TB, a idp.Answer, err error) P {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
	page, ok := a.Page.(P)
	if !ok {
		t.Fatalf("page is %T %.300s, want %T", a.Page, fmt.Sprintf("%+v", a.Page), page)
	}
	return page
}

// begun is how a sign-in stands that nobody has logged in for, or that somebody known goes on with: its handle.
func begun(t testing.TB, a idp.Answer, err error) idp.GoOn {
	t.Helper()
	if form, ok := a.Page.(idp.AskPassword); ok && err == nil {
		if form.Problem != "" || form.SignIn == "" || a.NewSession != "" {
			t.Fatalf("form %+v", form)
		}
		return idp.GoOn{SignIn: form.SignIn}
	}
	return must[idp.GoOn](t, a, err)
}

// resume goes on with a sign-in until it comes to a page: the first step with a session may store it, and lead on by
// its id.
func (f *fixture) resume(id string, v idp.Visitor) (idp.Answer, error) {
	a, err := f.Resume(context.Background(), id, v)
	if on, ok := a.Page.(idp.GoOn); ok && err == nil {
		return f.Resume(context.Background(), on.SignIn, v)
	}
	return a, err
}

// same tells whether two handles name one sign-in.
func same(a, b string) bool {
	a, _, _ = strings.Cut(a, ".")
	b, _, _ = strings.Cut(b, ".")
	return a == b
}

// signIn logs a person in on a launch to the plain service provider and
// returns the browser with its session.
func (f *fixture) signIn(t testing.TB, login, password string) idp.Visitor {
	t.Helper()
	return f.signInAt(t, "browser of "+login, login, password)
}

// signInAt is signIn in a browser of this name.
func (f *fixture) signInAt(t testing.TB, browser, login, password string) idp.Visitor {
	t.Helper()
	v := visitor(browser)
	a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
	on := begun(t, a, err)
	a, err = f.Login(context.Background(), on.SignIn, login, password, v)
	must[idp.GoOn](t, a, err)
	if a.NewSession == "" {
		t.Fatal("login gave no session")
	}
	v.Session = a.NewSession
	return v
}

// request sends an AuthnRequest by GET and returns the id of the pending sign-in.
func (f *fixture) request(t testing.TB, r authnRequest, v idp.Visitor, more ...string) string {
	t.Helper()
	a, err := f.SSO(context.Background(), byRedirect(t, r.xml(), more...), v)
	return must[idp.GoOn](t, a, err).SignIn
}

// root decodes a Response.
func root(t testing.TB, d idp.Deliver) *etree.Element {
	t.Helper()
	return parse(t, decode(t, d))
}

func decode(t testing.TB, d idp.Deliver) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(d.SAMLResponse)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, data []byte) *etree.Element {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

// find returns the one element at path, which must be there.
func find(t testing.TB, el *etree.Element, path string) *etree.Element {
	t.Helper()
	found := el.FindElements(path)
	if len(found) != 1 {
		t.Fatalf("%d elements at %s, want 1", len(found), path)
	}
	return found[0]
}

// status returns the two status codes of a Response without the common prefix.
func status(t testing.TB, d idp.Deliver) (top, second string) {
	t.Helper()
	const prefix = "urn:oasis:names:tc:SAML:2.0:status:"
	codes := root(t, d).FindElements("//StatusCode")
	if len(codes) > 0 {
		top = strings.TrimPrefix(codes[0].SelectAttrValue("Value", ""), prefix)
	}
	if len(codes) > 1 {
		second = strings.TrimPrefix(codes[1].SelectAttrValue("Value", ""), prefix)
	}
	return top, second
}

// events lists the audit, newest first.
func (f *fixture) events(t testing.TB) []store.Event {
	t.Helper()
	f.Drain()
	all, err := f.db.Audit().List(context.Background(), store.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// counting is a reader of fixed "randomness" for golden files.
type counting struct {
	mu sync.Mutex
	n  byte
}

func (c *counting) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range p {
		p[i] = c.n
		c.n++
	}
	return len(p), nil
}

var _ crypto.Signer = (*wrongSigner)(nil)

// wrongSigner has a public key and can't sign.
type wrongSigner struct{ crypto.Signer }

func (wrongSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("token removed")
}

// anotherSealer has another secret key than the fixture's.
func anotherSealer(t testing.TB) *certs.Sealer {
	t.Helper()
	s, err := certs.NewSealer(bytes.Repeat([]byte("o"), 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
