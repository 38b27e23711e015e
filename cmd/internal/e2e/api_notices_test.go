package e2e_test

import (
	"net/http"
	"testing"
)

// A subscription whose address differs in what is not shown alone is another one to its ETag: who has read the former
// neither changes nor removes it. REST-16
func TestAPISubscriptionETag(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiSetting())
	p := w.caller(t, allScopes())
	const path = "/notices/billing"
	made := p.call(http.MethodPost, "/notices", map[string]any{"name": "billing", "kind": "webhook",
		"url": "https://hooks.example.test/a", "classes": []string{"account.*"}})
	p.into(made, http.StatusCreated, nil)
	read := p.get(path, nil)
	tag := read.header.Get("ETag")
	if tag == "" || tag != made.header.Get("ETag") {
		t.Errorf("ETag %q, %q when it was made", tag, made.header.Get("ETag"))
	}
	w.command(t, "notices", "set", "billing", "--url", "https://hooks.example.test/b")
	again := p.get(path, nil)
	if string(again.body) != string(read.body) || again.header.Get("ETag") == tag {
		t.Errorf("after the path has changed: ETag %q, %s", again.header.Get("ETag"), again.body)
	}
	patch := map[string]any{"quiet": "22:00-06:00"}
	p.refused("changed as it was", p.call(http.MethodPatch, path, patch, "If-Match", tag), 412, "changed")
	p.refused("removed as it was", p.call(http.MethodDelete, path, nil, "If-Match", tag), 412, "changed")
	p.refused("removed unread", p.call(http.MethodDelete, path, nil), http.StatusPreconditionRequired, "if_match")
	changed := p.call(http.MethodPatch, path, patch, "If-Match", again.header.Get("ETag"))
	p.into(changed, http.StatusOK, nil)
	p.into(p.call(http.MethodDelete, path, nil, "If-Match", changed.header.Get("ETag")), http.StatusNoContent, nil)
	p.refused("it is gone", p.call(http.MethodGet, path, nil), http.StatusNotFound, "not_found")
}
