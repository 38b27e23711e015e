// Package saml reads, verifies, builds, signs and encrypts SAML 2.0 messages. It is the hardened part of the identity
// provider and is reviewed alone: values go in, values come out.
//
// What comes from outside is read strictly and within bounds, once, by one parser (ReadParameters, ReadAuthnRequest,
// ReadLogout). What a message says is had from Verify alone: a signed message is read from the very octets that its
// signature covers. What leaves is written in exclusive canonical form at once, signed by a Signer and encrypted for a
// Recipient.
//
// The package leaves to others: which service providers there are, which requests are answered and how, replay, the
// store, the clock and randomness (all are handed in), HTTP responses.
//
// It must never accept a signature by an algorithm that is not on its list, hand out what was not verified as if it had
// been, write a value from outside as markup, or fetch anything.
package saml
