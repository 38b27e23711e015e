package admin

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"ssobridge/store"
)

// CheckpointLogged is the message of a checkpoint's line in the log.
const CheckpointLogged = "audit seal"

// CheckpointAttrs are the attributes of that line. They are texts, so that a log in any format can be read back: a text
// log writes bytes as escapes, and times to the millisecond, while the signature is over the microsecond.
func CheckpointAttrs(s store.Checkpoint) []slog.Attr {
	return []slog.Attr{
		slog.Int64("seq", s.Seq), slog.String("hash", base64.StdEncoding.EncodeToString(s.Hash)),
		slog.String("at", s.At.UTC().Format(time.RFC3339Nano)),
		slog.String("signature", base64.StdEncoding.EncodeToString(s.Signature)),
	}
}

const (
	// longestCheckpoint bounds a line, in bytes. Longer ones are no checkpoints, and are passed over.
	longestCheckpoint = 64 << 10
	// deepestCheckpoint is how many wrappings one in the other are looked into.
	deepestCheckpoint = 4
)

// ReadCheckpoints reads lines of audit.sink or of the log, as JSON or as text, also as those who collect logs keep
// them: journald, Docker, the container runtimes of Kubernetes, forwarders, each line behind a prefix or inside JSON of
// theirs, compressed by gzip or not. Other lines of the log are passed over. A text without any checkpoint is refused:
// nothing would be compared.
func ReadCheckpoints(r io.Reader) ([]store.Checkpoint, error) {
	refused := Error{Field: "checkpoints", Fault: "it has no checkpoint of the audit log",
		Hint: "give the file of audit.sink, or the log of the bridge"}
	all, err := readCheckpoints(r)
	if err != nil {
		refused.Fault, refused.Err = "its checkpoints can't be read: "+err.Error(), err
		return nil, &refused
	}
	if len(all) == 0 {
		return nil, &refused
	}
	return all, nil
}

func readCheckpoints(r io.Reader) (all []store.Checkpoint, err error) {
	lines := bufio.NewReaderSize(r, longestCheckpoint)
	if start, _ := lines.Peek(2); bytes.Equal(start, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(lines)
		if err != nil {
			return nil, fmt.Errorf("read gzip: %w", err)
		}
		lines = bufio.NewReaderSize(unpacked, longestCheckpoint)
	}
	for inLong := false; ; {
		text, err := lines.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if !long && !inLong {
			if s, found := checkpointIn(string(text), 0); found {
				all = append(all, s)
			}
		}
		switch inLong = long; {
		case err == nil, long:
		case errors.Is(err, io.EOF):
			return all, nil
		default:
			return nil, err
		}
	}
}

// checkpointIn finds a checkpoint in a line, behind whatever prefix, or inside of what it is wrapped in.
func checkpointIn(text string, depth int) (store.Checkpoint, bool) {
	octets := depth == 0 && strings.Contains(text, `"MESSAGE"`) // journald's, see below
	if depth > deepestCheckpoint || !octets && !strings.Contains(text, "signature") {
		return store.Checkpoint{}, false
	}
	if s, found := checkpointText(text); found {
		return s, true
	}
	// A prefix may hold a brace of its own: the object is looked for at the first few.
	for range deepestCheckpoint {
		at := strings.IndexByte(text, '{')
		if at < 0 {
			break
		}
		text = text[at:]
		var object map[string]json.RawMessage
		if json.NewDecoder(strings.NewReader(text)).Decode(&object) == nil {
			if s, found := checkpointObject(object, depth); found {
				return s, true
			}
		}
		text = text[1:]
	}
	return store.Checkpoint{}, false
}

// checkpointObject is a checkpoint that is an object of JSON, or stands in one.
func checkpointObject(object map[string]json.RawMessage, depth int) (store.Checkpoint, bool) {
	text := func(name string) (s string) {
		if json.Unmarshal(object[name], &s) != nil {
			return ""
		}
		return s
	}
	if message := text("msg"); message == "" || message == CheckpointLogged {
		if s, ok := parseCheckpoint(strings.Trim(string(object["seq"]), `"`), text("hash"), text("at"),
			text("signature")); ok {
			return s, true
		}
	}
	for _, raw := range object {
		var (
			line   string
			octets []int // journald writes a message with unusual characters as a list of its bytes
			inner  map[string]json.RawMessage
		)
		switch {
		case json.Unmarshal(raw, &line) == nil:
		case json.Unmarshal(raw, &octets) == nil:
			for _, b := range octets {
				line += string(rune(b & 0x7f)) // a checkpoint is ASCII
			}
		case json.Unmarshal(raw, &inner) == nil && depth < deepestCheckpoint:
			if s, found := checkpointObject(inner, depth+1); found {
				return s, true
			}
			continue
		}
		if s, found := checkpointIn(line, depth+1); found {
			return s, true
		}
	}
	return store.Checkpoint{}, false
}

// checkpointText is a checkpoint in a text log.
func checkpointText(text string) (store.Checkpoint, bool) {
	_, rest, found := strings.Cut(text, "msg="+strconv.Quote(CheckpointLogged)+" ")
	if !found {
		return store.Checkpoint{}, false
	}
	values := map[string]string{}
	for _, field := range strings.Fields(rest) {
		name, value, _ := strings.Cut(field, "=")
		if _, twice := values[name]; twice {
			continue
		}
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted // base64 may end with =, which is quoted
		}
		values[name] = value
	}
	return parseCheckpoint(values["seq"], values["hash"], values["at"], values["signature"])
}

func parseCheckpoint(seq, hash, at, signature string) (s store.Checkpoint, ok bool) {
	var errs [4]error
	s.Seq, errs[0] = strconv.ParseInt(seq, 10, 64)
	s.Hash, errs[1] = base64.StdEncoding.DecodeString(hash)
	s.At, errs[2] = time.Parse(time.RFC3339Nano, at)
	s.Signature, errs[3] = base64.StdEncoding.DecodeString(signature)
	return s, errors.Join(errs[:]...) == nil && s.Seq > 0 && len(s.Hash) > 0 && len(s.Signature) > 0
}
