// Package certs makes, loads and checks the keys that sign SAML messages, and seals what must be kept secret at rest.
//
// It knows keys, certificates and ciphertext, nothing else: where they are stored, which key is in use and who is
// warned is decided by its callers. It never writes a private key or a secret anywhere, and no type here prints one.
//
// A key need not be held in memory: [FromSigner] takes any crypto.Signer, such as one on a hardware token.
package certs
