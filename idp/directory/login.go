package directory

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"
)

// Bounds of what a person types.
const (
	maxLogin    = 256
	maxPassword = 4 << 10
)

var (
	errLogin    = errors.New("the login name is empty, too long or has characters that no login has")
	errPassword = errors.New("the password is empty, too long or has a NUL in it")
	errDomain   = errors.New("the login names another domain")
)

// checkLogin refuses what can't be a login name before the directory is asked.
func checkLogin(login string) error {
	if strings.TrimSpace(login) == "" || len(login) > maxLogin || !utf8.ValidString(login) || strings.ContainsFunc(login,
		unicode.IsControl) {
		return errLogin
	}
	return nil
}

// checkPassword refuses what must never reach a bind. An empty password would turn a simple bind into an
// unauthenticated one, which succeeds without proving anything (RFC 4513 5.1.2); a server that reads up to a NUL would
// see such a one as empty.
func checkPassword(password string) error {
	if password == "" || len(password) > maxPassword || strings.ContainsRune(password, 0) {
		return errPassword
	}
	return nil
}

// loginFilter is the filter that finds the person with this login.
func (d *Directory) loginFilter(login string) (string, error) {
	if err := checkLogin(login); err != nil {
		return "", err
	}
	// What nobody sees was not typed with intent: it came by copying.
	if login = trimInvisible(login); login == "" {
		return "", errLogin
	}
	t := d.person
	if d.isAD {
		// Some keyboards and systems send an accent as a character of its own. Windows stores names composed, and compares
		// them as they are.
		login = norm.NFC.String(login)
		if domain, user, found := strings.Cut(login, `\`); found {
			if !d.ownDomain(domain) || checkLogin(user) != nil {
				return "", errDomain
			}
			login = user
		} else if strings.Contains(login, "@") && d.upn != nil {
			t = d.upn
		}
	}
	filter, _ := t.fill(map[string]string{holdLogin: login})
	return filter, nil
}

// findLogin finds the one person with this login; its error is that of findPerson, or a login that nobody can have.
func (d *Directory) findLogin(ctx context.Context, login string) (*ldap.Entry, error) {
	filter, err := d.loginFilter(login)
	if err != nil {
		return nil, &Error{Problem: BadCredentials, Op: "find the person", Err: err}
	}
	found, err := d.findPerson(ctx, filter)
	if !errors.Is(err, ErrNotFound) || !d.isAD || d.upn == nil {
		return found, err
	}
	// Nobody was given this user principal name. Everybody has one all the same: the login name in the domain
	// (MS-ADTS 5.1.1.1.1, simple binds).
	user, domain, ok := cutLast(norm.NFC.String(trimInvisible(login)), "@")
	if !ok || strings.Contains(login, `\`) || checkLogin(user) != nil || !domainWithin(domain, domainOf(d.o.BaseDN)) {
		return nil, ErrNotFound
	}
	filter, _ = d.person.fill(map[string]string{holdLogin: user})
	found, err = d.findPerson(ctx, filter)
	if err == nil && !strings.EqualFold(domainOf(found.DN), domain) {
		return nil, ErrNotFound // the login name is somebody's in another domain of the forest
	}
	return found, err
}

// cutLast cuts around the last separator: an at sign in front of it belongs to the name.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// domainWithin tells whether a DNS domain is another one or below it. Nothing is within no domain.
func domainWithin(domain, of string) bool {
	domain, of = strings.ToLower(domain), strings.ToLower(of)
	return of != "" && (domain == of || strings.HasSuffix(domain, "."+of))
}

// ownDomain tells whether DOMAIN in DOMAIN\user is ours: the configured one, or the DNS name that the base DN spells.
func (d *Directory) ownDomain(domain string) bool {
	if domain == "" {
		return false
	}
	return strings.EqualFold(domain, d.o.Domain) || strings.EqualFold(domain, domainOf(d.o.BaseDN))
}
