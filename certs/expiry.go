package certs

import (
	"fmt"
	"time"
)

const day = 24 * time.Hour

// marks are the days before the end of a certificate at which an admin is warned (row KEY-03), the nearest first.
var marks = [...]int{7, 14, 30, 60, 90}

// Warn says in words when a certificate (or anything else that ends) has less than 90, 60, 30, 14 or 7 days left, or has
// ended; what names it, such as "signing certificate 0123456789abcdef". days are the whole days left, negative
// once it has ended. With due false there is nothing to say and message is empty.
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
