package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

// NotCopyError says that what was to be restored is no copy of a store, and what it is.
type NotCopyError struct {
	What string // such as: is an empty file
	Fix  string // what to do; "" where nothing is known
	Err  error  // nil where the file itself shows it
}

func (e *NotCopyError) Error() string {
	if e.Err != nil {
		return e.What + ": " + e.Err.Error()
	}
	return e.What
}

func (e *NotCopyError) Unwrap() error { return e.Err }

// kinds are files that are given in the place of a copy, by how they begin.
var kinds = []struct {
	at        int
	magic     string
	what, fix string
}{
	{0, "\x1f\x8b", "is packed by gzip", "unpack it first: gunzip"},
	{0, "\x28\xb5\x2f\xfd", "is packed by zstd", "unpack it first: unzstd"},
	{0, "\xfd7zXZ\x00", "is packed by xz", "unpack it first: unxz"},
	{0, "BZh", "is packed by bzip2", "unpack it first: bunzip2"},
	{0, "PK\x03\x04", "is a ZIP archive", "unpack it first: unzip"},
	{0, "7z\xbc\xaf\x27\x1c", "is a 7z archive", "unpack it first"},
	{257, "ustar", "is a tar archive", "unpack it first: tar -x"},
	{0, "PGDMP", "is a dump of a PostgreSQL database", "it goes into PostgreSQL, by pg_restore"},
	{0, "--\n-- PostgreSQL database dump", "is a dump of a PostgreSQL database", "it goes into PostgreSQL, by psql"},
	{0, "PRAGMA foreign_keys=OFF;", "is a dump of an SQLite database as SQL",
		"read it into a new file first: sqlite3 NEW < FILE"},
	{0, "age-encryption.org/", "is encrypted by age", "decrypt it first: age --decrypt"},
	{0, "-----BEGIN PGP", "is encrypted or signed by PGP", "decrypt it first"},
	{0, "-----BEGIN AGE", "is encrypted by age", "decrypt it first"},
	{0, "Salted__", "is encrypted by openssl", "decrypt it first"},
	{0, "-----BEGIN ", "is a key or a certificate", ""},
	{0, "\x37\x7f\x06\x82", "is the -wal file beside a database, not the database", "name the file without -wal"},
	{0, "\x37\x7f\x06\x83", "is the -wal file beside a database, not the database", "name the file without -wal"},
	{0, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", "is the -journal file beside a database, not the database",
		"name the file without -journal"},
	{0, "\x18\xe2\x2d\x00", "is the -shm file beside a database, not the database", "name the file without -shm"},
	{0, "version https://git-lfs", "is a pointer of Git LFS, not the file itself", "fetch the file: git lfs pull"},
	{0, "person_id,", "is a list of users", "it is read by users import"},
}

const (
	sqliteMagic  = "SQLite format 3\x00"
	backupWriter = "name a file that the backup of this program wrote"
)

// looksLikeCopy says what a file is that is surely no SQLite database. It reads its beginning alone.
func looksLikeCopy(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return &NotCopyError{What: "is a folder", Fix: backupWriter}
	case !info.Mode().IsRegular():
		return &NotCopyError{What: "is no regular file", Fix: backupWriter}
	case info.Size() == 0:
		return &NotCopyError{What: "is an empty file", Fix: "the backup failed, or its disk was full; name another one"}
	}
	start := make([]byte, 512)
	n, err := io.ReadFull(f, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	start = start[:n]
	if bytes.HasPrefix(start, []byte(sqliteMagic)) {
		return nil
	}
	for _, k := range kinds {
		if len(start) > k.at && bytes.HasPrefix(start[k.at:], []byte(k.magic)) {
			return &NotCopyError{What: k.what, Fix: k.fix}
		}
	}
	for cut := 0; cut < utf8.UTFMax && cut < len(start); cut++ { // the last character may be cut
		if text := start[:len(start)-cut]; utf8.Valid(text) && bytes.IndexByte(text, 0) < 0 {
			return &NotCopyError{What: "is a text file, and no SQLite database", Fix: backupWriter}
		}
	}
	return &NotCopyError{What: "is no SQLite database", Fix: "it may be encrypted, packed or damaged; " + backupWriter}
}

// CheckCopy tells whether a file can be what Restore puts in place, without opening it as a database: a
// *NotCopyError says what else it is.
func CheckCopy(path string) error { return looksLikeCopy(path) }

// damaged says that a copy is an SQLite database that can't be read as a whole.
func damaged(err error) error {
	return &NotCopyError{What: "is damaged, or was cut off while it was copied", Fix: "name another backup", Err: err}
}

func otherDatabase(what string) error {
	return &NotCopyError{What: fmt.Sprintf("is an SQLite database of another program: %s", what), Fix: backupWriter}
}
