package idp

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	bits "encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// A reference that a page shows leads to its trace. Past what requests may leave behind there is no trace: then the
// reference itself carries the minute and the reason, with a short MAC, so that whoever is asked for help still finds
// out what it was, and how many there were of it.
//
// It has 14 characters where others have 10: 28 bits for the minute, 8 for the reason, 34 for the MAC. A MAC that short
// is guessed once in 17,000 million tries, and all that is won by it is a reference that names a wrong reason.
//
// Minute and reason are not encrypted: whoever sees a reference can read them. An answer that must not tell why it
// refuses says so by Footprint.Alike.
const (
	codedReference = 14
	minuteBits     = 28
	reasonBits     = 8
	referenceBits  = 34

	referencePurpose = "reference"
)

// ReadAloud is Crockford's base32: no letters that are taken for digits.
var ReadAloud = base32.NewEncoding(readAloud).WithPadding(base32.NoPadding)

const readAloud = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// codes are the reasons that a reference can carry, by their number in it. New ones are put at the end: older
// references stay readable. 0 is for a reason that has no number.
var codes = append([]string{""}, strings.Fields(`
	method_not_allowed too_large bad_request unsigned_request signature_parameters signature_in_xml signature_form
	signature_algorithm no_signing_certificate bad_signature unknown_provider provider_disabled metadata_expired
	wrong_destination request_time replayed_request unknown_acs too_many_sign_ins no_encryption_key no_single_logout
	unknown_logout busy no_console_role no_second_factors no_provider choose_provider unknown_relay_state
	unknown_sign_in other_browser other_subject too_many_attempts directory_down unavailable bad_link bad_form
	stale_form no_cookies cross_origin wrong_host framed prefetched not_found too_slow internal console_session
	console_role console_twice cancelled version_too_high version_too_low unsupported_binding name_id_policy
	authn_context subject passive unknown_session encrypted_name waiting key_switch no_assignment not_this_account
	person_data may_not_create held_conflict refused_by_partner owner_unknown not_in_group account_closed
	user_suspended locked disabled expired password_expired must_change not_now not_here ambiguous bad_data
	second_factor_new second_factor_login name_id_taken answered bad_credentials revoked password_changed client_closed
	second_factor_wrong second_factor_invite second_factor_expired second_factor_many second_factor_last
	second_factor_unconfirmed store_down too_many_from_address logout_partial queued sending throttled quota unreachable
	credentials unknown_outcome
	launch_form launch_header launch_type launch_issuer launch_source_off launch_key launch_keys_down launch_algorithm
	launch_signature launch_audience launch_claims launch_lifetime launch_expired launch_future launch_used launch_person
	no_sources launch_late launch_factor
	password_short password_used password_young password_simple password_not_here password_differs
	launch_request launch_request_source launch_request_browser launch_request_used launch_request_late
	oidc_mix_up oidc_error oidc_no_login oidc_down oidc_code oidc_nonce oidc_at_hash oidc_tenant oidc_userinfo
	launch_signed_out oidc_groups
	moved_away move_lost moved_conflict may_not_order
`)...)

// maxCodes is how many numbers there are.
const maxCodes = 1 << reasonBits

// codeOf is the number of a reason, 0 for one that has none.
func codeOf(reason string) uint8 {
	return uint8(max(slices.Index(codes, reason), 0)) //nolint:gosec // G115: TestCodesFit: there are no more than maxCodes
}

// References makes and reads references that carry their reason.
type References struct{ sealer *certs.Sealer }

// NewReferences needs the secret keys.
func NewReferences(sealer *certs.Sealer) References { return References{sealer} }

// Coded is the reference for a reason at a moment.
func (r References) Coded(reason string, now time.Time) string {
	what := uint64(now.Unix()/60)<<reasonBits | uint64(codeOf(reason)) //nolint:gosec // G115: times before 1970 are none
	return writeReference(what, r.mac(r.sealer.KeyIDs()[0], what))
}

// CodedReason is what a reference carries.
type CodedReason struct {
	Minute time.Time
	Reason string // "": none that has a number
}

// Read tells what a reference carries. ok is false for one that carries nothing, or that was not made here.
func (r References) Read(ref string) (c CodedReason, ok bool) {
	what, mac, ok := splitReference(strings.ToUpper(ref))
	if !ok {
		return c, false
	}
	// The reference has no room to name its key: each known one is tried.
	if !slices.ContainsFunc(r.sealer.KeyIDs(), func(id certs.KeyID) bool {
		want := r.mac(id, what)
		return hmac.Equal(bits.BigEndian.AppendUint64(nil, want), bits.BigEndian.AppendUint64(nil, mac))
	}) {
		return c, false
	}
	c.Minute = time.Unix(int64(what>>reasonBits)*60, 0).UTC() //nolint:gosec // G115: 28 bits
	if code := int(what & (1<<reasonBits - 1)); code < len(codes) {
		c.Reason = codes[code]
	}
	return c, true
}

func (r References) mac(id certs.KeyID, what uint64) uint64 {
	key, _ := r.sealer.DeriveBy(id, referencePurpose) // known: it came from KeyIDs
	h := hmac.New(sha256.New, key)
	h.Write(bits.BigEndian.AppendUint64(nil, what))
	return bits.BigEndian.Uint64(h.Sum(nil)) >> (64 - referenceBits)
}

// writeReference puts the 70 bits into 14 characters: 36 of them in what, 34 in mac.
func writeReference(what, mac uint64) string {
	raw := make([]byte, 0, 9)
	// 72 bits: two empty ones stand behind the MAC, and the last character of 15 is left out with them.
	raw = bits.BigEndian.AppendUint32(raw, uint32(what>>4))                                      //nolint:gosec // G115: the upper 32 of 36 bits
	rest := (what&0xf)<<(referenceBits+2) | mac<<2                                               // 40 bits
	raw = append(raw, byte(rest>>32), byte(rest>>24), byte(rest>>16), byte(rest>>8), byte(rest)) //nolint:gosec // G115: byte by byte
	return ReadAloud.EncodeToString(raw)[:codedReference]
}

func splitReference(ref string) (what, mac uint64, ok bool) {
	if len(ref) != codedReference {
		return 0, 0, false
	}
	raw, err := ReadAloud.DecodeString(ref + "0")
	if err != nil || len(raw) != 9 {
		return 0, 0, false
	}
	rest := uint64(raw[4])<<32 | uint64(raw[5])<<24 | uint64(raw[6])<<16 | uint64(raw[7])<<8 | uint64(raw[8])
	what = uint64(bits.BigEndian.Uint32(raw))<<4 | rest>>(referenceBits+2)
	return what, rest >> 2 & (1<<referenceBits - 1), what>>(minuteBits+reasonBits) == 0
}

// CodedRequest is what is known of a request by a reference that carries its reason: what it was, and how many there
// were of it.
type CodedRequest struct {
	CodedReason
	ReasonText

	// that were refused for this reason between From and To, and only counted; 0: the count is not written (yet)
	Requests int64
	From, To time.Time // whole minutes
}

// RequestCounts finds how many requests were only counted; store.RequestCounts is it.
type RequestCounts interface {
	Around(ctx context.Context, reason string, minute time.Time) (store.RequestCount, error)
}

// AuditEvents finds events; store.Audit is it.
type AuditEvents interface {
	List(ctx context.Context, f store.Filter) ([]store.Event, error)
}

// plainReference is how long a reference is that carries nothing.
const plainReference = 10

// Find reads a reference, and finds how many requests there were like its own. One that carries nothing may stand in
// the audit: the event says why the request was refused, and where only its trace found no room, it was counted all the
// same. ok is false for a reference of which neither is known, or that was not made here: then nothing is looked for,
// so that made-up references cost nothing.
func (r References) Find(ctx context.Context, counts RequestCounts, audit AuditEvents, ref string) (q CodedRequest,
	ok bool, err error) {
	ref = strings.ToUpper(ref)
	if q.CodedReason, ok = r.Read(ref); ok {
		_, err = q.count(ctx, counts, q.Minute)
		return q, true, wrapReference(err, ref)
	}
	if len(ref) != plainReference || strings.Trim(ref, readAloud) != "" {
		return q, false, nil
	}
	events, err := audit.List(ctx, store.Filter{Ref: ref, Limit: 10})
	if err != nil {
		return q, false, wrapReference(err, ref)
	}
	for _, e := range events {
		if e.Outcome != "refused" || e.Reason == "" {
			continue
		}
		q.CodedReason = CodedReason{e.At.UTC().Truncate(time.Minute), e.Reason}
		// The event is written when the request is judged; it was counted where it began.
		for _, minute := range []time.Time{q.Minute, q.Minute.Add(-time.Minute)} {
			if ok, err = q.count(ctx, counts, minute); ok || err != nil {
				return q, ok, wrapReference(err, ref)
			}
		}
	}
	return CodedRequest{}, false, nil // its trace went by age
}

func wrapReference(err error, ref string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("look for the count of reference %.20q: %w", ref, err)
}

// count finds how many there were at a minute, and says whether any were counted then.
func (q *CodedRequest) count(ctx context.Context, counts RequestCounts, minute time.Time) (found bool, err error) {
	q.ReasonText = TextOf(q.Reason)
	n, err := counts.Around(ctx, q.Reason, minute)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Whole minutes around them: the reference itself knows no more.
	q.Requests, q.From, q.To = n.Requests, n.First.Truncate(time.Minute), n.Last.Truncate(time.Minute).Add(time.Minute)
	return true, nil
}

// Summary says it in a sentence.
func (q CodedRequest) Summary() string {
	what := "refused for " + cmp.Or(q.Reason, "a reason that is not recorded")
	if q.Reason == ReasonAnswered {
		what = "answered, not refused,"
	}
	if q.Requests == 0 {
		return fmt.Sprintf("A request %s at %s UTC. No count of such requests is recorded for that time.", what,
			q.Minute.UTC().Format(minuteLayout))
	}
	to := q.To.UTC().Format("15:04")
	if q.To.UTC().YearDay() != q.From.UTC().YearDay() {
		to = q.To.UTC().Format(minuteLayout)
	}
	which := "The only request"
	if q.Requests > 1 {
		which = "One of " + thousands(q.Requests) + " requests"
	}
	return fmt.Sprintf("%s %s between %s and %s UTC.", which, what, q.From.UTC().Format(minuteLayout), to)
}

const minuteLayout = "2006-01-02 15:04"

// thousands writes a number with a comma before each three digits.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// ReasonWords are the reasons that a reference can carry.
func ReasonWords() []string { return slices.Clone(codes[1:]) }
