package directory

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// The bits of userAccountControl and msDS-User-Account-Control-Computed (MS-ADTS 2.2.16).
const (
	adDisabled         = 0x2
	adLocked           = 0x10
	adPasswordNotEnds  = 0x10000
	adPasswordHasEnded = 0x800000
)

// permanentLock is the value of pwdAccountLockedTime that an administrator sets to close an account for good
// (draft-behera-ldap-password-policy 5.3.3). Any other value is the time of a lock after wrong passwords.
const permanentLock = "000001010000Z"

// state is what an entry says of its account without a bind. locked tells of a passing lock: it is no problem of a live
// session, since outsiders can cause it.
type state struct {
	problem         Problem
	locked          bool
	passwordChanged time.Time
}

// accountState reads the account's state at the time now.
func accountState(e *ldap.Entry, now time.Time) state {
	s := openLDAPState(e, now)
	ad := adState(e, now)
	if s.problem == "" {
		s.problem = ad.problem
	}
	s.locked = s.locked || ad.locked
	if s.passwordChanged.IsZero() {
		s.passwordChanged = ad.passwordChanged
	}
	return s
}

func openLDAPState(e *ldap.Entry, now time.Time) state {
	var s state
	s.passwordChanged, _ = generalizedTime(e.GetEqualFoldAttributeValue("pwdChangedTime"))
	lock := e.GetEqualFoldAttributeValue("pwdAccountLockedTime")
	start, hasStart := generalizedTime(e.GetEqualFoldAttributeValue("pwdStartTime"))
	end, hasEnd := generalizedTime(e.GetEqualFoldAttributeValue("pwdEndTime"))
	switch {
	case strings.HasPrefix(lock, strings.TrimSuffix(permanentLock, "Z")): // also with seconds: 00000101000000Z
		s.problem = Disabled
	case hasStart && now.Before(start):
		s.problem = Disabled
	case hasEnd && !now.Before(end):
		s.problem = Expired
	case strings.EqualFold(e.GetEqualFoldAttributeValue("pwdReset"), "TRUE"):
		s.problem = MustChange
	}
	s.locked = lock != "" && s.problem != Disabled
	return s
}

func adState(e *ldap.Entry, now time.Time) state {
	var s state
	control := number(e, "userAccountControl")
	computed := number(e, "msDS-User-Account-Control-Computed")
	expires, hasExpiry := fileTime(number(e, "accountExpires"))
	lastSet := number(e, "pwdLastSet")
	s.passwordChanged, _ = fileTime(lastSet)
	switch {
	case control&adDisabled != 0:
		s.problem = Disabled
	case hasExpiry && !now.Before(expires):
		s.problem = Expired
	case e.GetEqualFoldAttributeValue("pwdLastSet") == "0" && control&adPasswordNotEnds == 0:
		// Zero means that the password must be changed at the next logon. It counts as expired in the computed bits too, so
		// it comes first.
		s.problem = MustChange
	case computed&adPasswordHasEnded != 0:
		s.problem = PasswordExpired
	}
	s.locked = computed&adLocked != 0
	return s
}

// number is an integer attribute, 0 if it is absent or malformed.
func number(e *ldap.Entry, attribute string) int64 {
	n, err := strconv.ParseInt(e.GetEqualFoldAttributeValue(attribute), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// fileTime converts a Windows FILETIME: 100 ns since 1601. ok is false for 0 and for the values that mean never
// (MS-ADA1 2.1).
func fileTime(n int64) (t time.Time, ok bool) {
	const (
		ticks = 10_000_000     // in a second
		epoch = 11_644_473_600 // seconds from 1601 to 1970
		never = 0x7FFF_FFFF_FFFF_FFFF
	)
	if n <= 0 || n == never {
		return time.Time{}, false
	}
	return time.Unix(n/ticks-epoch, n%ticks*100).UTC(), true
}

// generalizedTime parses an LDAP time (RFC 4517 3.3.13) in the forms that servers write: UTC, with or without seconds
// and fractions.
func generalizedTime(s string) (t time.Time, ok bool) {
	for _, layout := range []string{"20060102150405Z", "20060102150405.999999999Z", "200601021504Z",
		"20060102150405-0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
