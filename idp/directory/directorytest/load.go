package directorytest

import (
	"fmt"
	"io"
	"strings"
)

// LoadLogin is the login of the i-th of the people that SlapdOptions.People adds, from 0.
func LoadLogin(i int) string { return fmt.Sprintf("user%05d", i+1) }

// LoadGroup is the cn of the i-th of the groups that SlapdOptions.Groups adds, from 0.
func LoadGroup(i int) string { return fmt.Sprintf("team%05d", i+1) }

// LoadMembers says who is directly in the i-th of these groups: the numbers of people, and those of groups, -1 for
// none.
func (o SlapdOptions) LoadMembers(i int) (people []int, group int) {
	first, n := i*o.MembersPerGroup, o.MembersPerGroup
	if i == 0 && o.BigGroup > 0 {
		n = o.BigGroup
	}
	for j := range min(n, o.People) {
		people = append(people, (first+j)%o.People)
	}
	group = -1
	if o.NestDepth > 1 {
		switch place := i % o.NestDepth; {
		case place < o.NestDepth-1 && i+1 < o.Groups:
			group = i + 1
		case place > 0:
			group = i - 1
		}
	}
	return people, group
}

// inFirstGroup is how many of the people for load are in the first sample group.
func (o SlapdOptions) inFirstGroup() int {
	if o.Groups > 0 {
		return 0
	}
	return o.People
}

// loadLDIF is what slapadd loads: the sample people, the people for load, and the groups that these are in, with the
// memberOf that the overlay would have written had they been added to a running server.
func (s *Slapd) loadLDIF(o SlapdOptions) io.Reader {
	in, inGroup := make([][]int, o.People), make([][]int, o.Groups)
	for i := range o.Groups {
		people, group := o.LoadMembers(i)
		for _, p := range people {
			in[p] = append(in[p], i)
		}
		if group >= 0 {
			inGroup[group] = append(inGroup[group], i)
		}
	}
	memberOf := func(groups []int) (pairs []string) {
		for _, g := range groups {
			pairs = append(pairs, "memberOf", s.GroupDN(LoadGroup(g)))
		}
		return pairs
	}
	return io.MultiReader(strings.NewReader(s.peopleLDIF(o)),
		&records{n: o.People, write: func(b *strings.Builder, i int) {
			login := LoadLogin(i)
			s.person(b, Person{Login: login, FirstName: "User", LastName: login, Mail: login + "@example.test"},
				memberOf(in[i])...)
		}},
		&records{n: o.Groups, write: func(b *strings.Builder, i int) {
			people, group := o.LoadMembers(i)
			pairs := append([]string{"objectClass", "groupOfNames", "cn", LoadGroup(i)}, memberOf(inGroup[i])...)
			for _, p := range people {
				pairs = append(pairs, "member", s.PersonDN(LoadLogin(p)))
			}
			if group >= 0 {
				pairs = append(pairs, "member", s.GroupDN(LoadGroup(group)))
			}
			record(b, s.GroupDN(LoadGroup(i)), pairs...)
		}})
}

// records reads like n records, of which one is in memory.
type records struct {
	n, next int
	write   func(b *strings.Builder, i int)
	rest    string
}

func (r *records) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.next == r.n {
			return 0, io.EOF
		}
		var b strings.Builder
		r.write(&b, r.next)
		r.next++
		r.rest = b.String()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
