package e2e_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const robotMetadata = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://robot.example.test/saml">
  <SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://robot.example.test/acs" index="0"/>
  </SPSSODescriptor>
</EntityDescriptor>`

// What lets somebody sign in as anybody needs a token for which an administrator has given a second factor just now,
// and which ends within 30 days. With it service providers are registered, keys rolled over and second factors reset;
// without it each of these is refused. REST-13
func TestAPIPrivileged(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{set: map[string]string{"second_factor.console": "required", "api.enabled": "true"}})
	c := newClient(t)
	enrol := c.login(c.get(w.url+"/admin/"), consoleAdmin, password)
	secret, kept := c.enrolApp(enrol, "invite", w.invite(t, consoleAdmin))
	kept.says("Keep these codes")

	spare := regexp.MustCompile(`<code>([0-9A-Z]{5}-[0-9A-Z]{5})</code>`).FindAllStringSubmatch(kept.Body, -1)
	if len(spare) < 2 {
		t.Fatal("no recovery codes")
	}
	const scopes = "providers:read,providers:write,keys:read,keys:write,factors:read,factors:write"
	for _, refused := range []struct {
		scope, days string
		more        []string
		says        string
	}{
		{"providers:write", "10", nil, "second factor"},
		{"keys:write", "10", []string{"--login", consoleAdmin, "--code", "000000"}, "takes this code"},
		{"factors:write", "10", []string{"--login", consoleViewer, "--code", appCode(t, secret, 1)}, "no administrator"},
		{scopes, "31", []string{"--login", consoleAdmin, "--code", appCode(t, secret, 1)}, "30 days"},
		{scopes, "10", []string{"--login", consoleAdmin, "--code", appCode(t, secret, 1)}, "takes this code"}, // used before
	} {
		args := []string{"tokens", "create", "robot", "--scope", refused.scope, "--days", refused.days}
		args = append(args, refused.more...)
		if out, err := w.tryCommand(args...); err == nil || !strings.Contains(out, refused.says) {
			t.Errorf("%s for %s days: %v\n%s", refused.scope, refused.days, err, out)
		}
	}
	p := w.caller(t, scopes, "--login", consoleAdmin, "--code", spare[0][1])
	plain := w.caller(t, allScopes())

	const robot = "https://robot.example.test/saml"
	place := "/provider?entity_id=" + url.QueryEscape(robot)
	in := map[string]any{"metadata": robotMetadata, "name": "Robot", "groups": []string{"cn=staff,dc=example,dc=test"}}
	type result struct {
		Provider struct{ Name string }
		Seen     string
	}
	var draft, made result
	p.into(p.call(http.MethodPost, "/providers?dry_run=true", in), http.StatusOK, &draft)
	p.refused("a dry run has registered it", p.call(http.MethodGet, place, nil), http.StatusNotFound, "not_found")
	p.refused("something else than was looked at", p.call(http.MethodPost, "/providers?seen=other", in), 412, "changed")
	p.into(p.call(http.MethodPost, "/providers?seen="+draft.Seen, in, "Idempotency-Key", "sp"), http.StatusCreated, &made)
	if again := p.call(http.MethodPost, "/providers?seen="+draft.Seen, in, "Idempotency-Key", "sp"); again.status != 201 ||
		again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same again: %d %s", again.status, again.body)
	}
	p.refused("registered twice", p.call(http.MethodPost, "/providers", in), 422, "invalid")
	p.refused("no metadata", p.call(http.MethodPost, "/providers", map[string]any{"metadata": "<a/>"}), 422, "invalid")
	p.refused("an internal address", p.call(http.MethodPost, "/providers", map[string]any{
		"metadata_url": "http://169.254.169.254/metadata"}), 422, "invalid")
	read := p.call(http.MethodGet, place, nil)
	name := func(text string) any {
		return map[string]any{"settings": []any{map[string]any{"name": "name", "value": text}}}
	}
	p.into(p.call(http.MethodPatch, place, name("Other"), "If-Match", read.header.Get("ETag")), http.StatusOK, nil)
	p.refused("changed since it was read", p.call(http.MethodPatch, place, name("Mine"), "If-Match",
		read.header.Get("ETag")), 412, "changed")
	p.refused("removed as it was read", p.call(http.MethodDelete, place, nil, "If-Match", read.header.Get("ETag")), 412,
		"changed")
	p.refused("nothing waits", p.call(http.MethodPost, "/provider/approve?entity_id="+url.QueryEscape(robot),
		map[string]any{"seen": "x"}), 422, "invalid")

	var key struct{ ID, State string }
	made1 := p.call(http.MethodPost, "/keys", map[string]any{"algorithm": "p-256"}, "Idempotency-Key", "key")
	p.into(made1, http.StatusCreated, &key)
	if key.State != "next" || strings.Contains(string(made1.body), "PRIVATE") {
		t.Errorf("a new key: %s", made1.body)
	}
	if again := p.call(http.MethodPost, "/keys", map[string]any{"algorithm": "p-256"}, "Idempotency-Key",
		"key"); string(again.body) != string(made1.body) {
		t.Errorf("the same key again: %s", again.body)
	}
	promote := map[string]any{"entity_id": robot, "confirmed_by": "the robot's administrator"}
	p.refused("nobody has published it", p.call(http.MethodPost, "/keys/"+key.ID+"/promote", promote), 422, "invalid")
	p.into(p.call(http.MethodPost, "/keys/"+key.ID+"/publish", nil), http.StatusOK, &key)
	p.refused("nobody has confirmed it", p.call(http.MethodPost, "/keys/"+key.ID+"/promote",
		map[string]any{"entity_id": robot}), 422, "invalid")
	p.refused("forced", p.call(http.MethodPost, "/keys/"+key.ID+"/promote", map[string]any{"entity_id": robot,
		"confirmed_by": "x", "force": true}), 422, "invalid")
	unasked := p.call(http.MethodPost, "/keys/"+key.ID+"/promote", promote)
	p.refused("nobody has said how many certificates it holds", unasked, 422, "invalid")
	if !strings.Contains(string(unasked.body), "PATCH /api/v1/provider") {
		t.Errorf("it does not say how that is set: %s", unasked.body)
	}
	p.into(p.call(http.MethodPatch, place, map[string]any{"settings": []any{map[string]any{"name": "holds_certificates",
		"value": "two"}}}, "If-Match", p.call(http.MethodGet, place, nil).header.Get("ETag")), http.StatusOK, nil)
	p.into(p.call(http.MethodPost, "/keys/"+key.ID+"/promote", promote), http.StatusOK, nil)
	p.refused("it signs", p.call(http.MethodPost, "/keys/"+key.ID+"/retire", nil), 422, "invalid")
	p.into(p.call(http.MethodPost, "/key-rollback", map[string]any{"entity_id": robot}), http.StatusOK, nil)
	p.into(p.call(http.MethodDelete, place, nil, "If-Match", p.call(http.MethodGet, place, nil).header.Get("ETag")),
		http.StatusNoContent, nil)

	var factors struct{ Items []struct{ Kind string } }
	if p.get("/people/"+consoleAdmin+"/factors", &factors); len(factors.Items) == 0 {
		t.Error("no factor of the administrator")
	}
	var reset struct{ Removed int }
	p.refused("nobody", p.call(http.MethodDelete, "/people/nosuchperson/factors", nil), http.StatusNotFound, "not_found")
	p.into(p.call(http.MethodDelete, "/people/"+consoleAdmin+"/factors", nil), http.StatusOK, &reset)
	if reset.Removed != len(factors.Items) {
		t.Errorf("%d of %d factors were removed", reset.Removed, len(factors.Items))
	}
	if out, err := w.tryCommand("tokens", "create", "robot", "--scope", "keys:write", "--days", "1",
		"--login", consoleAdmin, "--code", spare[1][1]); err == nil {
		t.Errorf("a factor that was removed vouches for a token: %s", out)
	}

	for _, route := range p.routes() {
		if slices.Contains([]string{"providers:write", "keys:write", "factors:write"}, route.scope) {
			plain.refused(route.id, plain.call(route.method, route.path, bodyOf(route)), http.StatusForbidden, "scope")
		}
	}
	log := w.command(t, "audit", "list", "--limit", "200", "--json")
	for _, want := range []string{"sp-add", "sp-set", "sp-remove", "key-add", "key-publish", "key-promote", "key-rollback",
		"second-factor-reset"} {
		if !slices.ContainsFunc(strings.Split(log, "\n"), func(line string) bool {
			return strings.Contains(line, `"`+want+`"`) && strings.Contains(line, "token:"+p.id)
		}) {
			t.Errorf("no event %s by the token", want)
		}
	}
}
