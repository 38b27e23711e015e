package directory

import (
	"regexp"
	"slices"
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

// Passing locks of 389 Directory Server, until a time, and of eDirectory.
const (
	passingLockTime = "accountUnlockTime"
	passingLockFlag = "lockedByIntruder"
)

// accountState reads the account's state at the time now. Of several problems the one counts that more people have to
// do something about.
func (d *Directory) accountState(e *ldap.Entry, now time.Time) state {
	own, policy, ad := d.o.namedState(e, now), openLDAPState(e, now), adState(e, now)
	s := state{locked: own.locked || policy.locked || ad.locked, passwordChanged: policy.passwordChanged}
	for _, problem := range []Problem{Disabled, Expired, MustChange, PasswordExpired} {
		if own.problem == problem || policy.problem == problem || ad.problem == problem {
			s.problem = problem
			break
		}
	}
	if s.passwordChanged.IsZero() {
		s.passwordChanged = ad.passwordChanged
	}
	return s
}

// namedState is what the attributes say that the configuration or its preset names.
func (o *Options) namedState(e *ldap.Entry, now time.Time) state {
	var s state
	over := func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			return slices.ContainsFunc(stateValues(e, name), func(v string) bool { return isOver(name, v, now) })
		})
	}
	switch {
	case slices.ContainsFunc(o.DisabledAttributes, func(named string) bool { return isSet(e, named) }):
		s.problem = Disabled
	case over(o.AccountExpiryAttributes):
		s.problem = Expired
	case over(o.PasswordExpiryAttributes):
		s.problem = PasswordExpired
	}
	if o.refusesClosed() {
		until, ok := generalizedTime(e.GetEqualFoldAttributeValue(passingLockTime))
		s.locked = ok && now.Before(until) || isSet(e, passingLockFlag)
	}
	return s
}

// stateValues are the values of an attribute, without the blanks that a copied one has at its ends; none of blanks
// alone.
func stateValues(e *ldap.Entry, name string) []string {
	var values []string
	for _, v := range e.GetEqualFoldAttributeValues(name) {
		if v = trimInvisible(v); v != "" {
			values = append(values, v)
		}
	}
	return values
}

// isSet tells whether an entry has NAME=VALUE, or of NAME alone any value that is no "no". A value that nobody expects
// closes the account: the attribute is there to do that.
func isSet(e *ldap.Entry, named string) bool {
	name, want, exact := strings.Cut(named, "=")
	return slices.ContainsFunc(stateValues(e, name), func(v string) bool {
		if exact {
			return strings.EqualFold(v, trimInvisible(want))
		}
		switch strings.ToLower(v) {
		case "false", "no", "off", "none", "0", "f", "n":
			return false
		}
		return true
	})
}

// isOver tells whether a time is past. A value that can't be read counts as past: whoever names the attribute relies on
// it.
func isOver(name, value string, now time.Time) bool {
	n, err := strconv.ParseInt(value, 10, 64)
	var end time.Time
	switch attribute := strings.ToLower(name); {
	case err == nil && attribute == "shadowexpire": // days since 1970; negative for never (shadow(5))
		if n < 0 {
			return false
		}
		const furthest = 1 << 30 // days: what is beyond would not fit
		end = time.Unix(min(n, furthest)*24*60*60, 0)
	case err == nil && (attribute == "sambakickofftime" || attribute == "sambapwdmustchange"):
		if n <= 0 || n >= 1<<31-1 { // seconds since 1970; the largest number of 32 bits for never
			return false
		}
		end = time.Unix(n, 0)
	case err == nil && attribute == "accountexpires":
		t, ok := fileTime(n)
		if !ok {
			return false
		}
		end = t
	default:
		t, ok := generalizedTime(value)
		if !ok {
			return true
		}
		end = t
	}
	return !now.Before(end)
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

var ldapTime = regexp.MustCompile(`^([0-9]{10})([0-5][0-9])?([0-5][0-9]|60)?(?:[.,]([0-9]{1,30}))?(Z|[+-][0-9]{2}(?:[0-9]{2})?)?$`)

// generalizedTime parses an LDAP time (RFC 4517 3.3.13) in all its forms: minutes and seconds can be left out, a
// fraction is one of the last part that is there, and the zone is Z or a difference of hours, or of hours and minutes.
// A time without a zone, which some servers take, counts as UTC.
func generalizedTime(s string) (t time.Time, ok bool) {
	parts := ldapTime.FindStringSubmatch(strings.ToUpper(trimInvisible(s)))
	if parts == nil {
		return time.Time{}, false
	}
	t, err := time.Parse("2006010215", parts[1])
	if err != nil {
		return time.Time{}, false
	}
	unit := time.Hour
	if parts[2] != "" {
		unit = time.Minute
		n, _ := strconv.Atoi(parts[2])
		t = t.Add(time.Duration(n) * unit)
	}
	if parts[3] != "" {
		unit = time.Second
		n, _ := strconv.Atoi(parts[3]) // 60 is a leap second
		t = t.Add(time.Duration(n) * unit)
	}
	if parts[4] != "" {
		part, err := strconv.ParseFloat("0."+parts[4], 64)
		if err != nil {
			return time.Time{}, false
		}
		t = t.Add(time.Duration(part * float64(unit)))
	}
	if zone := parts[5]; zone != "" && zone != "Z" {
		hours, _ := strconv.Atoi(zone[1:3])
		minutes, _ := strconv.Atoi("0" + zone[3:])
		if hours > 23 || minutes > 59 {
			return time.Time{}, false
		}
		difference := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
		if zone[0] == '-' {
			difference = -difference
		}
		t = t.Add(-difference)
	}
	return t, true
}
