package certs

import "crypto/rsa"

// Accelerate returns the key with the fastest signer that this program has for it: OpenSSL's for an RSA key in memory in a program that was built
// with the tag openssl, else the key as it is. The signatures are the same (RSASSA-PKCS1-v1_5 has no
// randomness), in about a third of the time at 2048 bits. A key so returned does not give its private key away.
func Accelerate(k *Key) (*Key, error) {
	private, ok := k.Signer.(*rsa.PrivateKey)
	if !ok {
		return k, nil
	}
	signer, err := accelerated(private)
	if err != nil || signer == nil {
		return k, err
	}
	fast := *k
	fast.Signer = signer
	return &fast, nil
}

// Engine names what signs with RSA keys in memory: "Go", or OpenSSL with its version.
func Engine() string { return engine() }
