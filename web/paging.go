package web

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"ssobridge/internal/plaintext"
)

// maxFind bounds what is searched for in a list, in bytes.
const maxFind = 200

// ListPart is one page of a list that was searched: of Total entries those from From to To are shown, counted from 1.
type ListPart struct {
	Find            string
	Total, From, To int
	Prev, Next      string // addresses; "" at the ends
}

// PartOf chooses a page of a list of total entries, size at a time. A page that does not exist is the nearest that
// does: addresses are written by hand, and lists get shorter. address makes the address of a page.
func PartOf(total, size int, page, find string, address func(page string) string) ListPart {
	n, err := strconv.Atoi(page)
	if err != nil && !strings.HasPrefix(page, "-") && page != "" && strings.Trim(page, "0123456789") == "" {
		n = total // a number beyond all bounds is the last page
	}
	pages := max(1, (total+size-1)/size)
	n = min(max(n, 1), pages)
	p := ListPart{Find: find, Total: total, From: (n-1)*size + 1, To: min(n*size, total)}
	if total == 0 {
		p.From = 0
	}
	if n > 1 {
		p.Prev = address(strconv.Itoa(n - 1))
	}
	if n < pages {
		p.Next = address(strconv.Itoa(n + 1))
	}
	return p
}

// CutPart gives the entries of a page.
func CutPart[T any](all []T, p ListPart) []T {
	if p.Total == 0 {
		return nil
	}
	return all[p.From-1 : p.To]
}

// Finder tells which texts have what is searched for, in any letter case. Nothing fits everything.
func Finder(find string) func(texts ...string) bool {
	wanted := strings.ToLower(find)
	return func(texts ...string) bool {
		for _, text := range texts {
			if strings.Contains(strings.ToLower(text), wanted) {
				return true
			}
		}
		return wanted == ""
	}
}

// SearchText is what somebody searches for, bounded and without blanks around it.
func SearchText(text string) string {
	return strings.TrimFunc(plaintext.Cut(text, maxFind), unicode.IsSpace)
}

// withQuery adds values to an address that has a query already. Empty ones are left out.
func withQuery(address string, values ...string) string {
	for i := 0; i+1 < len(values); i += 2 {
		if values[i+1] != "" {
			address += "&" + values[i] + "=" + url.QueryEscape(values[i+1])
		}
	}
	return address
}
