package idp

import "ssobridge/store"

// Headline is why a sign-in did not go on, of its requests in the order in which they came: what the request with this
// reference was refused for, else the newest that was. What only came of something before, such as going back, gives
// way to that. ok is false where the sign-in was not stopped, or goes on.
func Headline(all []store.Trace, ref string) (w Why, ok bool) {
	newest := len(all) - 1
	for i, t := range all {
		if t.Ref == ref && t.Reason != "" {
			newest = i
		}
	}
	if newest < 0 || all[newest].Outcome == "ok" {
		return w, false
	}
	at := -1
	for i := newest; i >= 0 && all[i].Outcome != "ok"; i-- {
		if at < 0 && all[i].Reason != "" {
			at = i
		}
		if reason := Explained(all[i]).Reason; reason != "" && !yields(reason) {
			at = i
			break
		}
	}
	if at < 0 {
		return w, false
	}
	return Explained(all[at]), true
}

// Explained is why one request of a sign-in did not go on; its Reason is "" where it did.
func Explained(t store.Trace) Why {
	if t.Reason == "" {
		return Why{}
	}
	for _, s := range t.Steps {
		if s.Cause != "" {
			w := Why{Reason: t.Reason, Cause: s.Cause, Fix: s.Fix, Act: Act(s.Act), About: s.About}
			if yields(s.Reason) {
				w.Reason = s.Reason // the trace has that of the request before by now
			}
			return w
		}
	}
	return Why{Reason: t.Reason}.complete(t.SP, t.Person) // of a version that kept no causes
}

// yields tells whether a reason only says how a sign-in ended that something before it had stopped.
func yields(reason string) bool { return reason == ReasonCancelled || reason == ReasonWaiting }
