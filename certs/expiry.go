package certs

import (
	"fmt"
	"time"
)

const day = 24 * time.Hour

// marks are the days before the end of a certificate at which an admin is warned (row KEY-03), the nearest first.
var marks = [...]int{7, 14, 30, 60, 90}

// Expiry is something that ends, and what there is to say of it now (row KEY-03). Use and ID name it for machines, What
// for people.
type Expiry struct {
	Use      string // "signing", "metadata", "sp_signing", "sp_encryption", "sp_metadata", "directory_ca", "tls"
	ID       string // of the certificate, as a Key's; "" for what is none
	EntityID string // of the service provider whose it is; "": ours
	What     string
	NotAfter time.Time

	Days    int    // whole days left, negative once it has ended
	Due     bool   // fewer than 90 days are left
	Message string // what to tell an admin; "" when it is not due
}

// At fills in what there is to say at a moment.
func (e Expiry) At(now time.Time) Expiry {
	e.Days, e.Message, e.Due = Warn(e.What, e.NotAfter, now)
	return e
}

// ID names a certificate (DER) by the first 16 hex digits of its SHA-256, as a Key's ID.
func ID(der []byte) string { return keyID(der) }

// Warn says in words when a certificate (or anything else that ends) has less than 90, 60, 30, 14 or 7 days left, or
// has ended; what names it, such as "signing certificate 0123456789abcdef". days are the whole days left, negative once
// it has ended. With due false there is nothing to say and message is empty.
func Warn(what string, notAfter, now time.Time) (days int, message string, due bool) {
	left := notAfter.Sub(now)
	date := notAfter.UTC().Format(time.DateOnly)
	if left <= 0 {
		days = -int(-left / day)
		if days == 0 {
			return days, fmt.Sprintf("%s ended within the last day (%s)", what, notAfter.UTC().Format(time.RFC3339)), true
		}
		return days, fmt.Sprintf("%s ended %s ago (%s)", what, inDays(-days), date), true
	}
	days = int(left / day)
	for _, mark := range marks {
		if left < time.Duration(mark)*day {
			return days, fmt.Sprintf("%s ends in %s (%s), less than %d days from now", what, inDays(days), date, mark), true
		}
	}
	return days, "", false
}

func inDays(n int) string {
	switch n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}
