package store_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ssobridge/store"
)

// somebody's event: short texts of few letters, so that joined fields are often alike.
func drawEvent(t *rapid.T, name string) store.Event {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab\x00é")), 0, 3, -1)
	draw := func(field string) string { return text.Draw(t, name+" "+field) }
	return store.Event{
		ID: rapid.Int64Range(1, 3).Draw(t, name+" id"), At: time.UnixMicro(rapid.Int64Range(-1, 2).Draw(t, name+" at")).UTC(),
		Ref: draw("ref"), Actor: draw("actor"), Action: draw("action"), Subject: draw("subject"),
		Account: store.AccountID(draw("account")),
		SP:      draw("sp"), Address: draw("address"), Outcome: draw("outcome"), Reason: draw("reason"),
		Detail: json.RawMessage(draw("detail")),
	}
}

// TestAuditEncoding: two different events never come to the same bytes, whatever strangers put into their fields.
func TestAuditEncoding(t *testing.T) {
	t.Run("pairs", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			one := drawEvent(t, "one")
			other := drawEvent(t, "other")
			if rapid.Bool().Draw(t, "shifted") {
				other = shifted(t, one)
			}
			same := fmt.Sprintf("%#v", one) == fmt.Sprintf("%#v", other)
			if got := bytes.Equal(store.EntryHash(one), store.EntryHash(other)); got != same {
				t.Fatalf("equal hashes: %v, equal events: %v", got, same)
			}
		})
	})
	// What can be read back is told apart.
	t.Run("reads back", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			e := drawEvent(t, "event")
			salt := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "salt")
			before := rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "before")
			content, entry := store.EncodeEvent(before, e, salt)
			fields := decodeFields(t, content, "ffffffffff")
			want := []any{
				string(salt), e.Ref, e.Actor, e.Subject, string(e.Account), e.SP, e.Address, e.Outcome, e.Reason, string(e.Detail),
			}
			if !slices.Equal(fields, want) {
				t.Fatalf("content reads back as %q, want %q", fields, want)
			}
			fields = decodeFields(t, entry, "fnnff")
			at := int64(0)
			if !e.At.IsZero() {
				at = e.At.UnixMicro()
			}
			if !slices.Equal(fields[:4], []any{string(before), e.ID, at, e.Action}) || len(fields[4].(string)) != 32 {
				t.Fatalf("entry reads back as %q", fields)
			}
		})
	})
}

// shifted is an event with the same letters one after the other, some in another field.
func shifted(t *rapid.T, e store.Event) store.Event {
	account, detail := string(e.Account), string(e.Detail)
	fields := []*string{&e.Ref, &e.Actor, &e.Subject, &account, &e.SP, &e.Address, &e.Outcome, &e.Reason, &detail}
	i := rapid.IntRange(0, len(fields)-2).Draw(t, "field")
	both := *fields[i] + *fields[i+1]
	cut := rapid.IntRange(0, len(both)).Draw(t, "cut")
	*fields[i], *fields[i+1] = both[:cut], both[cut:]
	e.Account, e.Detail = store.AccountID(account), json.RawMessage(detail)
	return e
}

// decodeFields reads a field for each f of form and a number for each n.
func decodeFields(t *rapid.T, b []byte, form string) (all []any) {
	number := func() int64 {
		if len(b) < 8 {
			t.Fatal("cut off")
		}
		n := int64(binary.BigEndian.Uint64(b))
		b = b[8:]
		return n
	}
	for _, kind := range form {
		n := number()
		if kind == 'n' {
			all = append(all, n)
			continue
		}
		if n < 0 || n > int64(len(b)) {
			t.Fatalf("a field of %d bytes where %d are left", n, len(b))
		}
		all = append(all, string(b[:n]))
		b = b[n:]
	}
	if len(b) > 0 {
		t.Fatalf("%d bytes are left over", len(b))
	}
	return all
}
