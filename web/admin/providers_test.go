package admin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/metadata"
	"ssobridge/store"
	"ssobridge/store/storetest"
	"ssobridge/web/admin"
)

const wikiMetadata = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://wiki.example.test/saml">
  <SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://wiki.example.test/acs" index="0"/>
  </SPSSODescriptor>
</EntityDescriptor>`

const wikiID = "https://wiki.example.test/saml"

func newProviders(t *testing.T) (admin.Providers, *clock) {
	t.Helper()
	at := &clock{time.Now().UTC().Truncate(time.Second)}
	return admin.Providers{Store: storetest.Open(t), Fetcher: metadata.NewFetcher(metadata.FetchOptions{}),
		Now: at.now}, at
}

// Metadata is looked at first, and what is saved is what was shown.
func TestImportProvider(t *testing.T) {
	p, at := newProviders(t)
	ctx, all := t.Context(), admin.Everything()
	request := func(name string, replace bool) admin.NewProvider {
		return admin.NewProvider{Document: strings.NewReader(wikiMetadata), Name: name, Groups: []string{"cn=staff"},
			Replace: replace}
	}
	im, err := p.Import(ctx, all, request("Wiki", false))
	if err != nil || im.Record.Name != "Wiki" || im.Before != nil || len(im.Facts) == 0 || im.Seen == "" {
		t.Fatalf("%+v, %v", im, err)
	}
	if list, err := p.List(ctx, all); err != nil || len(list) != 0 {
		t.Fatalf("looking at it registered %+v, %v", list, err)
	}
	other, err := p.Import(ctx, all, request("Other", false))
	if err != nil || other.Seen == im.Seen {
		t.Errorf("another record has the same name: %s, %v", other.Seen, err)
	}
	at.Time = at.Add(time.Minute)
	if again, err := p.Import(ctx, all, request("Wiki", false)); err != nil || again.Seen != im.Seen {
		t.Errorf("the same a minute later: %s, %v, want %s", again.Seen, err, im.Seen)
	}
	if err := p.Save(ctx, all, im, at.event()); err != nil {
		t.Fatal(err)
	}
	events, err := p.Store.Audit().List(ctx, store.Filter{Action: "sp-add"})
	if err != nil || len(events) != 1 || events[0].SP != wikiID || events[0].Actor != "admin:test" {
		t.Errorf("events %+v, %v", events, err)
	}
	_, err = p.Import(ctx, all, request("Wiki", false))
	refusedWith(t, "a second time", err, "entity_id", admin.ReplaceProvider)
	refusedWith(t, "saved a second time", p.Save(ctx, all, im, at.event()), "entity_id", admin.ReplaceProvider)
	changed, err := p.Import(ctx, all, request("Wissen", true))
	if err != nil || changed.Before == nil || len(changed.Changes) == 0 {
		t.Errorf("over what is registered: %+v, %v", changed.Changes, err)
	}

	// What somebody else does between the look and the save is not lost.
	if _, err := p.Set(ctx, all, wikiID, []admin.Change{{Key: "enabled", Value: "false"}}, at.event()); err != nil {
		t.Fatal(err)
	}
	refused(t, "switched off meanwhile", p.Save(ctx, all, changed, at.event()), admin.Changed, "", admin.ListProviders,
		"by somebody else meanwhile")
	if sp, err := p.Get(ctx, all, wikiID); err != nil || sp.Enabled || sp.Name != "Wiki" {
		t.Errorf("after a save that was refused: %+v, %v", sp, err)
	}
	if changed, err = p.Import(ctx, all, request("Wissen", true)); err != nil {
		t.Fatal(err)
	}
	if err := p.Remove(ctx, all, wikiID, at.event()); err != nil {
		t.Fatal(err)
	}
	refused(t, "removed meanwhile", p.Save(ctx, all, changed, at.event()), admin.Changed, "", admin.ListProviders,
		"by somebody else meanwhile")
	if list, err := p.List(ctx, all); err != nil || len(list) != 0 {
		t.Errorf("one that was removed is back: %+v, %v", list, err)
	}
	if err := p.Save(ctx, all, im, at.event()); err != nil {
		t.Errorf("registered anew: %v", err)
	}
}

// What can't be read or registered says which input is at fault.
func TestImportRefuses(t *testing.T) {
	p, _ := newProviders(t)
	ctx, all := t.Context(), admin.Everything()
	many := `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` +
		wikiMetadata + strings.ReplaceAll(wikiMetadata, "wiki", "shop") + `</EntitiesDescriptor>`
	doc := func(text string) admin.NewProvider { return admin.NewProvider{Document: strings.NewReader(text)} }
	both := doc(wikiMetadata)
	both.Address = "https://wiki.example.test/metadata"
	for _, c := range []struct {
		name  string
		n     admin.NewProvider
		field string
		act   admin.Act
	}{
		{"nothing", admin.NewProvider{}, "document", admin.NoAct},
		{"two ways", both, "address", admin.NoAct},
		{"no metadata", doc("<html>"), "document", admin.NoAct},
		{"one of many", doc(many), "entity_id", admin.NameEntity},
		{"an address in clear", admin.NewProvider{Address: "http://wiki.example.test/metadata"}, "address", admin.NoAct},
		{"an inner address", admin.NewProvider{Address: "https://169.254.169.254/latest"}, "address", admin.NoAct},
		{"read again, and no address", admin.NewProvider{Document: strings.NewReader(wikiMetadata), Every: time.Hour},
			"every", admin.NoAct},
		{"read again too often", admin.NewProvider{Address: "https://wiki.example.test", Every: time.Second},
			"every", admin.NoAct},
		{"an address that a Response must not go to", doc(strings.ReplaceAll(wikiMetadata, "https://wiki.example.test/acs",
			"javascript:alert(1)")), "document", admin.NoAct},
	} {
		_, err := p.Import(ctx, all, c.n)
		refusedWith(t, c.name, err, c.field, c.act)
	}
}

// Constant Contact is registered by its entity ID alone: what is not published has a default, in every face the same
// one.
func TestConstantContact(t *testing.T) {
	p, at := newProviders(t)
	ctx, all := t.Context(), admin.Everything()
	sp, err := p.AddConstantContact(ctx, all, admin.ConstantContact{EntityID: "https://www.okta.com/spabc",
		Environment: "l1"}, false, at.event())
	if err != nil || len(sp.ACS) != 1 || sp.ACS[0].URL != admin.ConstantContactACS ||
		sp.Name != admin.ConstantContactName ||
		sp.RelayStates[0].Value != "https://login.l1.constantcontact.com/login/idp-redirect" {
		t.Fatalf("%+v, %v", sp, err)
	}
	for _, c := range []struct {
		name  string
		cc    admin.ConstantContact
		field string
		act   admin.Act
	}{
		{"a second time", admin.ConstantContact{EntityID: "https://www.okta.com/spabc"}, "entity_id", admin.ReplaceProvider},
		{"an environment that leads elsewhere", admin.ConstantContact{EntityID: "x", Environment: "l1.evil.example/"},
			"environment", admin.NoAct},
		{"two RelayStates", admin.ConstantContact{EntityID: "x", Environment: "l1", RelayState: "https://x.example/"},
			"relay_state", admin.NoAct},
		{"an ACS that runs", admin.ConstantContact{EntityID: "https://other", ACS: "javascript:alert(1)"}, "", admin.NoAct},
		{"an ACS in clear", admin.ConstantContact{EntityID: "https://other", ACS: "http://127.0.0.1:9/acs"}, "", admin.NoAct},
	} {
		_, err := p.AddConstantContact(ctx, all, c.cc, false, at.event())
		refusedWith(t, c.name, err, c.field, c.act)
	}
	if list, err := p.List(ctx, all); err != nil || len(list) != 1 || list[0].State != admin.ProviderEnabled {
		t.Errorf("%+v, %v", list, err)
	}
}

// Settings are changed all or none; a name that nobody has leads to the one that may have been meant.
func TestProviderSettings(t *testing.T) {
	p, at := newProviders(t)
	ctx, all := t.Context(), admin.Everything()
	im, err := p.Import(ctx, all, admin.NewProvider{Document: strings.NewReader(wikiMetadata)})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Save(ctx, all, im, at.event()); err != nil {
		t.Fatal(err)
	}
	after, err := p.Set(ctx, all, " "+wikiID+"\n", []admin.Change{{Key: "name", Value: "Wissen"},
		{Key: "groups+", Value: "cn=staff"}}, at.event())
	if err != nil || after.Name != "Wissen" || len(after.Groups) != 1 {
		t.Fatalf("%+v, %v", after, err)
	}
	_, err = p.Set(ctx, all, wikiID, []admin.Change{{Key: "name", Value: "Other"}, {Key: "sign", Value: "nothing"}},
		at.event())
	refusedWith(t, "one of two", err, "sign", admin.ListSettings)
	_, err = p.Set(ctx, all, wikiID, []admin.Change{{Key: "lifetime", Value: "2h"}}, at.event())
	refusedWith(t, "a lifetime that is too long", err, "lifetime", admin.ListSettings)
	_, err = p.Set(ctx, all, wikiID, []admin.Change{{Key: "acs", Value: "http://127.0.0.1:1/acs"}}, at.event())
	if e, ok := admin.AsError(err); !ok || !strings.Contains(e.Text(), "use https") {
		t.Errorf("an ACS in clear: %v", err)
	}
	if sp, err := p.Get(ctx, all, wikiID); err != nil || sp.Name != "Wissen" {
		t.Errorf("%+v, %v", sp, err)
	}
	_, err = p.Get(ctx, all, "https://wiki.example.test/Saml/")
	refusedWith(t, "nearly", err, "entity_id", admin.MeantProvider)
	if e, ok := admin.AsError(err); !ok || e.About != wikiID {
		t.Errorf("nearly: %v", err)
	}
	_, err = p.Set(ctx, all, "https://nobody.example", []admin.Change{{Key: "name", Value: "x"}}, at.event())
	refusedWith(t, "nobody", err, "entity_id", admin.ListProviders)
	events, err := p.Store.Audit().List(ctx, store.Filter{Action: "sp-set"})
	if err != nil || len(events) != 1 || !strings.Contains(string(events[0].Detail), "groups+") {
		t.Errorf("events %+v, %v", events, err)
	}
	if err := p.Remove(ctx, all, wikiID, at.event()); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, "removed before", p.Remove(ctx, all, wikiID, at.event()), "entity_id", admin.ListProviders)
}

// How a service provider stands: what stops sign-ins comes first.
func TestProviderStates(t *testing.T) {
	p, at := newProviders(t)
	ctx, all := t.Context(), admin.Everything()
	past, source := at.Add(-time.Hour), func(change func(*store.Source)) *store.Source {
		s := &store.Source{URL: "https://wiki.example.test/metadata"}
		change(s)
		return s
	}
	for _, c := range []struct {
		want string
		sp   store.ServiceProvider
	}{
		{admin.ProviderEnabled, store.ServiceProvider{Enabled: true}},
		{admin.ProviderDisabled, store.ServiceProvider{Source: source(func(s *store.Source) { s.ValidUntil = past })}},
		{admin.ProviderExpired, store.ServiceProvider{Enabled: true, Source: source(func(s *store.Source) {
			s.ValidUntil,
				s.Pending = past, []byte("x")
		})}},
		{admin.ProviderApproval, store.ServiceProvider{Enabled: true, Source: source(func(s *store.Source) {
			s.Pending,
				s.Fault = []byte("x"), "down"
		})}},
		{admin.ProviderRefreshFails, store.ServiceProvider{Enabled: true,
			Source: source(func(s *store.Source) { s.Fault = "down" })}},
	} {
		c.sp.EntityID, c.sp.Kind = "https://"+c.want+".example", store.PlainSAML
		if err := p.Store.ServiceProviders().Put(ctx, c.sp, store.Event{Action: "sp-add"}); err != nil {
			t.Fatal(err)
		}
		if sp, err := p.Get(ctx, all, c.sp.EntityID); err != nil || sp.State != c.want {
			t.Errorf("%s stands as %s, %v", c.sp.EntityID, sp.State, err)
		}
	}
}

// Changes that wait are approved as they were shown, and not otherwise.
func TestApproveProvider(t *testing.T) {
	p, at := newProviders(t)
	ctx, all := t.Context(), admin.Everything()
	im, err := p.Import(ctx, all, admin.NewProvider{Document: strings.NewReader(wikiMetadata)})
	if err != nil {
		t.Fatal(err)
	}
	wait := func(acs string) {
		t.Helper()
		sp := im.Record
		sp.Source = &store.Source{URL: "https://wiki.example.test/metadata", Pending: []byte(strings.ReplaceAll(wikiMetadata,
			"/acs", acs)), PendingAt: at.Time}
		if err := p.Store.ServiceProviders().Put(ctx, sp, store.Event{Action: "sp-add"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Save(ctx, all, im, at.event()); err != nil {
		t.Fatal(err)
	}
	_, err = p.Review(ctx, all, wikiID)
	refusedWith(t, "nothing waits", err, "", admin.ShowProvider)
	refusedWith(t, "approve nothing", p.Approve(ctx, all, wikiID, "", at.event()), "", admin.ShowProvider)
	wait("/acs2")
	shown, err := p.Review(ctx, all, wikiID)
	if err != nil || len(shown.Changes) == 0 || shown.Seen == "" {
		t.Fatalf("%+v, %v", shown, err)
	}
	wait("/evil")
	for what, seen := range map[string]string{"what was shown before": shown.Seen, "nothing that was shown": ""} {
		err := p.Approve(ctx, all, wikiID, seen, at.event())
		refusedWith(t, what, err, "", admin.ReviewProvider)
	}
	if sp, err := p.Get(ctx, all, wikiID); err != nil || sp.ACS[0].URL != "https://wiki.example.test/acs" {
		t.Fatalf("after the refusals %+v, %v", sp.ACS, err)
	}
	if shown, err = p.Review(ctx, all, wikiID); err != nil {
		t.Fatal(err)
	}
	// Both sides were looked at: with another address registered by now, another change would be approved.
	set := func(acs string) {
		t.Helper()
		if _, err := p.Set(ctx, all, wikiID, []admin.Change{{Key: "acs", Value: acs}}, at.event()); err != nil {
			t.Fatal(err)
		}
	}
	set("https://wiki.example.test/third")
	refusedWith(t, "against another record", p.Approve(ctx, all, wikiID, shown.Seen, at.event()), "", admin.ReviewProvider)
	if shown, err = p.Review(ctx, all, wikiID); err != nil || len(shown.Sides) == 0 || shown.Sides[0].Field != "acs" ||
		shown.Sides[0].Was[0].Text != "https://wiki.example.test/third" || !shown.Sides[0].Is[0].Changed {
		t.Fatalf("%+v, %v", shown.Sides, err)
	}
	if err := p.Approve(ctx, all, wikiID, shown.Seen, at.event()); err != nil {
		t.Fatal(err)
	}
	if sp, err := p.Get(ctx, all, wikiID); err != nil || sp.ACS[0].URL != "https://wiki.example.test/evil" ||
		sp.State != admin.ProviderEnabled {
		t.Errorf("approved %+v, %v", sp, err)
	}
}

// What names an import names both of its sides: with another address registered by now, something else is confirmed.
func TestImportNamesBothSides(t *testing.T) {
	p, at := newProviders(t)
	ctx, all := t.Context(), admin.Everything()
	read := func() admin.Import {
		t.Helper()
		im, err := p.Import(ctx, all, admin.NewProvider{Document: strings.NewReader(wikiMetadata), Replace: true})
		if err != nil {
			t.Fatal(err)
		}
		return im
	}
	first := read()
	if len(first.Sides) != 0 {
		t.Errorf("sides of a new one: %+v", first.Sides)
	}
	if err := p.Save(ctx, all, first, at.event()); err != nil {
		t.Fatal(err)
	}
	if im := read(); len(im.Sides) != 0 || im.Seen != read().Seen {
		t.Errorf("the same again: %+v", im.Sides)
	}
	var seen []string
	for _, acs := range []string{"https://wiki.example.test/old", "https://wiki.example.test/older"} {
		if _, err := p.Set(ctx, all, wikiID, []admin.Change{{Key: "acs", Value: acs}}, at.event()); err != nil {
			t.Fatal(err)
		}
		im := read()
		if len(im.Sides) == 0 || im.Sides[0].Was[0].Text != acs || im.Sides[0].Is[0].Text != "https://wiki.example.test/acs" {
			t.Fatalf("against %s: %+v", acs, im.Sides)
		}
		seen = append(seen, im.Seen)
	}
	if seen[0] == seen[1] {
		t.Error("changes of two different records have one name")
	}
}

// An import that ends that metadata is read again, or that its signature is checked, says so, and what is confirmed
// names it.
func TestImportSaysWhatItEnds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(wikiMetadata)) // whoever asked is gone
	}))
	defer server.Close()
	p, at := newProviders(t)
	p.AllowLoopbackHTTP = true
	p.Fetcher = metadata.NewFetcher(metadata.FetchOptions{AllowInternal: true, AllowLoopbackHTTP: true})
	ctx, all := t.Context(), admin.Everything()
	read := func(address string) admin.Import {
		t.Helper()
		n := admin.NewProvider{Address: address, Replace: true}
		if address == "" {
			n.Document = strings.NewReader(wikiMetadata)
		}
		im, err := p.Import(ctx, all, n)
		if err != nil {
			t.Fatal(err)
		}
		return im
	}
	reads := func(trustKey []byte) {
		t.Helper()
		if err := p.Store.ServiceProviders().Change(ctx, wikiID, func(sp *store.ServiceProvider) (store.Event, error) {
			sp.Source = &store.Source{URL: server.URL, TrustKey: trustKey}
			return at.event(), nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Save(ctx, all, read(""), at.event()); err != nil {
		t.Fatal(err)
	}
	plain, from := read(""), read(server.URL)
	says := func(what string, im, before admin.Import, want string) {
		t.Helper()
		said := strings.Join(im.Notes, "\n")
		if want == "" && (said != "" || im.Seen != before.Seen) {
			t.Errorf("%s: %q", what, said)
		}
		if !strings.Contains(said, want) || want != "" && im.Seen == before.Seen {
			t.Errorf("%s: %q, want %q and another name", what, said, want)
		}
	}
	says("a document over none", plain, plain, "")
	reads(nil)
	says("a document over an address", read(""), plain, "not read again from "+server.URL)
	says("the address again", read(server.URL), from, "")
	reads([]byte("a certificate"))
	says("the address without its key", read(server.URL), from, "had to be signed by")
}

// What of an import will fail is said before it is saved, with the act that fixes it, in every face the same (REAL-24).
func TestImportWarnings(t *testing.T) {
	p, at := newProviders(t)
	ctx, all := t.Context(), admin.Everything()
	described := func(attributes, inside string) string {
		return strings.NewReplacer(`entityID="https://wiki`, attributes+` entityID="https://wiki`,
			"</SPSSODescriptor>", inside+"</SPSSODescriptor>").Replace(wikiMetadata)
	}
	in := func(d time.Duration) string { return `validUntil="` + at.Add(d).Format(time.RFC3339) + `"` }
	asks := `<AttributeConsumingService index="0"><RequestedAttribute Name="mail" isRequired="true"/>` +
		`<RequestedAttribute Name="sn"/></AttributeConsumingService>`
	for _, c := range []struct {
		name string
		n    admin.NewProvider
		want admin.Act
	}{
		{"nothing", admin.NewProvider{Document: strings.NewReader(wikiMetadata)}, admin.NoAct},
		{"an end in two days", admin.NewProvider{Document: strings.NewReader(described(in(48*time.Hour), ""))},
			admin.IgnoreEnd},
		{"an end in two days that is ignored", admin.NewProvider{Document: strings.NewReader(described(in(48*time.Hour), "")),
			IgnoreEnd: true}, admin.NoAct},
		{"an end in a year", admin.NewProvider{Document: strings.NewReader(described(in(365*24*time.Hour), ""))},
			admin.NoAct},
		{"attributes that are required", admin.NewProvider{Document: strings.NewReader(described("", asks))},
			admin.ReleaseRequested},
		{"attributes that are released", admin.NewProvider{Document: strings.NewReader(described("", asks)),
			ReleaseRequested: true}, admin.NoAct},
		{"what is required released by name", admin.NewProvider{Document: strings.NewReader(described("", asks)),
			Settings: []admin.Change{{Key: "attributes+", Value: "mail={mail}"}}}, admin.NoAct},
		{"signatures without a certificate", admin.NewProvider{Document: strings.NewReader(strings.Replace(wikiMetadata,
			"<SPSSODescriptor", `<SPSSODescriptor AuthnRequestsSigned="true"`, 1))}, admin.AddCertificate},
	} {
		im, err := p.Import(ctx, all, c.n)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := admin.NoAct
		if len(im.Warnings) > 0 {
			got = im.Warnings[0].Act
		}
		if got != c.want || len(im.Warnings) > 1 {
			t.Errorf("%s: %+v, want %q", c.name, im.Warnings, c.want)
		}
	}
	im, err := p.Import(ctx, all, admin.NewProvider{Document: strings.NewReader(described(in(48*time.Hour), asks)),
		ReleaseRequested: true, IgnoreEnd: true})
	if err != nil || len(im.Record.Attributes) != 2 || im.Record.Attributes[1].Value != "{last_name}" ||
		im.Record.Source == nil || !im.Record.Source.NoEnd || !im.Record.Source.ValidUntil.IsZero() {
		t.Errorf("%+v, %v", im.Record, err)
	}
	if err := p.Save(ctx, all, im, at.event()); err != nil {
		t.Fatal(err)
	}
	at.Time = at.Add(72 * time.Hour)
	if sp, err := p.Get(ctx, all, wikiID); err != nil || sp.State != admin.ProviderEnabled {
		t.Errorf("after the end that is ignored: %s, %v", sp.State, err)
	}
}

// Without metadata a service provider has a name and an address (REAL-26).
func TestImportWithoutMetadata(t *testing.T) {
	p, at := newProviders(t)
	ctx, all := t.Context(), admin.Everything()
	bare := admin.NewProvider{EntityID: " crm ", ACS: "https://crm.example.test/acs", Name: "CRM"}
	im, err := p.Import(ctx, all, bare)
	if err != nil || im.Record.EntityID != "crm" || len(im.Record.ACS) != 1 || len(im.Record.Groups) != 0 ||
		im.Record.NameID != "{person_id}" || im.Record.Source != nil {
		t.Fatalf("%+v, %v", im.Record, err)
	}
	if err := p.Save(ctx, all, im, at.event()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		n     admin.NewProvider
		field string
		act   admin.Act
	}{
		{"a second time", bare, "entity_id", admin.ShowProvider},
		{"without a name", admin.NewProvider{ACS: bare.ACS}, "entity_id", admin.NoAct},
		{"with metadata", admin.NewProvider{EntityID: "x", ACS: bare.ACS, Document: strings.NewReader(wikiMetadata)}, "acs",
			admin.NoAct},
		{"what it asks for", admin.NewProvider{EntityID: "x", ACS: bare.ACS, ReleaseRequested: true}, "release_requested",
			admin.NoAct},
		{"read again", admin.NewProvider{EntityID: "x", ACS: bare.ACS, Every: time.Hour}, "every", admin.NoAct},
		{"an address that runs", admin.NewProvider{EntityID: "x", ACS: "javascript:alert(1)"}, "", admin.NoAct},
		{"a setting that is none", admin.NewProvider{EntityID: "x", ACS: bare.ACS,
			Settings: []admin.Change{{Key: "colour", Value: "red"}}}, "colour", admin.ListSettings},
	} {
		_, err := p.Import(ctx, all, c.n)
		refusedWith(t, c.name, err, c.field, c.act)
	}
}

// A change or removal of a service provider that is not as its changer has read it is refused in the transaction, and
// changes nothing.
func TestProviderAsRead(t *testing.T) {
	p, at := newProviders(t)
	ctx, all := t.Context(), admin.Everything()
	im, err := p.Import(ctx, all, admin.NewProvider{Document: strings.NewReader(wikiMetadata), Name: "Wiki",
		Groups: []string{"cn=staff"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Save(ctx, all, im, at.event()); err != nil {
		t.Fatal(err)
	}
	read, err := p.Get(ctx, all, wikiID)
	if err != nil {
		t.Fatal(err)
	}
	other := errors.New("it is not as it was read")
	asRead := func(now admin.Provider) error {
		if now.Name != read.Name {
			return other
		}
		return nil
	}
	// Somebody else changes it between the reading and the change.
	if _, err := p.Set(ctx, all, wikiID, []admin.Change{{Key: "name", Value: "Other"}}, at.event()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.SetIf(ctx, all, wikiID, asRead, []admin.Change{{Key: "name", Value: "Mine"}},
		at.event()); !errors.Is(err, other) {
		t.Errorf("a change of what was changed: %v", err)
	}
	if err := p.RemoveIf(ctx, all, wikiID, asRead, at.event()); !errors.Is(err, other) {
		t.Errorf("a removal of what was changed: %v", err)
	}
	if now, err := p.Get(ctx, all, wikiID); err != nil || now.Name != "Other" {
		t.Errorf("after the refusals: %+v, %v", now.Name, err)
	}
	read.Name = "Other"
	if _, err := p.SetIf(ctx, all, wikiID, asRead, []admin.Change{{Key: "name", Value: "Mine"}}, at.event()); err != nil {
		t.Error(err)
	}
	read.Name = "Mine"
	if err := p.RemoveIf(ctx, all, wikiID, asRead, at.event()); err != nil {
		t.Error(err)
	}
	err = p.RemoveIf(ctx, all, wikiID, asRead, at.event())
	refusedWith(t, "one that is gone", err, "entity_id", admin.ListProviders)
}
