package metadata

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var durationForm = regexp.MustCompile(
	`^P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})(?:\.\d{1,9})?S)?)?$`)

// xmlDuration reads an xs:duration that is not negative (xmlschema-2 3.2.6). A
// year counts as 365 days and a month as 30, parts of a second as nothing: how
// long a copy is kept needs no calendar. Ten years are the most.
func xmlDuration(s string) (time.Duration, error) {
	s = strings.Trim(s, " \t\r\n")
	m := durationForm.FindStringSubmatch(s)
	if m == nil || s == "P" || strings.HasSuffix(s, "T") {
		return 0, errors.New("not an xs:duration")
	}
	const day, most = 24 * time.Hour, 10 * 365 * 24 * time.Hour
	var total time.Duration
	for i, unit := range []time.Duration{365 * day, 30 * day, day, time.Hour, time.Minute, time.Second} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseInt(m[i+1], 10, 64)
		if err != nil {
			return 0, errors.New("not an xs:duration")
		}
		if n > int64(most/unit) {
			return most, nil
		}
		total = min(total+time.Duration(n)*unit, most)
	}
	return total, nil
}
