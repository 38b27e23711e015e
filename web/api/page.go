package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"time"
)

// Sealer seals what programs carry or the store keeps for them; certs.Sealer is one.
type Sealer interface {
	Seal(plain []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

const (
	cursorLife  = time.Hour
	maxCursor   = 2000
	defaultPage = 50
	maxPage     = 100
)

// paged are the parameters of a list that comes in pages.
type paged struct {
	Limit  int    `query:"limit" min:"1" max:"100" doc:"Entries of a page, 50 by default."`
	Cursor string `query:"cursor" maxlen:"2000" doc:"The next of the page before. It is good for an hour, and for the same query by the same token."`
}

func (p paged) size() int {
	if p.Limit == 0 {
		return defaultPage
	}
	return p.Limit
}

// list is a page of entries.
type list[T any] struct {
	Items []T    `json:"items" doc:"The entries of this page."`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page. Without it this is the last one."`
}

type cursor struct {
	Ends  int64  `json:"e"`
	After string `json:"a"`
}

// place says what a cursor is good for: one token, one operation, one query.
func (c *call) place() string {
	query := url.Values{}
	for name, values := range c.r.URL.Query() {
		if name != "cursor" && name != "limit" {
			query[name] = values
		}
	}
	sum := sha256.Sum256([]byte(c.r.URL.Path + "?" + query.Encode()))
	return "api cursor:" + c.caller.Token.ID + ":" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// from reads where a page begins into key; nothing is read for the first page. Cursors are sealed: nobody makes one to
// look behind a filter, and what is in it is no promise.
func (c *call) from(p paged, key any) error {
	if p.Cursor == "" {
		return nil
	}
	stale := bad(422, "bad_cursor", "the cursor is not one of this list, or is over", "begin with the first page")
	stale.Field = "cursor"
	sealed, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil {
		return stale
	}
	plain, err := c.api.o.Sealer.Open(sealed, c.place())
	if err != nil {
		return stale
	}
	var at cursor
	if err := errors.Join(json.Unmarshal(plain, &at), json.Unmarshal([]byte(at.After), key)); err != nil ||
		c.api.o.Now().Unix() > at.Ends {
		return stale
	}
	return nil
}

// after is the cursor of what comes behind key.
func (c *call) after(key any) (string, error) {
	text, err := json.Marshal(key)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(cursor{c.api.o.Now().Add(cursorLife).Unix(), string(text)})
	if err != nil {
		return "", err
	}
	sealed, err := c.api.o.Sealer.Seal(plain, c.place())
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// pageOf cuts what was read, one entry more than a page has, into a page.
func pageOf[T, U any](c *call, p paged, rows []T, show func(T) U, key func(T) any) (l list[U], err error) {
	l.Items = make([]U, 0, len(rows))
	if len(rows) > p.size() {
		rows = rows[:p.size()]
		if l.Next, err = c.after(key(rows[len(rows)-1])); err != nil {
			return l, err
		}
	}
	for _, row := range rows {
		l.Items = append(l.Items, show(row))
	}
	return l, nil
}
