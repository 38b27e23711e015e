package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
)

// ErrUnavailable says that the database does not do its work at present: its server is stopped, starts or has no
// connection left, the disk is full or gone. Nothing is wrong with what was asked for; it may work in a moment.
var ErrUnavailable = errors.New("the database is not available")

// unavailable tells whether PostgreSQL can't be reached, or says that it does not serve.
func (p *postgres) unavailable(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		// 08 connection exception, 53 insufficient resources, 57P01 to 57P03: it stops, has crashed, or starts
		return strings.HasPrefix(refused.Code, "08") || strings.HasPrefix(refused.Code, "53") ||
			slices.Contains([]string{"57P01", "57P02", "57P03"}, refused.Code)
	}
	var (
		connect *pgconn.ConnectError
		network net.Error
	)
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, sql.ErrConnDone)
}

// unavailable tells whether the file can't be read or written, or was not free for as long as is waited.
func (s *sqlite) unavailable(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && slices.Contains([]sqlite3.ErrNo{sqlite3.ErrIoErr, sqlite3.ErrFull, sqlite3.ErrCantOpen,
		sqlite3.ErrReadonly, sqlite3.ErrBusy}, e.Code)
}
