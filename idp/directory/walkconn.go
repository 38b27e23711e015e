package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/go-ldap/ldap/v3"
)

// maxEmptyPages is how many pages without an entry may follow one another: a server that counts what it hides still
// moves on.
const maxEmptyPages = 1000

// walkConn is a walk's own connection. A page and those after it must come over one connection, and a walk may last: it
// takes none from the sign-ins.
type walkConn struct {
	d      *Directory
	conn   *conn
	stream *entryStream // nil with StartTLS: then the library decodes the entries
}

// connectWalk connects to the best server, as sign-ins do.
func (d *Directory) connectWalk(ctx context.Context) (*walkConn, error) {
	w := &walkConn{d: d}
	p := newPool(&d.o, "", d.servers, 1)
	p.open = func(ctx context.Context, s *server) (*conn, error) {
		w.stream = nil
		return d.openThrough(ctx, s, func(c net.Conn) net.Conn {
			w.stream = newEntryStream(c)
			return w.stream
		})
	}
	var err error
	w.conn, err = p.get(ctx, true)
	return w, err
}

func (w *walkConn) close() { w.conn.close() }

// search runs one search.
func (w *walkConn) search(ctx context.Context, r *ldap.SearchRequest) ([]*ldap.Entry, *ldap.SearchResult, error) {
	var entries []*ldap.Entry
	if w.stream != nil {
		w.stream.give(func(e *ldap.Entry) { entries = append(entries, e) })
		defer w.stream.give(nil)
	}
	var result *ldap.SearchResult
	hung, err := w.conn.do(ctx, w.d.o.OpTimeout, func(l *ldap.Conn) error {
		var err error
		result, err = l.Search(r)
		return err
	})
	if err != nil {
		// The next caller had better try another server, if this one failed.
		if _, answered := resultCode(err); ctx.Err() == nil && (hung || !answered && !errors.Is(err, errTooMuch)) {
			w.d.searches.failed(w.conn.server, err, false)
		}
		return nil, nil, err
	}
	w.d.referrals.Add(int64(len(result.Referrals)))
	if w.stream == nil {
		entries = result.Entries
	}
	return entries, result, nil
}

// page is an answer to a paged search; cookie is empty for the last.
type page struct {
	entries []*ldap.Entry
	cookie  []byte
	err     error
}

// pages runs a search below base page by page (RFC 2696). While each has one page, the next is read. After an error,
// the connection must not be used again.
func (w *walkConn) pages(ctx context.Context, base, filter string, attributes []string,
	each func(*ldap.Entry) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	read := func(cookie []byte) <-chan page {
		answer := make(chan page, 1)
		go func() {
			paging := ldap.NewControlPaging(pageSize)
			paging.SetCookie(cookie)
			r := w.d.request(base, ldap.ScopeWholeSubtree, 0, filter, attributes)
			r.Controls = []ldap.Control{paging}
			entries, result, err := w.search(ctx, r)
			p := page{entries: entries, err: err}
			if err == nil {
				if next, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging); ok {
					p.cookie = next.Cookie
				}
			}
			answer <- p
		}()
		return answer
	}
	empty := 0
	for ahead := read(nil); ; {
		p := <-ahead
		if p.err != nil {
			return p.err
		}
		if empty++; len(p.entries) > 0 {
			empty = 0
		}
		if empty > maxEmptyPages {
			return fmt.Errorf("the server sent %d pages without an entry", empty)
		}
		more := len(p.cookie) > 0
		if more {
			ahead = read(bytes.Clone(p.cookie))
		}
		for i, e := range p.entries {
			p.entries[i] = nil // it is big, and done with
			if err := each(e); err != nil {
				if more {
					cancel()
					<-ahead
				}
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

// searchFault says what to do about a search of a walk that the server did not do. field is the setting that names its
// base.
func (w *walkConn) searchFault(err error, field, base string) error {
	who := w.d.o.BindDN
	if who == "" {
		who = "anonymous"
	}
	switch {
	case hasCode(err, ldap.LDAPResultNoSuchObject):
		err = &baseError{field, base, err}
	case hasCode(err, ldap.LDAPResultSizeLimitExceeded):
		err = fmt.Errorf("the server's size limit for %s is too low to read all entries: raise it, with OpenLDAP by "+
			"\"limits dn.exact=… size.prtotal=unlimited size.pr=unlimited\": %w", who, err)
	case hasCode(err, ldap.LDAPResultAdminLimitExceeded):
		err = fmt.Errorf("the server's administrative limit for %s is too low to read all entries: raise it (lookthrough "+
			"or size.unchecked limit): %w", who, err)
	case hasCode(err, ldap.LDAPResultTimeLimitExceeded):
		err = fmt.Errorf("a page of %d entries took longer than op_timeout (%v) or the server's time limit for %s: raise "+
			"the lower one: %w", pageSize, w.d.o.OpTimeout, who, err)
	}
	return err
}
