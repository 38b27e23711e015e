package directory

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// pageSize is asked for in searches that may find many (RFC 2696). It is below the 1,000 that Active Directory and the
// 500 that OpenLDAP allow a page.
const pageSize = 400

// maxRanges bounds how often a ranged attribute is read on.
const maxRanges = 1000

// errTooMany says that a search found more than its bound.
var errTooMany = errors.New("more entries than allowed")

// request is a search below or at base. limit is what the server is told, 0 for none.
func (d *Directory) request(base string, scope int, limit int, filter string, attributes []string) *ldap.SearchRequest {
	seconds := max(int(d.o.OpTimeout.Seconds()), 1)
	return ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, limit, seconds, false, filter, attributes, nil)
}

// search runs one search. A referral in the result is counted and left alone: following it would send the service
// account's password to whatever server it names.
func (d *Directory) search(ctx context.Context, r *ldap.SearchRequest) ([]*ldap.Entry, error) {
	var result *ldap.SearchResult
	err := d.searches.do(ctx, func(l *ldap.Conn) error {
		var err error
		result, err = l.Search(r)
		return err
	}, nil)
	if _, answered := resultCode(err); result == nil || err != nil && !answered {
		return nil, err
	}
	d.referrals.Add(int64(len(result.Referrals)))
	// The entries that came before a size limit was reached are useful to who asked for that limit.
	return result.Entries, err
}

// searchAll runs a search page by page, up to most entries; more are errTooMany.
func (d *Directory) searchAll(ctx context.Context, base, filter string, attributes []string,
	most int) ([]*ldap.Entry, error) {
	var entries []*ldap.Entry
	broken := false
	err := d.searches.do(ctx, func(l *ldap.Conn) error {
		entries = nil
		paging := ldap.NewControlPaging(pageSize)
		r := d.request(base, ldap.ScopeWholeSubtree, 0, filter, attributes)
		r.Controls = []ldap.Control{paging}
		for {
			result, err := l.Search(r)
			if err != nil {
				return err
			}
			d.referrals.Add(int64(len(result.Referrals)))
			entries = append(entries, result.Entries...)
			if len(entries) > most {
				broken = true
				return nil
			}
			next, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
			if !ok || len(next.Cookie) == 0 {
				return nil
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			paging.SetCookie(next.Cookie)
		}
	}, func(error) bool { return !broken }) // closing the connection is how an unfinished paged search is given up
	if broken && err == nil {
		return nil, errTooMany
	}
	return entries, err
}

// values are all text values of an attribute. Active Directory answers one with many values in parts, named
// attribute;range=0-1499 (MS-ADTS 3.1.1.3.1.3.3): the parts that follow are read one by one, up to most values.
func (d *Directory) values(ctx context.Context, e *ldap.Entry, attribute string, most int) ([]string, error) {
	values := e.GetEqualFoldAttributeValues(attribute)
	part, last := rangePart(e, attribute)
	if part == nil {
		return values, nil
	}
	values = append(values, part...)
	for range maxRanges {
		if last < 0 {
			return values, nil
		}
		if len(values) > most {
			return nil, errTooMany
		}
		name := attribute + ";range=" + strconv.Itoa(last+1) + "-*"
		found, err := d.search(ctx, d.request(e.DN, ldap.ScopeBaseObject, 0, "(objectClass=*)", []string{name}))
		if err != nil {
			return nil, fmt.Errorf("read more values of %s of %q: %w", attribute, e.DN, err)
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("read more values of %s of %q: the entry is gone", attribute, e.DN)
		}
		next, end := rangePart(found[0], attribute)
		if next == nil || end >= 0 && end <= last {
			return nil, fmt.Errorf("read more values of %s of %q: the server does not go on after value %d",
				attribute, e.DN, last)
		}
		values, last = append(values, next...), end
	}
	return nil, errTooMany
}

// rangePart finds attribute;range=low-high in an entry: its values and high, which is -1 for the last part (written *).
func rangePart(e *ldap.Entry, attribute string) (values []string, high int) {
	for _, a := range e.Attributes {
		name, option, found := strings.Cut(a.Name, ";")
		if !found || !strings.EqualFold(name, attribute) {
			continue
		}
		key, span, _ := strings.Cut(option, "=")
		_, end, ok := strings.Cut(span, "-")
		if !strings.EqualFold(key, "range") || !ok {
			continue
		}
		if end == "*" {
			return a.Values, -1
		}
		if n, err := strconv.Atoi(end); err == nil && n >= 0 {
			return a.Values, n
		}
	}
	return nil, -1
}
