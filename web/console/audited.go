package console

import (
	"encoding/json"
	"html/template"
	"strings"

	"ssobridge/store"
	"ssobridge/web/admin"
)

// audited is an event as a sentence. An action without a sentence of its own is named by its word.
func (k *toolkit) audited(e admin.Event) (template.HTML, error) {
	key := "audited." + e.Action
	detail := map[string]any{}
	if len(e.Detail) > 0 {
		_ = json.Unmarshal(e.Detail, &detail) // what can't be read stands in the details as it is
	}
	if role, ok := detail["was_role"].(string); ok && k.texts.Has(key+".role") {
		key, detail["was"] = key+".role", k.texts.Role(store.Role(role))
	}
	if e.Account == "" && e.SP == "" && k.texts.Has(key+".many") {
		key += ".many"
	}
	if e.Outcome != "" && e.Outcome != "ok" && k.texts.Has(key+".not") {
		key += ".not"
	}
	if !k.texts.Has(key) {
		key = "audited.other"
	}
	pairs := []any{"action", e.Action}
	for _, part := range []struct {
		name string
		draw func(admin.Event) (template.HTML, error)
	}{{"who", k.auditWho}, {"whom", k.auditWhom}, {"where", k.auditWhere}} {
		drawn, err := part.draw(e)
		if err != nil {
			return "", err
		}
		pairs = append(pairs, part.name, drawn)
	}
	if role, ok := detail["role"].(string); ok {
		pairs = append(pairs, "role", k.texts.Role(store.Role(role)))
	} else {
		pairs = append(pairs, "role", "–")
	}
	said, err := k.phrase(key, append(pairs, "was", detail["was"])...)
	if undo, _ := detail["undo"].(bool); undo && err == nil {
		return k.phrase("audited.undo", "what", said)
	}
	return said, err
}

// commandActor stands before the name of who gave a command.
const commandActor = "admin:"

// auditWho is who did it: a person, who gave a command, the bridge by itself, or nobody known.
func (k *toolkit) auditWho(e admin.Event) (template.HTML, error) {
	name, command := strings.CutPrefix(e.Actor, commandActor)
	switch {
	case command:
		return k.phrase("audited.by.command", "by", name)
	case e.ActorName != "":
		return k.person(e.Actor, e.ActorName)
	case e.Actor == "worker":
		return k.word("audited.by.worker")
	case e.Actor == "":
		if e.SubjectName != "" { // of somebody's own sign-in
			return k.person(e.Subject, e.SubjectName)
		}
		return k.word("audited.by.nobody")
	}
	return template.HTML(template.HTMLEscapeString(e.Actor)), nil // #nosec G203: escaped here
}

// auditWhom is on whom or what it was done.
func (k *toolkit) auditWhom(e admin.Event) (template.HTML, error) {
	if e.SubjectName != "" {
		return k.person(e.Subject, e.SubjectName)
	}
	if number, ok := strings.CutPrefix(e.Subject, "mapping "); ok {
		return k.draw("named", nameView{ID: number, Name: e.Subject, Path: mappingsPath + "/of/" + number})
	}
	if e.Subject == "" {
		return k.auditWhere(e)
	}
	return template.HTML(template.HTMLEscapeString(e.Subject)), nil // #nosec G203: escaped here
}

// auditWhere is the client account or service provider that it is about.
func (k *toolkit) auditWhere(e admin.Event) (template.HTML, error) {
	return k.traceWhere(admin.Trace{Trace: store.Trace{Account: e.Account, SP: e.SP}, AccountName: e.AccountName,
		Provider: e.Provider})
}

// auditKind is the kind of state that the outcome of an event is.
func auditKind(outcome string) string {
	switch outcome {
	case "refused", "failed":
		return "bad"
	case "unknown":
		return "warn"
	}
	return "ok"
}
