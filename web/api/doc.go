// Package api is the REST API of the bridge: what programs may do, over the functions of web/admin.
//
// It is net/http alone, mounted by web under Path. Each route is an operation, with its scope, its input and its output
// as Go types; the OpenAPI document, the readable page and the checks of what comes in are made of these, so that they
// can't say different things. Within v1 changes only add (openapi.json, and its test).
//
// Whoever calls proves a token in the Authorization header. Cookies are never looked at and no header of CORS is ever
// sent, so that a browser can't be made to call it with somebody's rights. What a token may do is its scopes; which
// client accounts it may see is its confinement, which every function of web/admin takes as a parameter.
//
// It holds no rule of the bridge, and never shows a private key, a secret, or an assertion.
package api
