package admin

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"ssobridge/provisioning"
	"ssobridge/store"
)

// KnownUser is a user that exists at Constant Contact already.
type KnownUser = provisioning.KnownUser

// AdoptionItem is what would become of a KnownUser.
type AdoptionItem = provisioning.AdoptionItem

// Adoption is what would become of users that exist at Constant Contact already.
type Adoption struct {
	Items  []AdoptionItem
	Faults int      // items that can't be taken
	Left   []*Error // lines of a file that can't be read, and are left out
	Seen   string   // names what was shown: what is stored must be what was shown
}

// ReadAdoption reads a file of known users (CSV with a header line: person_id or login, account, and where wanted
// external_id, login_name, role and state), and looks up what would become of each. Nothing is stored. A line that
// can't be read refuses the file; with leaveOut it is left out, and named in Left.
func (u Users) ReadAdoption(ctx context.Context, s Scope, file io.Reader, leaveOut bool) (Adoption, error) {
	return u.readAdoption(ctx, s, file, leaveOut, 0)
}

// ReadSmallAdoption is ReadAdoption of a file of at most so many lines: one with more is refused before anything is
// looked up.
func (u Users) ReadSmallAdoption(ctx context.Context, s Scope, file io.Reader, most int) (Adoption, error) {
	return u.readAdoption(ctx, s, file, false, most)
}

func (u Users) readAdoption(ctx context.Context, s Scope, file io.Reader, leaveOut bool, most int) (Adoption, error) {
	if err := s.whole(); err != nil {
		return Adoption{}, err
	}
	known, wrong, err := provisioning.ReadKnownUserLines(file)
	if err != nil || len(wrong) > 0 && !leaveOut {
		return Adoption{}, refusal(fmt.Errorf("read known users: %w", errors.Join(append(wrong, err)...)))
	}
	if most > 0 && len(known) > most {
		return Adoption{}, &Error{Field: "file", Fault: fmt.Sprintf("it has %d lines, and %d are taken at a time",
			len(known), most), Hint: "send it in parts"}
	}
	a, err := u.adoption(ctx, known)
	for _, one := range wrong {
		a.Left = append(a.Left, fieldErrors(one)...)
	}
	return a, err
}

func (u Users) adoption(ctx context.Context, known []KnownUser) (a Adoption, err error) {
	if a.Items, err = u.Provisioning.PreviewAdoption(ctx, known); err != nil {
		return a, refusal(err)
	}
	for _, one := range a.Items {
		if one.Fault != "" {
			a.Faults++
		}
	}
	a.Seen = seenValues(a.Items)
	return a, nil
}

// Adopt stores the users of an adoption that have no fault, and counts what became of them.
func (u Users) Adopt(ctx context.Context, s Scope, a Adoption, actor string) (map[store.Adoption]int, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	if a.Faults == len(a.Items) {
		return nil, &Error{Field: "file", Fault: "no line can be taken",
			Hint: "correct the file by what stands beside each line"}
	}
	done, err := u.Provisioning.AdoptUsers(ctx, a.Items, actor)
	if err != nil {
		return nil, refusal(err)
	}
	counts := map[store.Adoption]int{}
	for _, one := range done {
		if one.Outcome != "" {
			counts[one.Outcome]++
		}
	}
	return counts, nil
}

// AdoptOne takes one user of a person that exists at Constant Contact already.
func (u Users) AdoptOne(ctx context.Context, s Scope, known KnownUser, actor string) (store.Adoption, error) {
	a, err := u.adoption(ctx, []KnownUser{known})
	if err != nil {
		return "", err
	}
	if a.Faults == 0 {
		if err := s.account(a.Items[0].User.Account); err != nil {
			return "", err
		}
		if a.Items, err = u.Provisioning.AdoptUsers(ctx, a.Items, actor); err != nil {
			return "", refusal(err)
		}
	}
	one := a.Items[0]
	if one.Fault != "" {
		return "", &Error{Fault: one.Fault}
	}
	if AdoptionSkips(one.Outcome) {
		return one.Outcome, &Error{Kind: Changed, Fault: AdoptionText(one.Outcome)}
	}
	return one.Outcome, nil
}

// importLease is the lease of whoever imports users for a program: one does so at a time, on whichever replica.
const importLease = "import-users"

// BeginImport takes the turn to import users for a program, for at most the time that is given; ok is false while
// another import runs. end gives it back.
func (u Users) BeginImport(ctx context.Context, s Scope, atMost time.Duration) (end func() error, ok bool, err error) {
	if err := s.whole(); err != nil {
		return nil, false, err
	}
	holder := rand.Text()
	ok, err = u.Store.Leases().Take(ctx, importLease, holder, atMost)
	if err != nil || !ok {
		return nil, false, err
	}
	return func() error {
		// Also where the request is over: else nobody could import until the lease runs out.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseEnds)
		defer cancel()
		return u.Store.Leases().Release(limited, importLease, holder)
	}, true, nil
}

// leaseEnds bounds giving the lease back.
const leaseEnds = 5 * time.Second

// Import puts an export of the ledger back, and counts what became of its lines. Lines without faults are stored also
// where others have some.
func (u Users) Import(ctx context.Context, s Scope, file io.Reader, actor string) (map[store.Adoption]int, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	counts, err := u.Provisioning.ImportUsers(ctx, file, actor)
	return counts, refusal(err)
}

// adoptionTexts are the outcomes in the order in which people read them.
var adoptionTexts = []struct {
	outcome store.Adoption
	text    string
	skips   bool
}{
	{store.Adopted, "new in the ledger", false},
	{store.Changed, "was in the ledger without a user; now has the imported one", false},
	{store.Confirmed, "confirmed", false},
	{store.Unchanged, "already known", false},
	{store.TakenPerson, "skipped: the person has another user in this account", true},
	{store.TakenID, "skipped: the external id or login name belongs to another person", true},
	{store.TakenCase, "skipped: the external id differs from another user's only in letter case", true},
	{store.MovedAway, "skipped: the person was moved to a source of people, and comes by another id", true},
	{store.NotAdoptable, "skipped: can't be stored", true},
	{provisioning.NotCreated, "skipped: never created", true},
}

// AdoptionText says what became of a known user.
func AdoptionText(o store.Adoption) string {
	for _, one := range adoptionTexts {
		if one.outcome == o {
			return one.text
		}
	}
	return string(o)
}

// AdoptionSkips tells whether an outcome left a user out.
func AdoptionSkips(o store.Adoption) bool {
	for _, one := range adoptionTexts {
		if one.outcome == o {
			return one.skips
		}
	}
	return true // of a later version
}

// AdoptionCount is how many known users had one outcome.
type AdoptionCount struct {
	Outcome store.Adoption
	Count   int
	Text    string
}

// AdoptionCounts puts counts in the order in which people read them.
func AdoptionCounts(counts map[store.Adoption]int) (all []AdoptionCount) {
	place := func(o store.Adoption) int {
		for i, one := range adoptionTexts {
			if one.outcome == o {
				return i
			}
		}
		return len(adoptionTexts)
	}
	for _, o := range slices.SortedFunc(maps.Keys(counts), func(a, b store.Adoption) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
	}) {
		if n := counts[o]; n > 0 {
			all = append(all, AdoptionCount{o, n, AdoptionText(o)})
		}
	}
	return all
}

// AdoptionWho is whom a line of a file names, as it is written there.
func AdoptionWho(k KnownUser) string { return cmp.Or(k.Login, k.Person) }
