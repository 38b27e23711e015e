package store

import (
	"database/sql"
	"testing"
)

// Rows that go between the count of a batch and the look for its end end the count, and are no fault.
func TestTallyWhereRowsGo(t *testing.T) {
	for name, full := range map[string]int{"in the first batch": 0, "in a later one": 2} {
		db := &DB{}
		db.large.counting = make(chan struct{}, 1)
		left := full
		n, err := db.tally(t.Context(), name, func(any) (int, any, error) {
			if left > 0 {
				left--
				return countBatch, "place", nil
			}
			return countBatch, nil, sql.ErrNoRows
		})
		if want := (full + 1) * countBatch; err != nil || n != want {
			t.Errorf("%s: %d, %v, want %d", name, n, err, want)
		}
	}
}
