// Package provisioning turns mappings into assignments, decides who may pass to Constant Contact, and sees to it that
// each person who may pass has an SSO user there.
//
// [Service.Decide] is the gate of a sign-in. It reads the mappings and the ledger, stores the intention to create a
// missing SSO user, waits a moment for its outcome, and never calls Constant Contact itself. [Service.Run] is the
// worker: it takes intentions from the ledger, makes the calls within the budget, and stores the outcomes. Between the
// two stands only the store, so that they may run in different processes, and a crash at any point leaves a row that
// says how far it came.
//
// The rules that hold throughout (row API-03): an intention is stored before its call goes out, its outcome after. What
// may have arrived is only ever sent again with the very same data. For a (person, client account) there is one row,
// and no second, different user is created by itself.
//
// SAML, pages and sessions are left to the callers, the wire to partnerapi, SQL to store.
//
// Where to look, by topic:
//
//   - the gate: decide, decision, wait, access
//   - the worker: worker, attempt (one call), outcome (what its answer means), retry (when it is tried again), breaker,
//     capacity
//   - mappings: mapping*, nested, baseless; the rules themselves are in provisioning/mapping
//   - plans: plan*, apply
//   - users that are there already: knownusers, adopt*, import, moves, changeddata
//   - client accounts: account*, selfservice, webhooks
package provisioning
