package storetest

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"ssobridge/store"
)

// keyRing is a Voucher that names its key and knows others, as certs.Sealer does.
type keyRing []string

func (v keyRing) MAC(purpose string, fields ...[]byte) []byte {
	return append([]byte(v[0][:4]), Voucher(v[0]).MAC(purpose, fields...)...)
}

func (v keyRing) CheckMAC(mac []byte, purpose string, fields ...[]byte) error {
	for _, key := range v {
		if bytes.HasPrefix(mac, []byte(key[:4])) {
			return Voucher(key).CheckMAC(mac[4:], purpose, fields...)
		}
	}
	return errors.New("the key is not known")
}

// testRevouch: what an old secret key vouches for is vouched for by the one in use, and nothing else is. ID-17
func testRevouch(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	o.Voucher = keyRing{"old key"}
	before, raw := open(t, o), rawDB(t, o)
	must(t, before.SecretKeys().Use(ctx, "old", event("use")))
	at := time.Now().UTC().Truncate(time.Microsecond)
	for _, name := range []string{"one", "two", "changed", "reading"} {
		in := signIn("of " + name)
		in.Browser = hash("b")
		must(t, before.Sessions().Create(ctx, store.Session{
			TokenHash: hash(name), Person: store.PersonID("p-" + name), Login: name, Browser: hash("b"), AuthenticatedAt: at,
			Methods: []string{"password"},
			Reading: []byte("r"), ReadAt: at, EndsAt: at.Add(time.Hour), Begins: &in,
		}, nil))
	}
	for _, statement := range []string{
		`UPDATE sessions SET login = 'admin' WHERE login = 'changed'`,
		`UPDATE sessions SET read_at = read_at + 1 WHERE login = 'reading'`,
		`UPDATE sign_ins SET account = 'a2' WHERE id = 'of changed'`,
	} {
		_, err := raw.Exec(statement)
		must(t, err)
	}
	changes, err := before.Changes(ctx)
	must(t, err)
	must(t, before.SecondFactors().Enrol(ctx, "p-one", store.Enrolment{
		Act:     store.Act{Session: hash("one"), ReadAt: at, Changes: changes, KeepOthers: true},
		Factors: []store.SecondFactor{{ID: "f1", Kind: "code"}}, By: store.ByPassword,
	}))
	must(t, before.SecretKeys().Use(ctx, "older", event("use")))
	must(t, before.SecretKeys().Remove(ctx, "older", []byte("public"), event("remove")))

	must(t, before.APITokens().Add(ctx, apiToken("held", time.Hour), event("token")))
	must(t, before.APITokens().Add(ctx, apiToken("grown", time.Hour), event("token")))
	_, err = raw.Exec(`UPDATE api_tokens SET scopes = 'keys:write' WHERE id = 'grown'`)
	must(t, err)
	must(t, before.APITokens().Add(ctx, keyedClient("robot", time.Hour), event("token")))
	for _, id := range []string{"access", "longer"} {
		must(t, before.APITokens().Issue(ctx, accessToken(id, "robot", time.Minute), clientProof(id), event("token")))
	}
	_, err = raw.Exec(`UPDATE access_tokens SET expires_at = expires_at + 1 WHERE id = 'longer'`)
	must(t, err)

	// Four refused logins that were purged after a shorter time than others; somebody changes what vouches for one.
	refused := store.Event{At: at.Add(-200 * time.Hour), Action: "login", Outcome: "refused"}
	must(t, before.Audit().Add(ctx, refused, refused, refused, refused, event("newest")))
	key := auditKey(1)
	key.sealed(t, before.Audit())
	purged, err := before.Audit().Purge(ctx, key.retention(at, map[string]time.Duration{"login.refused": 100 * time.Hour}))
	if err != nil || purged.Count != 4 {
		t.Fatalf("purged %+v, %v", purged, err)
	}
	_, err = raw.Exec(`UPDATE audit_chain SET outcome = 'failed' WHERE seq = (SELECT MAX(seq) FROM audit_chain WHERE outcome = 'refused')`)
	must(t, err)

	o.Voucher = keyRing{"new key", "old key"}
	both := open(t, o)
	counts := func() (all []int) {
		t.Helper()
		rows, err := both.SecretKeys().Vouched(ctx, []byte("old "))
		must(t, err)
		for _, r := range rows {
			all = append(all, r.Count)
		}
		return all
	}
	if got := counts(); !slices.Equal(got, []int{4, 1, 4, 1, 4, 3, 2}) {
		t.Fatalf("vouched for by the old key: %v", got)
	}
	n, err := both.SecretKeys().Revouch(ctx, []byte("old "))
	must(t, err)
	if n != 3+1+3+1+3+2+1 {
		t.Errorf("%d rows were vouched for again, want 14", n)
	}
	if got := counts(); !slices.Equal(got, []int{1, 0, 1, 0, 1, 1, 1}) {
		t.Errorf("left: %v, want what was changed alone", got)
	}
	if n, err := both.SecretKeys().Revouch(ctx, []byte("old ")); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
	if _, err := both.SecretKeys().Revouch(ctx, []byte("old")); err == nil {
		t.Error("half an id is taken")
	}

	o.Voucher = keyRing{"new key"}
	after := open(t, o)
	for name, want := range map[string]error{"one": nil, "two": nil, "changed": store.ErrNotFound, "reading": nil} {
		n, err := after.Sessions().Get(ctx, hash(name), time.Hour)
		if !errors.Is(err, want) || err == nil && (n.Login != name || (len(n.Reading) == 0) != (name == "reading")) {
			t.Errorf("session %s by the new key alone: %+v, %v", name, n, err)
		}
		if name == "reading" {
			continue
		}
		if _, err := after.SignIns().Get(ctx, "of "+name); !errors.Is(err, want) {
			t.Errorf("sign-in %s by the new key alone: %v", name, err)
		}
	}
	if _, err := after.APITokens().Get(ctx, "held"); err != nil {
		t.Errorf("API token by the new key alone: %v", err)
	}
	if _, err := after.APITokens().Get(ctx, "grown"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("changed API token by the new key alone: %v", err)
	}
	if _, c, err := after.APITokens().Access(ctx, "access"); err != nil || c.ID != "robot" {
		t.Errorf("access token by the new key alone: %+v, %v", c, err)
	}
	if _, _, err := after.APITokens().Access(ctx, "longer"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("changed access token by the new key alone: %v", err)
	}
	if f, err := after.SecondFactors().OfPerson(ctx, "p-one"); err != nil || len(f) != 1 || f[0].Foreign ||
		f[0].By != store.ByPassword {
		t.Errorf("factors %+v, %v", f, err)
	}
	// The audit is whole up to what was changed.
	_, err = raw.Exec(`UPDATE audit_chain SET outcome = 'refused' WHERE outcome = 'failed'`)
	must(t, err)
	var broken *store.ChainError
	if v, err := after.Audit().Verify(ctx, nil, key.holds); !errors.As(err, &broken) || v.Purged != 3 {
		t.Errorf("audit by the new key alone: %+v, %v", v, err)
	}
	removed := func(id string) (k store.SecretKey) {
		t.Helper()
		all, err := after.SecretKeys().List(ctx)
		must(t, err)
		for _, k := range all {
			if k.ID == id {
				return k
			}
		}
		t.Fatalf("no key %s", id)
		return k
	}
	if k := removed("older"); k.RemovedAt.IsZero() || string(k.AuditKey) != "public" {
		t.Errorf("the removed key: %+v", k)
	}
	if err := after.SecretKeys().Remove(ctx, "older", nil, event("bad")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	// Nobody else removes one, or has the audit log verified by a key of their own.
	for _, statement := range []string{`UPDATE secret_keys SET audit_key = $1 WHERE id = 'older'`,
		`UPDATE secret_keys SET removed_at = 1, audit_key = $1 WHERE id = 'old'`} {
		_, err := raw.Exec(statement, []byte("theirs"))
		must(t, err)
	}
	for _, id := range []string{"old", "older"} {
		if k := removed(id); !k.RemovedAt.IsZero() || k.AuditKey != nil {
			t.Errorf("%s, changed in the database: %+v", id, k)
		}
	}
	// Put into use again, it is needed again.
	must(t, after.SecretKeys().Remove(ctx, "old", []byte("public"), event("remove")))
	must(t, after.SecretKeys().Use(ctx, "old", event("use")))
	if k := removed("old"); !k.RemovedAt.IsZero() || k.AuditKey != nil {
		t.Errorf("in use again: %+v", k)
	}
	if n := events(t, after, "remove") + 10*events(t, after, "bad"); n != 2 {
		t.Errorf("%d events of removals, want 2", n)
	}
}
