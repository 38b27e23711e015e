package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Voucher makes MACs under a key that the database does not hold. A row that grants access carries one: who can write
// into the database, and does not have the key, gains nothing by a row of their own. certs.Sealer is a Voucher.
type Voucher interface {
	// MAC vouches for these fields under a purpose. Fields are kept apart.
	MAC(purpose string, fields ...[]byte) []byte
	// CheckMAC returns an error unless mac was made for this purpose and these fields.
	CheckMAC(mac []byte, purpose string, fields ...[]byte) error
}

var errNoVoucher = errors.New("the store was opened without a secret key to vouch with")

// vouch makes the MAC of a row.
func (db *DB) vouch(purpose string, fields ...[]byte) ([]byte, error) {
	if db.voucher == nil {
		return nil, errNoVoucher
	}
	return db.voucher.MAC(purpose, fields...), nil
}

// vouched tells whether a row's MAC holds. A row without one never does, and none does without a secret key.
func (db *DB) vouched(mac []byte, purpose string, fields ...[]byte) bool {
	return db.voucher != nil && len(mac) > 0 && db.voucher.CheckMAC(mac, purpose, fields...) == nil
}

// number is a number as a field of a MAC.
func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// foreignEvery is how often rows that no program of ours has written are reported: a reader that meets them with each
// request must not fill the audit.
const foreignEvery = time.Minute

// foreignRows counts, for each table, the readings of rows whose MAC does not hold.
type foreignRows struct {
	mu       sync.Mutex
	found    map[string]int64
	reported time.Time
}

// foreignRow counts a reading of a row whose MAC does not hold. It may be called in a transaction.
func (db *DB) foreignRow(table string) {
	db.foreign.mu.Lock()
	defer db.foreign.mu.Unlock()
	if db.foreign.found == nil {
		db.foreign.found = map[string]int64{}
	}
	db.foreign.found[table]++
}

// reportForeign writes one event and one log line for each table in which foreign rows were found, at most once a
// minute. It must not be called in a transaction.
func (db *DB) reportForeign(ctx context.Context) {
	found := db.takeForeign()
	for _, table := range slices.Sorted(maps.Keys(found)) {
		n := found[table]
		db.log.LogAttrs(ctx, slog.LevelError, "rows in the database that this program did not write are ignored",
			slog.String("table", table), slog.Int64("readings", n))
		detail, _ := json.Marshal(map[string]int64{"readings": n}) // a number always encodes
		e := Event{Action: "foreign-rows", Subject: table, Outcome: "refused", Reason: "no_valid_mac", Detail: detail}
		// The request that met the row goes on without it, also when its client has gone by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), foreignTimeout)
		err := db.write(ctx, "report foreign rows", func(ctx context.Context, tx querier) error {
			return addEvents(ctx, tx, db.now(), []Event{e})
		})
		cancel()
		if err != nil {
			db.log.LogAttrs(ctx, slog.LevelError, "foreign rows can't be recorded in the audit", slog.String("table", table),
				slog.Any("cause", err))
		}
	}
}

const foreignTimeout = 5 * time.Second

// takeForeign returns the counts where a report is due.
func (db *DB) takeForeign() map[string]int64 {
	db.foreign.mu.Lock()
	defer db.foreign.mu.Unlock()
	now := db.now()
	if len(db.foreign.found) == 0 || now.Before(db.foreign.reported.Add(foreignEvery)) {
		return nil
	}
	found := db.foreign.found
	db.foreign.found, db.foreign.reported = nil, now
	return found
}
