package plaintext

import (
	"strconv"
	"time"
)

// Count is a number with its noun, and what goes with it: one for 1, many for any other number.
func Count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(int64(n), 10) + " " + many
}

// Minute is a time for people, in UTC and to the minute, with its zone.
func Minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
