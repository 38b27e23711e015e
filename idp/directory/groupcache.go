package directory

import (
	"sync"
	"time"
)

// How long what was read about a group is used again. Ids and names hardly change. Which groups a group is in decides
// who gets a role, and a reading of a person is to be a minute old at most, so that is kept just long enough to serve a
// rush of sign-ins.
const (
	identityFresh = time.Minute
	parentsFresh  = 10 * time.Second
)

// maxCached bounds the cache; a full one is emptied.
const maxCached = 20_000

// groupCache keeps what many people's readings have in common. It never holds who is in a group.
type groupCache struct {
	now func() time.Time

	mu     sync.Mutex
	groups map[string]cached[Group]
	in     map[string]cached[[]Group]
	tokens map[sid]cached[tokenGroup]
	// primaries are the DNs of primary groups, of which there are few.
	primaries map[sid]cached[string]
	gids      map[string]cached[[]Group]
}

type cached[T any] struct {
	value T
	at    time.Time
}

func newGroupCache(now func() time.Time) groupCache {
	return groupCache{
		now: now, groups: map[string]cached[Group]{}, in: map[string]cached[[]Group]{},
		tokens: map[sid]cached[tokenGroup]{}, primaries: map[sid]cached[string]{},
		gids: map[string]cached[[]Group]{},
	}
}

// group is the group with this DN, with id and name and without a path.
func (c *groupCache) group(dn string) (Group, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return look(c.groups, dn, c.now(), identityFresh)
}

func (c *groupCache) keepGroup(g Group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep(c.groups, g.DN, g, c.now())
}

// parents are the groups that the group is directly in. The list belongs to the cache.
func (c *groupCache) parents(dn string) ([]Group, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return look(c.in, dn, c.now(), parentsFresh)
}

func (c *groupCache) keepParents(dn string, parents []Group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep(c.in, dn, parents, c.now())
}

// token is what is known of the group with this identifier.
func (c *groupCache) token(s sid) (tokenGroup, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return look(c.tokens, s, c.now(), identityFresh)
}

func (c *groupCache) keepToken(s sid, g tokenGroup) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep(c.tokens, s, g, c.now())
}

// primary is the DN of the group with this identifier, "" for one that can't be read.
func (c *groupCache) primary(s sid) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return look(c.primaries, s, c.now(), identityFresh)
}

func (c *groupCache) keepPrimary(s sid, dn string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep(c.primaries, s, dn, c.now())
}

// byGID are the POSIX groups with this number. The list belongs to the cache.
func (c *groupCache) byGID(gid string) ([]Group, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return look(c.gids, gid, c.now(), identityFresh)
}

func (c *groupCache) keepGID(gid string, groups []Group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep(c.gids, gid, groups, c.now())
}

func look[K comparable, T any](m map[K]cached[T], key K, now time.Time, fresh time.Duration) (value T, ok bool) {
	// A DN is a key as the server spells it: it spells one group in one way, and a miss costs only a reading.
	c, ok := m[key]
	if !ok || now.Sub(c.at) >= fresh {
		return value, false
	}
	return c.value, true
}

func keep[K comparable, T any](m map[K]cached[T], key K, value T, now time.Time) {
	if len(m) >= maxCached {
		clear(m)
	}
	m[key] = cached[T]{value, now}
}
