package directory

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
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
	t := d.person
	if d.isAD {
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

// ownDomain tells whether DOMAIN in DOMAIN\user is ours: the configured one, or the DNS name that the base DN spells.
func (d *Directory) ownDomain(domain string) bool {
	if domain == "" {
		return false
	}
	return strings.EqualFold(domain, d.o.Domain) || strings.EqualFold(domain, domainOf(d.o.BaseDN))
}
