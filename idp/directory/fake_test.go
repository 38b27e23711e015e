package directory_test

import (
	"cmp"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jimlambrt/gldap"

	"ssobridge/idp/directory"
)

// fake is an LDAP server of a few lines for answers that the real ones give only in production: all of Active
// Directory's codes, attributes in parts. It speaks plain LDAP and records what it is asked.
type fake struct {
	url  string
	base string

	mu        sync.Mutex
	people    []fakeEntry // found by every search below base that asks for a login
	entries   map[string]fakeEntry
	groups    []fakeEntry // found by the objectSid that a filter asks for
	password  string
	service   string // password of the service account; "" for the usual one
	diag      string // message of a refused bind
	code      int    // result code of a refused bind
	slow      time.Duration
	searchErr int
	byLogin   bool // people are found by the login name or user principal name that a filter asks for
	binds     []fakeBind
	searches  []fakeSearch
}

type fakeEntry struct {
	dn         string
	attributes map[string][]string
}

type fakeBind struct {
	conn int
	dn   string
	ok   bool
}

type fakeSearch struct {
	conn   int
	base   string
	filter string
	names  []string
}

const fakeService = "cn=service,dc=fake"

func startFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{base: "dc=fake", password: "right", code: gldap.ResultInvalidCredentials, entries: map[string]fakeEntry{}}
	s, err := gldap.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	mux, err := gldap.NewMux()
	if err != nil {
		t.Fatal(err)
	}
	if err := mux.Bind(f.bind); err != nil {
		t.Fatal(err)
	}
	if err := mux.Search(f.search); err != nil {
		t.Fatal(err)
	}
	if err := s.Router(mux); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	done := make(chan error, 1)
	go func() { done <- s.Run(address) }()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !s.Ready() {
		select {
		case <-tick.C:
		case err := <-done:
			t.Fatal("fake server:", err)
		case <-deadline:
			t.Fatal("fake server does not start")
		}
	}
	t.Cleanup(func() { _ = s.Stop(); <-done })
	f.url = "ldap://" + address
	return f
}

// options reach the fake as the preset's kind of directory.
func (f *fake) options(preset string) directory.Options {
	return directory.Options{Preset: preset, URLs: []string{f.url}, Insecure: true, BindDN: fakeService,
		BindPassword: "service", BaseDN: f.base, GroupMode: "member_of"}
}

// person adds somebody whom every person search finds.
func (f *fake) person(dn string, attributes map[string][]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.people = append(f.people, fakeEntry{dn, attributes})
}

// group adds a group with a type of Active Directory.
func (f *fake) group(dn, groupType string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries[strings.ToLower(dn)] = fakeEntry{dn, map[string][]string{"groupType": {groupType}}}
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) bindsOf(dn string) []fakeBind {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.binds), func(b fakeBind) bool { return b.dn != dn })
}

func (f *fake) bind(w *gldap.ResponseWriter, r *gldap.Request) {
	m, err := r.GetSimpleBindMessage()
	if err != nil {
		return
	}
	f.mu.Lock()
	ok := string(m.Password) == f.password
	if m.UserName == fakeService {
		ok = string(m.Password) == cmp.Or(f.service, "service")
	}
	known := m.UserName == fakeService || slices.ContainsFunc(f.people,
		func(e fakeEntry) bool { return e.dn == m.UserName })
	ok = ok && known
	f.binds = append(f.binds, fakeBind{r.ConnectionID(), m.UserName, ok})
	code, diag, slow := f.code, f.diag, f.slow
	f.mu.Unlock()
	if known && m.UserName != fakeService && slow > 0 {
		<-time.After(slow) // what a slow password hash costs
	}
	if ok {
		_ = w.Write(r.NewBindResponse(gldap.WithResponseCode(gldap.ResultSuccess)))
		return
	}
	if m.UserName == fakeService {
		code = gldap.ResultInvalidCredentials
	}
	resp := r.NewBindResponse(gldap.WithResponseCode(code))
	resp.SetDiagnosticMessage(diag)
	_ = w.Write(resp)
}

func (f *fake) search(w *gldap.ResponseWriter, r *gldap.Request) {
	m, err := r.GetSearchMessage()
	if err != nil {
		return
	}
	f.mu.Lock()
	f.searches = append(f.searches, fakeSearch{r.ConnectionID(), m.BaseDN, m.Filter, m.Attributes})
	var found []fakeEntry
	switch {
	case m.Scope == gldap.BaseObject:
		if e, ok := f.entries[strings.ToLower(m.BaseDN)]; ok {
			found = append(found, e)
		}
		for _, p := range f.people {
			if p.dn == m.BaseDN {
				found = append(found, p)
			}
		}
	case strings.Contains(m.Filter, "(objectSid="):
		for _, g := range f.groups {
			// The library shows printable octets alone as they came, so the last number has to be one.
			if last := g.attributes["objectSid"][0][24:25]; strings.Contains(m.Filter, last+`\00\00\00)`) {
				found = append(found, g)
			}
		}
	case f.byLogin && strings.Contains(m.Filter, "objectCategory=person"):
		for _, p := range f.people {
			for _, name := range []string{"sAMAccountName", "userPrincipalName"} {
				for _, v := range p.attributes[name] {
					if strings.Contains(strings.ToLower(m.Filter), strings.ToLower("("+name+"="+v+")")) {
						found = append(found, p)
					}
				}
			}
		}
	case !strings.Contains(m.Filter, "nobody"):
		found = f.people
	}
	code := gldap.ResultSuccess
	if f.searchErr != 0 {
		code, found = f.searchErr, nil
	} else if len(found) == 0 && m.Scope == gldap.BaseObject {
		code = gldap.ResultNoSuchObject
	}
	f.mu.Unlock()
	for _, e := range found {
		entry := r.NewSearchResponseEntry(e.dn)
		for _, name := range m.Attributes {
			for has, values := range e.attributes {
				plain, option, _ := strings.Cut(has, ";")
				asked, part, ranged := strings.Cut(name, ";")
				if !strings.EqualFold(plain, asked) {
					continue
				}
				// A part is given for the range that was asked for: the first one when none was.
				if ranged && strings.HasPrefix(option, strings.TrimSuffix(part, "*")) || !ranged && (option == "" ||
					strings.HasPrefix(option, "range=0-")) {
					entry.AddAttribute(has, values)
				}
			}
		}
		_ = w.Write(entry)
	}
	done := r.NewSearchDoneResponse()
	done.SetResultCode(code)
	_ = w.Write(done)
}
