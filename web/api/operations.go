package api

import "slices"

// operations are all routes, in the order in which the page shows them.
func operations() []operation {
	return slices.Concat(statusOperations(), accountOperations(), selfOrderOperations(), mappingOperations(),
		peopleOperations(),
		userOperations(), planOperations(), sessionOperations(), factorOperations(), providerOperations(), keyOperations(),
		noticeOperations(), auditOperations())
}
