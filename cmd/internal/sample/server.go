package sample

import (
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jimlambrt/gldap"
)

// Directory is the running sample directory.
type Directory struct {
	URL string // ldaps://127.0.0.1:PORT
	CA  []byte // PEM of the authority that signed its certificate

	server *gldap.Server
	done   chan error
	tree   []*entry
}

// Start starts the directory on a free port of loopback. Stop it after use.
func Start() (*Directory, error) {
	ca, pair, err := newPKI(time.Now())
	if err != nil {
		return nil, fmt.Errorf("make the sample directory's certificate: %w", err)
	}
	d := &Directory{CA: ca, tree: entries()}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	// The library takes an address, not a listener, so another program can take the
	// free port first: then the next one is tried.
	for range 5 {
		if err = d.listen(config); err == nil {
			return d, nil
		}
	}
	return nil, fmt.Errorf("start the sample directory: %w", err)
}

func (d *Directory) listen(config *tls.Config) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	mux, err := gldap.NewMux()
	if err != nil {
		return err
	}
	if err := errors.Join(mux.Bind(d.bind), mux.Search(d.search), mux.DefaultRoute(refuse)); err != nil {
		return err
	}
	if d.server, err = gldap.NewServer(); err != nil {
		return err
	}
	if err := d.server.Router(mux); err != nil {
		return err
	}
	d.done = make(chan error, 1)
	go func() { d.done <- d.server.Run(address, gldap.WithTLSConfig(config)) }()
	// It is ready when a client gets through the handshake.
	for deadline := time.Now().Add(5 * time.Second); ; {
		// only asks whether it answers
		conn, err := tls.Dial("tcp", address, &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true})
		if err == nil {
			d.URL = "ldaps://" + address
			return conn.Close()
		}
		select {
		case err := <-d.done:
			return err
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// Stop ends the directory. Clients should be closed before: the library waits for
// their connections, and after two seconds they are left behind.
func (d *Directory) Stop() error {
	stopped := make(chan error, 1)
	go func() { stopped <- d.server.Stop() }()
	select {
	case err := <-stopped:
		return err
	case <-time.After(2 * time.Second):
		return nil
	}
}

// bind checks a password. A locked account answers like a wrong password, as OpenLDAP does.
func (d *Directory) bind(w *gldap.ResponseWriter, r *gldap.Request) {
	res := r.NewBindResponse(gldap.WithResponseCode(gldap.ResultInvalidCredentials))
	defer func() { _ = w.Write(res) }() // a client that has gone needs no answer
	m, err := r.GetSimpleBindMessage()
	if err != nil || m.AuthChoice != gldap.SimpleAuthChoice || m.Password == "" {
		return
	}
	if e := d.find(m.UserName); e != nil && e.password != "" && !e.locked &&
		subtle.ConstantTimeCompare([]byte(e.password), []byte(m.Password)) == 1 {
		res.SetResultCode(gldap.ResultSuccess)
	}
}

// search answers the scopes base, one level and subtree, honours the size limit and
// the attributes asked for. Everything fits one page, so paging needs no state.
func (d *Directory) search(w *gldap.ResponseWriter, r *gldap.Request) {
	done := r.NewSearchDoneResponse(gldap.WithResponseCode(gldap.ResultOperationsError))
	defer func() { _ = w.Write(done) }()
	m, err := r.GetSearchMessage()
	if err != nil {
		return
	}
	fits, err := compile(m.Filter)
	if err != nil {
		done.SetDiagnosticMessage(err.Error())
		return
	}
	base := normal(m.BaseDN)
	if base != "" && d.find(base) == nil {
		done.SetResultCode(gldap.ResultNoSuchObject)
		return
	}
	var sent int64
	for _, e := range d.tree {
		if !within(normal(e.dn), base, m.Scope) || !fits(e) {
			continue
		}
		if m.SizeLimit > 0 && sent == m.SizeLimit {
			done.SetResultCode(gldap.ResultSizeLimitExceeded)
			return
		}
		res := r.NewSearchResponseEntry(e.dn)
		for _, name := range e.wanted(m.Attributes) {
			var values []string
			if !m.TypesOnly {
				values = e.attributes[name]
			}
			res.AddAttribute(e.names[name], values)
		}
		if err := w.Write(res); err != nil {
			return
		}
		sent++
	}
	done.SetResultCode(gldap.ResultSuccess)
	for _, c := range m.Controls {
		if c.GetControlType() == gldap.ControlTypePaging {
			if page, err := gldap.NewControlPaging(0); err == nil { // empty cookie: no more pages (RFC 2696)
				done.SetControls(page)
			}
		}
	}
}

func refuse(w *gldap.ResponseWriter, r *gldap.Request) {
	_ = w.Write(r.NewResponse(gldap.WithResponseCode(gldap.ResultUnwillingToPerform),
		gldap.WithDiagnosticMessage("the sample directory only binds and searches")))
}

func (d *Directory) find(dn string) *entry {
	i := slices.IndexFunc(d.tree, func(e *entry) bool { return normal(e.dn) == normal(dn) })
	if i < 0 {
		return nil
	}
	return d.tree[i]
}

// operational attributes are only sent when they are asked for by name or by "+".
var operational = []string{"entryuuid", "memberof", "pwdaccountlockedtime"}

func (e *entry) wanted(asked []string) []string {
	all := len(asked) == 0 || slices.Contains(asked, "*")
	plus := slices.Contains(asked, "+")
	var names []string
	for name := range e.attributes {
		byName := slices.ContainsFunc(asked, func(a string) bool { return strings.EqualFold(a, name) })
		isOperational := slices.Contains(operational, name)
		if byName || all && !isOperational || plus && isOperational {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func within(dn, base string, scope gldap.Scope) bool {
	under := base == "" || strings.HasSuffix(dn, ","+base)
	switch scope {
	case gldap.BaseObject:
		return dn == base
	case gldap.SingleLevel:
		return under && !strings.Contains(strings.TrimSuffix(dn, ","+base), ",")
	}
	return dn == base || under
}

// normal is enough for the sample's own DNs, which have no escapes.
func normal(dn string) string {
	parts := strings.Split(dn, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return strings.ToLower(strings.Join(parts, ","))
}
