package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// conn is one HTTP/1.1 connection that is kept. It does as little as can be done,
// since it shares the processors with what it measures: a request is bytes that were
// made beforehand, and an answer is read into one buffer.
//
// It serves one goroutine and no other server than the bridge.
type conn struct {
	nc  net.Conn
	buf []byte
	end int // of what was read into buf
}

// answer is one response. Its bytes are good until the next request on the connection.
type answer struct {
	status int
	head   []byte // from the status line to the empty line
	body   []byte
}

const (
	answerLimit = 1 << 20
	// patience with one answer: longer than any that the bridge gives.
	patience = 40 * time.Second
)

func dial(ctx context.Context, address string) (*conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &conn{nc: nc, buf: make([]byte, 32<<10)}, nil
}

func (c *conn) close() { c.nc.Close() }

// do sends a request and reads the answer to it.
func (c *conn) do(request []byte) (answer, error) {
	if err := c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	if _, err := c.nc.Write(request); err != nil {
		return answer{}, fmt.Errorf("send a request: %w", err)
	}
	c.end = 0
	var a answer
	head := -1
	for head < 0 {
		if err := c.more(); err != nil {
			return a, fmt.Errorf("read the head of an answer: %w", err)
		}
		head = bytes.Index(c.buf[:c.end], []byte("\r\n\r\n"))
	}
	// Views into the buffer are made at the end: it can move while the body is read.
	start := head + 4
	status, err := number(c.buf[:head], len("HTTP/1.1 "), 10)
	if err != nil {
		return a, err
	}
	stop := start
	switch length, chunked := field(c.buf[:head], "Content-Length: "), field(c.buf[:head], "Transfer-Encoding: "); {
	case chunked != nil:
		if stop, err = c.chunks(start); err != nil {
			return a, fmt.Errorf("read a chunked body: %w", err)
		}
	case length != nil:
		n, err := number(length, 0, 10)
		if err != nil {
			return a, err
		}
		for stop = start + n; c.end < stop; {
			if err := c.more(); err != nil {
				return a, fmt.Errorf("read a body: %w", err)
			}
		}
	}
	return answer{status: status, head: c.buf[:start], body: c.buf[start:stop]}, nil
}

// more reads what has come, at least one byte.
func (c *conn) more() error {
	if c.end == len(c.buf) {
		if len(c.buf) >= answerLimit {
			return errors.New("the answer is too long")
		}
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	n, err := c.nc.Read(c.buf[c.end:])
	c.end += n
	if n > 0 {
		return nil
	}
	return err
}

// chunks reads a chunked body (RFC 9112 7.1) and moves its data together, so that it
// stands in one piece from start to the returned end.
func (c *conn) chunks(start int) (end int, err error) {
	end = start
	for at := start; ; {
		line := bytes.Index(c.buf[at:c.end], []byte("\r\n"))
		if line < 0 {
			if err := c.more(); err != nil {
				return 0, err
			}
			continue
		}
		size, err := number(c.buf[at:at+line], 0, 16)
		if err != nil {
			return 0, err
		}
		data := at + line + 2
		if size > answerLimit {
			return 0, errors.New("the chunk is too long")
		}
		for c.end < data+size+2 {
			if err := c.more(); err != nil {
				return 0, err
			}
		}
		end += copy(c.buf[end:], c.buf[data:data+size])
		if at = data + size + 2; size == 0 {
			return end, nil
		}
	}
}

// field is the value of the first header field that begins so, nil without one.
func field(head []byte, name string) []byte {
	for rest := head; ; {
		i := bytes.Index(rest, []byte("\r\n"))
		if i < 0 {
			return nil
		}
		rest = rest[i+2:]
		if len(rest) >= len(name) && bytes.EqualFold(rest[:len(name)], []byte(name)) {
			value, _, _ := bytes.Cut(rest[len(name):], []byte("\r\n"))
			return value
		}
	}
}

// number reads the number that stands at a place and ends with the text or a blank.
func number(text []byte, at, base int) (int, error) {
	if at > len(text) {
		return 0, errors.New("the answer is not HTTP/1.1")
	}
	digits, _, _ := bytes.Cut(text[at:], []byte(" "))
	n, err := strconv.ParseUint(string(digits), base, 31)
	if err != nil {
		return 0, fmt.Errorf("the answer is not HTTP/1.1: %w", err)
	}
	return int(n), nil
}

// setCookie is the value of a cookie that an answer sets, "" if it sets none of that name.
func (a answer) setCookie(name string) string {
	for rest := a.head; ; {
		line := field(rest, "Set-Cookie: ")
		if line == nil {
			return ""
		}
		if value, ok := bytes.CutPrefix(line, []byte(name+"=")); ok {
			value, _, _ = bytes.Cut(value, []byte(";"))
			return string(value)
		}
		// Go on behind this one.
		rest = rest[bytes.Index(rest, line)+len(line):]
	}
}

// between is what stands between two texts in the body, nil if they are not there.
func (a answer) between(before, after string) []byte {
	_, rest, ok := bytes.Cut(a.body, []byte(before))
	if !ok {
		return nil
	}
	value, _, ok := bytes.Cut(rest, []byte(after))
	if !ok {
		return nil
	}
	return value
}
