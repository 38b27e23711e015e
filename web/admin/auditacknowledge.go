package admin

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// maxReason bounds the reason of an acknowledgement, in characters.
const maxReason = 500

// AuditAcknowledgement is what an administrator says of a break of the audit log.
type AuditAcknowledgement struct {
	Entry  string // as the verification names the break: the number of an entry, or event:ID
	Digest []byte // of the break that was looked at; nil: whatever stands at Entry now
	Reason string
	// ConfirmedBy is the person who gave a second factor for it, where that is not who gives the acknowledgement.
	ConfirmedBy store.PersonID
}

// Acknowledge notes that a break of the audit log is known. Verification goes on past it from then on, as it stands
// there now: a change of it, and every other break, is found like before. The acknowledgement is signed, and stands in
// the audit log itself. event is of who gives it.
func (a Audit) Acknowledge(ctx context.Context, scope Scope, k AuditAcknowledgement, outside []store.Checkpoint,
	event store.Event) (store.AuditBreak, error) {
	if err := scope.whole(); err != nil {
		return store.AuditBreak{}, err
	}
	k.Reason = store.TrimTyped(k.Reason)
	switch n := utf8.RuneCountInString(k.Reason); {
	case n == 0:
		return store.AuditBreak{}, &Error{Field: "reason", Fault: "the reason is missing",
			Hint: "write how the break came about, for whoever verifies the audit log later"}
	case n > maxReason || !utf8.ValidString(k.Reason):
		return store.AuditBreak{}, &Error{Field: "reason", Fault: fmt.Sprintf("the reason has %d characters", n),
			Hint: fmt.Sprintf("write at most %d", maxReason)}
	}
	signing, err := a.Signing(ctx)
	if err != nil {
		return store.AuditBreak{}, err
	}
	v, err := a.Store.Audit().Verify(ctx, outside, signing.Holds)
	found, err := newVerification(v, err)
	switch {
	case err != nil:
		return store.AuditBreak{}, err
	case found.Break == nil && found.Tampered != "":
		return store.AuditBreak{}, &Error{Field: "entry", Fault: "this can't be acknowledged: " + found.Tampered,
			Hint: "verification rests on this record; put a backup of the database in its place"}
	case found.Break == nil:
		return store.AuditBreak{}, &Error{Kind: Missing, Field: "entry", Fault: "the audit log has no break that is not " +
			"acknowledged"}
	case found.Break.Name() != k.Entry:
		return store.AuditBreak{}, &Error{Kind: Changed, Field: "entry", Fault: fmt.Sprintf("the first break is %s and not "+
			"%s: %s", found.Break.Name(), plaintext.Quote(k.Entry), found.Break.What), Hint: "verify the audit log, and acknowledge " +
			"what it names"}
	case k.Digest != nil && !bytes.Equal(k.Digest, found.Break.Digest()):
		return store.AuditBreak{}, &Error{Kind: Changed, Field: "entry", Fault: "the break is another one than it was: " +
			found.Break.What, Hint: "verify the audit log again"}
	}
	event.Action, event.Subject, event.Outcome = "audit-acknowledge", "entry "+found.Break.Name(), "ok"
	detail := map[string]any{"what": found.Break.What, "reason": k.Reason,
		"digest": hex.EncodeToString(found.Break.Digest()), "parts": found.Break.Count()}
	if k.ConfirmedBy != "" {
		detail["confirmed_by"] = k.ConfirmedBy
	}
	event.Detail = store.DetailOf(detail)
	err = a.Store.Audit().Acknowledge(ctx, *found.Break, event.Actor, k.Reason, signing, event)
	if errors.Is(err, store.ErrConflict) {
		return store.AuditBreak{}, &Error{Kind: Changed, Field: "entry", Fault: "somebody else has acknowledged it at the " +
			"same time", Hint: "verify the audit log again", Err: err}
	}
	return *found.Break, err
}
