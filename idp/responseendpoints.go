package idp

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"ssobridge/idp/metadata"
	"ssobridge/idp/netname"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// responseEndpoints are where a Response goes and what it says about that (row SP-04).
//
// They come from the record and the assertion consumer service (ACS):
//
//	action       FormAction, else the ACS; the only one that may carry a
//	             RelayState in its query
//	recipient    Recipient, else the ACS without a RelayState in its query
//	destination  Destination, else the recipient
//	audience     Audience, else the SP's entityID
//
// The first three overrides name one address, so they hold for the default ACS.
// A request that asks for another registered ACS gets that one, in all three.
//
// A RelayState goes into a form field. Only that of a launch goes into the query
// of the form action instead, where the record says so: a request's must come
// back as a field (saml-bindings 3.5.3). A RelayState that the record's own
// address has in its query stays there when there is none to send, and gives way
// to one that is: two RelayStates would be read by chance.
type responseEndpoints struct {
	action      string
	destination string
	recipient   string
	audience    string
	field       *string // RelayState as a form field
}

// responseEndpoints for a Response to acs. launch tells whether relayState is ours.
func (sp *serviceProvider) responseEndpoints(acs string, relayState *string, launch bool) responseEndpoints {
	a := responseEndpoints{
		action:    acs,
		recipient: withoutRelayState(acs),
		audience:  cmp.Or(sp.Audience, sp.EntityID),
	}
	if main, ok := sp.defaultACS(); ok && main.URL == acs {
		a.action = cmp.Or(sp.FormAction, acs)
		a.recipient = cmp.Or(sp.Recipient, a.recipient)
		a.destination = sp.Destination
	}
	a.destination = cmp.Or(a.destination, a.recipient)
	switch {
	case relayState == nil:
	case launch && sp.RelayStateIn == "query":
		a.action = withRelayState(withoutRelayState(a.action), *relayState)
	default:
		a.action = withoutRelayState(a.action)
		a.field = relayState
	}
	return a
}

// defaultACS is the one that Responses go to unless a request asks for another.
func (sp *serviceProvider) defaultACS() (store.Endpoint, bool) { return metadata.DefaultACS(sp.ACS) }

// acsFor finds the ACS that a request asks for (row REQ-14). Only what stands in
// the record can ever be the outcome, in the record's spelling. unmet, when set, is for a status: the
// request is understood and its answer has a place to go, yet not as it wishes.
func (sp *serviceProvider) acsFor(r *saml.AuthnRequest) (acs string, unmet *Why, bad *saml.Fault) {
	main, ok := sp.defaultACS()
	if !ok {
		return "", nil, newFault(ReasonUnknownACS, http.StatusBadRequest,
			"the service provider has no assertion consumer service with the HTTP-POST binding", "register one")
	}
	// Index and URL exclude each other (saml-core 3.4.1). Products send both all the same: taken where they agree.
	named := sp.ACS
	if r.ACSIndex != nil {
		named = matching(named, func(e store.Endpoint) bool { return e.Index == *r.ACSIndex })
	}
	byIndex := named
	if r.ACSURL != "" {
		named = matching(named, func(e store.Endpoint) bool { return saml.SameAddress(e.URL, r.ACSURL) })
	}
	takesPOST := matching(named, func(e store.Endpoint) bool { return e.Binding == saml.BindingPost })
	switch asks := r.ACSIndex != nil || r.ACSURL != ""; {
	case asks && len(named) == 0 && r.ACSIndex != nil && r.ACSURL != "" && len(byIndex) > 0:
		return "", nil, newFault(ReasonUnknownACS, http.StatusBadRequest,
			fmt.Sprintf("AssertionConsumerServiceIndex %d is %.200q on record, and AssertionConsumerServiceURL is %.200q",
				*r.ACSIndex, byIndex[0].URL, r.ACSURL), "send one of the two, or let them agree")
	case asks && len(named) == 0:
		return "", nil, sp.unknownACS(r)
	case asks && len(takesPOST) == 0:
		return main.URL, &Why{Reason: ReasonBinding,
			Cause: fmt.Sprintf("the assertion consumer service asked for, %.200q, has the binding %s on record, and Responses "+
				"are sent by HTTP-POST alone", named[0].URL, bindingWord(named[0].Binding)),
			Fix: "let the service provider ask for an assertion consumer service with the HTTP-POST binding"}, nil
	}
	acs = main.URL
	if len(takesPOST) > 0 && (r.ACSIndex != nil || r.ACSURL != "") {
		acs = takesPOST[0].URL
	}
	if r.Binding != "" && r.Binding != saml.BindingPost {
		return acs, &Why{Reason: ReasonBinding, Cause: fmt.Sprintf("ProtocolBinding asks for %s, and Responses are sent by "+
			"HTTP-POST alone", bindingWord(r.Binding))}, nil
	}
	return acs, nil, nil
}

func matching(all []store.Endpoint, fits func(store.Endpoint) bool) (some []store.Endpoint) {
	for _, e := range all {
		if fits(e) {
			some = append(some, e)
		}
	}
	return some
}

// bindingWord is what a binding is called in a sentence.
func bindingWord(uri string) string {
	if word, known := strings.CutPrefix(uri, saml.BindingPrefix); known && len(word) < 40 {
		return word
	}
	return fmt.Sprintf("%.120q", uri)
}

// unknownACS says which assertion consumer service was asked for, and which are on record.
func (sp *serviceProvider) unknownACS(r *saml.AuthnRequest) *saml.Fault {
	asked := fmt.Sprintf("%.200q", r.ACSURL)
	if r.ACSIndex != nil {
		asked = fmt.Sprintf("index %d", *r.ACSIndex)
	}
	var known []string
	for _, e := range sp.ACS {
		if len(known) == 5 {
			known = append(known, "…")
			break
		}
		one := fmt.Sprintf("%.200q", e.URL)
		if r.ACSIndex != nil {
			one = fmt.Sprintf("%d is %s", e.Index, one)
		}
		known = append(known, one)
	}
	return newFault(ReasonUnknownACS, http.StatusBadRequest,
		"the request names an assertion consumer service that is not registered: asked for "+asked+"; on record: "+
			strings.Join(known, ", "),
		"compare the two letter by letter; if the service provider has moved, import its metadata again or add the address "+
			"to acs in its record")
}

// mayReceive is the last look at a form action before a Response leaves: it must
// be a registered address of this service provider, but for a RelayState in its
// query. It works from the record alone, not from how the action came about.
func (sp *serviceProvider) mayReceive(action string) error {
	bare := withoutRelayState(action)
	if err := netname.CheckAddress(bare, true); err != nil {
		return fmt.Errorf("form action of service provider %s: %w", sp.EntityID, err)
	}
	for _, e := range sp.ACS {
		if e.Binding == saml.BindingPost && withoutRelayState(e.URL) == bare {
			return nil
		}
	}
	if sp.FormAction != "" && withoutRelayState(sp.FormAction) == bare {
		return nil
	}
	return fmt.Errorf("form action of service provider %s is not registered", sp.EntityID)
}

// withoutRelayState takes RelayState out of an address's query and leaves every
// other byte as it is.
func withoutRelayState(address string) string {
	path, query, has := strings.Cut(address, "?")
	if !has {
		return address
	}
	var kept []string
	removed := false
	for pair := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(key); err == nil && name == "RelayState" {
			removed = true
			continue
		}
		kept = append(kept, pair)
	}
	switch {
	case !removed:
		return address
	case len(kept) == 0:
		return path
	}
	return path + "?" + strings.Join(kept, "&")
}

// withRelayState adds a RelayState to an address's query.
func withRelayState(address, relayState string) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + "RelayState=" + url.QueryEscape(relayState)
}
