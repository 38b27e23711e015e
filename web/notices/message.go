package notices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// item is one notice as programs get it. Within version 1 fields are only added.
type item struct {
	ID   string    `json:"id"` // the same each time that it is sent
	Type string    `json:"type"`
	Time time.Time `json:"timestamp"`
	Data data      `json:"data"`

	notice store.NoticeRecord
}

// data is what a notice is about: ids, and names only where the subscription asks for them.
type data struct {
	Subject  string          `json:"subject,omitempty"` // a person's id, or what else it is about
	Account  string          `json:"account,omitempty"`
	SP       string          `json:"service_provider,omitempty"`
	Ref      string          `json:"reference,omitempty"`
	Link     string          `json:"link,omitempty"`
	Detail   json.RawMessage `json:"detail,omitempty"`
	Actor    string          `json:"actor,omitempty"`
	Login    string          `json:"subject_login,omitempty"`
	Name     string          `json:"subject_name,omitempty"`
	AccountN string          `json:"account_name,omitempty"`
}

// message is what goes to a receiver at once: a notice, or several.
type message struct {
	ID    string
	At    time.Time
	Items []item
}

// payload is the message as JSON for programs.
func (m message) payload() ([]byte, error) {
	var v any = m.Items[0]
	if len(m.Items) > 1 {
		v = struct {
			ID   string    `json:"id"`
			Type string    `json:"type"`
			Time time.Time `json:"timestamp"`
			Data any       `json:"data"`
		}{m.ID, "digest", m.At, struct {
			Count   int    `json:"count"`
			Notices []item `json:"notices"`
		}{len(m.Items), m.Items}}
	}
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a notice: %w", err)
	}
	return body, nil
}

// compose makes the message of what is due.
func (e *Engine) compose(ctx context.Context, c store.Claimed, due []store.Due) (message, error) {
	m := message{At: c.Now.UTC().Truncate(time.Second)}
	hash := sha256.New()
	for _, d := range due {
		// The number alone could come again after a restore.
		i := item{ID: fmt.Sprintf("ntc_%d_%d", d.ID, d.At.UnixMicro()), Type: string(d.Class), Time: d.At.UTC(),
			notice: d.NoticeRecord}
		i.Data = data{Subject: d.Subject, Account: string(d.Account), SP: d.SP, Ref: d.Ref, Link: e.link(d.NoticeRecord),
			Detail: d.Detail}
		if d.Class == store.NoticeTest {
			i.ID = fmt.Sprintf("test_%d", d.At.UnixMicro())
		}
		fmt.Fprintln(hash, i.ID)
		m.Items = append(m.Items, i)
	}
	m.ID = m.Items[0].ID
	if len(m.Items) > 1 {
		m.ID = "ntd_" + hex.EncodeToString(hash.Sum(nil)[:16])
	}
	if !c.Names {
		return m, nil
	}
	return m, e.name(ctx, m.Items)
}

// name puts the names of people and client accounts beside their ids.
func (e *Engine) name(ctx context.Context, items []item) error {
	var people []store.PersonID
	for _, i := range items {
		if i.Data.Subject != "" {
			people = append(people, store.PersonID(i.Data.Subject))
		}
	}
	called, err := e.o.People.Called(ctx, people)
	if err != nil {
		return err
	}
	accounts := map[string]string{}
	for i := range items {
		d := &items[i].Data
		d.Actor = items[i].notice.Actor
		who := called[store.PersonID(d.Subject)]
		d.Login, d.Name = who.Login, who.Name
		if d.Account == "" {
			continue
		}
		if _, known := accounts[d.Account]; !known {
			a, err := e.o.Accounts.Get(ctx, store.AccountID(d.Account))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			accounts[d.Account] = a.Name
		}
		d.AccountN = accounts[d.Account]
	}
	return nil
}

// line is one line of a text for people.
type line struct{ name, value string }

// title is what happened, in a sentence without its full stop. It holds nothing from outside.
func (i item) title() string {
	if t, ok := titles[i.notice.Class]; ok {
		return t
	}
	return "Notice of class " + i.Type
}

// lines say what it is about. Values are of one line each, and come from outside.
func (i item) lines() (all []line) {
	add := func(name, value, beside string) {
		if value == "" {
			return
		}
		if beside != "" {
			value = beside + " (" + value + ")"
		}
		all = append(all, line{name, plaintext.Short(value, 200)})
	}
	beside := i.Data.Name
	if i.Data.Login != "" {
		beside = strings.TrimSpace(i.Data.Name + " " + i.Data.Login)
	}
	add("About", i.Data.Subject, beside)
	add("Client account", i.Data.Account, i.Data.AccountN)
	add("Service provider", i.Data.SP, "")
	add("By", i.Data.Actor, "")
	var detail map[string]any
	if json.Unmarshal(i.Data.Detail, &detail) == nil {
		for _, d := range details {
			if v, ok := detail[d.key]; ok {
				add(d.name, fmt.Sprint(v), "")
			}
		}
	}
	add("Reference", i.Data.Ref, "")
	add("When", i.Time.Format("2 Jan 2006 15:04:05 MST"), "")
	return all
}

// details are the fields of a notice's detail that people read, in this order.
var details = []struct{ key, name string }{{"what", "What"}, {"part", "Part"}, {"reason", "Reason"}, {"was", "Before"},
	{"is", "Now"}, {"days", "Days left"}, {"not_after", "Ends"}, {"used", "Calls used"}, {"limit", "Calls a day"},
	{"lockouts", "People locked out"}, {"since", "Since"}}

// shownAtMost is how many notices of a digest a text for people lists.
const shownAtMost = 20

// heading is the first line of a text for people.
func (m message) heading() string {
	if len(m.Items) == 1 {
		return m.Items[0].title()
	}
	return fmt.Sprintf("%d notices", len(m.Items))
}

// text is the message for people, each value by escape.
func (m message) text(escape func(string) string) string {
	var b strings.Builder
	if len(m.Items) == 1 {
		for _, l := range m.Items[0].lines() {
			b.WriteString(l.name + ": " + escape(l.value) + "\n")
		}
		return b.String()
	}
	for n, i := range m.Items {
		if n == shownAtMost {
			fmt.Fprintf(&b, "and %d more\n", len(m.Items)-shownAtMost)
			break
		}
		fmt.Fprintf(&b, "%s  %s", i.Time.Format("2 Jan 15:04 MST"), i.title())
		for _, l := range i.lines() {
			if l.name == "About" || l.name == "Client account" || l.name == "What" || l.name == "Part" {
				b.WriteString("; " + strings.ToLower(l.name) + " " + escape(l.value))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
