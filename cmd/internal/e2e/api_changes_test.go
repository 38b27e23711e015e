package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

// What a program changes is audited as its token, what was changed by somebody else meanwhile is refused, a dry run
// changes nothing, and lists go through all pages. REST-10
func TestAPIChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiSetting())
	w.command(t, "accounts", "list", "--refresh")
	p := w.caller(t, allScopes())
	type rule struct {
		ID       int64
		Priority int
		Account  string
		Off      bool
	}
	var before struct{ Items []rule }
	p.get("/mappings", &before)
	in := map[string]any{"person": "bob", "account": bakery, "role": "campaign_creator"}
	var made struct {
		Mapping rule
		Effects *struct{ Gains int }
	}
	p.into(p.call(http.MethodPost, "/mappings?dry_run=true", in), http.StatusOK, &made)
	if made.Effects == nil || made.Effects.Gains != 1 {
		t.Errorf("dry run: %+v", made)
	}
	var same struct{ Items []rule }
	if p.get("/mappings", &same); len(same.Items) != len(before.Items) {
		t.Error("a dry run has changed something")
	}
	created := p.call(http.MethodPost, "/mappings", in)
	p.into(created, http.StatusCreated, &made)
	path := fmt.Sprintf("/mappings/%d", made.Mapping.ID)
	if created.header.Get("Location") != "/api/v1"+path {
		t.Errorf("location %q", created.header.Get("Location"))
	}
	read := p.get(path, nil)
	tag := read.header.Get("ETag")
	if tag == "" || tag != created.header.Get("ETag") {
		t.Errorf("ETag %q after %q", tag, created.header.Get("ETag"))
	}
	if r := p.call(http.MethodGet, path, nil, "If-None-Match", tag); r.status != http.StatusNotModified {
		t.Errorf("unchanged: %d", r.status)
	}
	off := map[string]any{"off": true}
	p.refused("no If-Match", p.call(http.MethodPatch, path, off), http.StatusPreconditionRequired, "if_match")
	p.refused("another If-Match", p.call(http.MethodPatch, path, off, "If-Match", `"other"`), 412, "changed")
	changed := p.call(http.MethodPatch, path, off, "If-Match", tag)
	p.into(changed, http.StatusOK, &made)
	if !made.Mapping.Off {
		t.Errorf("switched off: %s", changed.body)
	}
	p.refused("an ETag of before", p.call(http.MethodDelete, path, nil, "If-Match", tag), 412, "changed")
	p.into(p.call(http.MethodDelete, path, nil, "If-Match", changed.header.Get("ETag")), http.StatusOK, nil)
	p.refused("it is gone", p.call(http.MethodGet, path, nil), http.StatusNotFound, "not_found")

	file := p.call(http.MethodGet, "/mapping-file", nil)
	p.into(file, http.StatusOK, nil)
	var imported struct {
		Added, Removed, Kept int
		Seen                 string
	}
	set := file.header.Get("ETag")
	p.into(p.call(http.MethodPut, "/mapping-file?dry_run=true", string(file.body), "If-Match", set), http.StatusOK,
		&imported)
	if imported.Added+imported.Removed != 0 || imported.Kept != len(before.Items) {
		t.Errorf("the file as it was exported: %+v", imported)
	}
	p.refused("another difference", p.call(http.MethodPut, "/mapping-file?seen=other", string(file.body), "If-Match", set),
		412, "changed")
	p.into(p.call(http.MethodPut, "/mapping-file?seen="+url.QueryEscape(imported.Seen), string(file.body),
		"If-Match", set),
		200, nil)
	// A mapping that somebody adds between the reading and the import is not lost.
	p.refused("without what was read", p.call(http.MethodPut, "/mapping-file", string(file.body)), 428, "if_match")
	p.into(p.call(http.MethodPost, "/mappings", in), http.StatusCreated, &made)
	p.refused("a mapping added since", p.call(http.MethodPut, "/mapping-file", string(file.body), "If-Match", set), 412,
		"changed")
	path = fmt.Sprintf("/mappings/%d", made.Mapping.ID)
	p.into(p.call(http.MethodDelete, path, nil, "If-Match", p.get(path, nil).header.Get("ETag")), http.StatusOK, nil)
	p.into(p.call(http.MethodPut, "/mapping-file", string(file.body), "If-Match", set), http.StatusOK, nil)

	// A user is stopped and goes on, and a person's sessions end.
	_, _ = w.tryCommand("users", "create", "alice", books)
	var user struct{ State string }
	p.into(p.call(http.MethodPost, "/accounts/"+books+"/users/alice/suspend", nil), http.StatusOK, &user)
	if user.State != "suspended" {
		t.Errorf("suspended: %+v", user)
	}
	p.refused("suspended again", p.call(http.MethodPost, "/accounts/"+books+"/users/alice/suspend", nil), 409, "conflict")
	p.into(p.call(http.MethodPost, "/accounts/"+books+"/users/alice/resume", nil), http.StatusOK, &user)
	p.into(p.call(http.MethodDelete, "/people/alice/sessions", nil), http.StatusOK, nil)
	p.refused("nobody", p.call(http.MethodDelete, "/people/nosuchperson/sessions", nil), http.StatusNotFound, "not_found")
	p.refused("not locked", p.call(http.MethodPost, "/lockouts/lift", map[string]any{"who": "alice"}), 404, "not_found")

	// Everything of it is audited as the token, with the reference of the call.
	var events struct {
		Items []struct{ Action, Actor, Reference string }
		Next  string
	}
	pages, actions := 0, map[string]bool{}
	for query := "limit=3&about=" + url.QueryEscape("token:"+p.id); ; pages++ {
		events.Next = ""
		p.get("/audit?"+query, &events)
		for _, e := range events.Items {
			if e.Actor == "token:"+p.id && e.Reference != "" {
				actions[e.Action] = true
			}
		}
		if events.Next == "" {
			break
		}
		query = "limit=3&about=" + url.QueryEscape("token:"+p.id) + "&cursor=" + events.Next
		p.refused("a cursor of another list", p.call(http.MethodGet, "/users?cursor="+events.Next, nil), 422, "bad_cursor")
	}
	for _, want := range []string{"mapping-add", "mapping-remove", "suspend-user", "resume-user", "session-end"} {
		if !actions[want] {
			t.Errorf("no event %s by the token: %v", want, actions)
		}
	}
	if pages < 1 {
		t.Error("all events came on one page")
	}
	// The events come in their order, and none twice.
	if !eventually(func() bool {
		var stream struct {
			Items []struct {
				ID     int64
				Action string
			}
			After int64
		}
		seen, after := map[string]bool{}, int64(0)
		for {
			p.get(fmt.Sprintf("/events?limit=20&after=%d", after), &stream)
			for _, e := range stream.Items {
				if e.ID <= after {
					t.Errorf("event %d after %d", e.ID, after)
				}
				after = e.ID
				seen[e.Action] = true
			}
			if len(stream.Items) == 0 {
				return seen["session-end"] && seen["token-create"]
			}
		}
	}) {
		t.Error("the events do not come")
	}
}
