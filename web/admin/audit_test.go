package admin_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
	"ssobridge/store/storetest"
	"ssobridge/web/admin"
)

// A checkpoint by our secret key is verified, one by another key is found; seals that were kept outside are compared
// too.
func TestAuditCheckpoints(t *testing.T) {
	ctx, all := t.Context(), admin.Everything()
	at := &clock{time.Now().UTC()}
	sealer := func(secret byte) *certs.Sealer {
		s, err := certs.NewSealer(bytes.Repeat([]byte{secret}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	audit := admin.Audit{Store: storetest.Open(t), Sealer: sealer(7), Now: at.now}
	for range 3 {
		e := at.event()
		e.Action = "mapping-add"
		if err := audit.Store.Audit().Add(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	chained, err := audit.Store.Audit().Chain(ctx)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := audit.Checkpoint(chained.Head)
	if err := audit.Store.Audit().AddCheckpoint(ctx, checkpoint); err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	outside, err := admin.ReadCheckpoints(strings.NewReader("another line of the log\n" + string(line) + "\n"))
	if err != nil || len(outside) != 1 {
		t.Fatal(outside, err)
	}
	v, err := audit.Verify(ctx, all, outside)
	if err != nil || !v.Intact() || v.Chained != 3 || v.Checkpoints != 1 || v.Outside != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	other := audit
	other.Sealer = sealer(8)
	if v, err = other.Verify(ctx, all, nil); err != nil || v.Intact() || v.Tampered == "" {
		t.Errorf("by another secret key: %+v, %v", v, err)
	}
	forged := other.Checkpoint(chained.Head)
	if v, err = audit.Verify(ctx, all, []store.Checkpoint{forged}); err != nil || v.Intact() {
		t.Errorf("a checkpoint of somebody else: %+v, %v", v, err)
	}
	for name, text := range map[string]string{"empty": "", "another log": `{"msg":"served"}` + "\n",
		"a long line": strings.Repeat("x", 70<<10)} {
		_, err := admin.ReadCheckpoints(strings.NewReader(text))
		refusedWith(t, name, err, "checkpoints", admin.NoAct)
	}
	var e *admin.Error
	if _, err := audit.Verify(ctx, admin.Accounts("a07e1lxqqqo0"), nil); !errors.As(err, &e) || e.Kind != admin.Forbidden {
		t.Errorf("for somebody who may see one account: %v", err)
	}
}

// Checkpoints are read back from logs in both formats, as those who collect logs keep them (REAL-78).
func TestCheckpointsOfLogs(t *testing.T) {
	sealer, err := certs.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	at := &clock{time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)}
	want := admin.Audit{Sealer: sealer, Now: at.now}.Checkpoint(store.Link{Seq: 42, Hash: bytes.Repeat([]byte{0xfe}, 32)})
	logged := func(handler func(io.Writer) slog.Handler) string {
		var out bytes.Buffer
		log := slog.New(handler(&out))
		log.Info("ready", "public_url", "https://sso.example.com")
		log.LogAttrs(t.Context(), slog.LevelInfo, admin.CheckpointLogged, admin.CheckpointAttrs(want)...)
		log.Info("served", "path", `/x{"signature":"x"}`)
		return out.String()
	}
	text := logged(func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) })
	object := logged(func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) })
	each := func(lines string, wrap func(line string) any) string {
		var out strings.Builder
		for line := range strings.Lines(lines) {
			switch wrapped := wrap(strings.TrimSuffix(line, "\n")).(type) {
			case string:
				out.WriteString(wrapped + "\n")
			default:
				raw, err := json.Marshal(wrapped)
				if err != nil {
					t.Fatal(err)
				}
				out.Write(append(raw, '\n'))
			}
		}
		return out.String()
	}
	sink, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	packed := func(lines string) string {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write([]byte(lines)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	kept := map[string]string{"sink": string(sink) + "\n", "sink without its last line end": string(sink)}
	for name, lines := range map[string]string{"text": text, "json": object} {
		prefix := func(p string) string { return each(lines, func(line string) any { return p + line }) }
		kept[name] = lines
		kept[name+", Windows"] = strings.ReplaceAll("\ufeff"+lines, "\n", "\r\n")
		kept[name+", CRI"] = prefix("2026-01-01T00:00:00.1Z stderr F ")
		kept[name+", journalctl"] = prefix("Nov 29 12:00:00 sso ssobridge[123]: ")
		kept[name+", syslog"] = prefix(`<14>1 2026-11-29T12:00:00Z sso ssobridge 123 - [meta x="{1}"] `)
		kept[name+", docker compose"] = prefix("\x1b[36mbridge-1  |\x1b[0m ")
		kept[name+", kubectl"] = prefix("[pod/sso-0/bridge] 2026-01-01T00:00:00.1Z ")
		kept[name+", Docker"] = each(lines, func(line string) any {
			return map[string]string{"log": line + "\n", "stream": "stderr", "time": "2026-01-01T00:00:00.1Z"}
		})
		kept[name+", journalctl as JSON"] = each(lines, func(line string) any {
			return map[string]string{"MESSAGE": line, "_PID": "1", "__CURSOR": "s=1;i={2}"}
		})
		kept[name+", journalctl as octets"] = each(lines, func(line string) any {
			octets := make([]int, 0, len(line))
			for _, b := range []byte(line) {
				octets = append(octets, int(b))
			}
			return map[string]any{"MESSAGE": octets}
		})
		kept[name+", forwarder around Docker"] = each(lines, func(line string) any {
			inner, err := json.Marshal(map[string]string{"log": line})
			if err != nil {
				t.Fatal(err)
			}
			return map[string]any{"kubernetes": map[string]string{"pod": "sso-0"}, "message": string(inner)}
		})
		kept[name+", gzip"] = packed(lines)
		kept[name+", behind a line that is too long"] = strings.Repeat("x", 200<<10) + "\n" + lines
	}
	kept["json, parsed by the forwarder"] = each(object, func(line string) any {
		return map[string]any{"log": line, "parsed": json.RawMessage(line)}
	})
	for name, lines := range kept {
		all, err := admin.ReadCheckpoints(strings.NewReader(lines))
		if err != nil || len(all) != 1 || !bytes.Equal(all[0].Message(), want.Message()) ||
			!bytes.Equal(all[0].Signature, want.Signature) {
			t.Errorf("%s: %v, %v, want the checkpoint once", name, all, err)
		}
	}
	for name, lines := range map[string]string{
		"another message":  strings.ReplaceAll(text+object, admin.CheckpointLogged, "something"),
		"no signature":     strings.ReplaceAll(text+object, "signature", "signed"),
		"cut off":          object[:strings.Index(object, "signature")+20],
		"gzip, cut off":    packed(text + object)[:40],
		"wrapped for ever": strings.Repeat(`{"a":`, 2000) + `"signature"`,
	} {
		_, err := admin.ReadCheckpoints(strings.NewReader(lines))
		refusedWith(t, name, err, "checkpoints", admin.NoAct)
	}
}
