package admin_test

import (
	"bytes"
	"encoding/json"
	"errors"
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
	if err := audit.Store.Audit().AddSeal(ctx, checkpoint); err != nil {
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
	if err != nil || !v.Intact() || v.Chained != 3 || v.Seals != 1 || v.Outside != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	other := audit
	other.Sealer = sealer(8)
	if v, err = other.Verify(ctx, all, nil); err != nil || v.Intact() || v.Tampered == "" {
		t.Errorf("by another secret key: %+v, %v", v, err)
	}
	forged := other.Checkpoint(chained.Head)
	if v, err = audit.Verify(ctx, all, []store.Seal{forged}); err != nil || v.Intact() {
		t.Errorf("a checkpoint of somebody else: %+v, %v", v, err)
	}
	for name, text := range map[string]string{"empty": "", "another log": `{"msg":"served"}` + "\n",
		"a long line": strings.Repeat("x", 70<<10)} {
		_, err := admin.ReadCheckpoints(strings.NewReader(text))
		refusedWith(t, name, err, "seals", admin.NoAct)
	}
	var e *admin.Error
	if _, err := audit.Verify(ctx, admin.Accounts("a07e1lxqqqo0"), nil); !errors.As(err, &e) || e.Kind != admin.Forbidden {
		t.Errorf("for somebody who may see one account: %v", err)
	}
}
