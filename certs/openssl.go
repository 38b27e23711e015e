//go:build openssl

package certs

/*
#cgo LDFLAGS: -lcrypto
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

// reason takes the calling thread's first OpenSSL error and forgets the others. Each
// function here clears the queue before it and reads it before it returns: Go may go on
// in another thread.
static unsigned long reason(void) {
	unsigned long e = ERR_peek_error();
	ERR_clear_error();
	return e == 0 ? 1 : e;
}

// ssobridge_load reads a PKCS #1 private key.
static EVP_PKEY *ssobridge_load(const unsigned char *der, long size, unsigned long *error) {
	ERR_clear_error();
	EVP_PKEY *key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &der, size);
	if (key == NULL) *error = reason();
	return key;
}

// ssobridge_sign makes an RSASSA-PKCS1-v1_5 signature of a digest; 0 is success. A
// context of its own for each call makes it safe on any number of threads.
static int ssobridge_sign(EVP_PKEY *key, const char *hash, const unsigned char *digest, size_t digest_size,
		unsigned char *out, size_t *size, unsigned long *error) {
	ERR_clear_error();
	int ok = 0;
	const EVP_MD *md = EVP_get_digestbyname(hash);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	if (md != NULL && ctx != NULL
			&& EVP_PKEY_sign_init(ctx) == 1
			&& EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1
			&& EVP_PKEY_CTX_set_signature_md(ctx, md) == 1
			&& EVP_PKEY_sign(ctx, out, size, digest, digest_size) == 1) ok = 1;
	if (!ok) *error = reason();
	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : 1;
}
*/
import "C"

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"
)

// opensslKey signs by OpenSSL's libcrypto. The C key is freed once nobody holds the Go one any more.
type opensslKey struct {
	public *rsa.PublicKey
	key    *C.EVP_PKEY
}

func accelerated(private *rsa.PrivateKey) (crypto.Signer, error) {
	der := x509.MarshalPKCS1PrivateKey(private)
	defer clear(der)
	var reason C.ulong
	key := C.ssobridge_load((*C.uchar)(unsafe.Pointer(unsafe.SliceData(der))), C.long(len(der)), &reason)
	runtime.KeepAlive(der)
	if key == nil {
		return nil, fmt.Errorf("load RSA key into OpenSSL: error %#x", uint64(reason))
	}
	public := private.PublicKey // a copy: a pointer into the private key would keep it in memory
	k := &opensslKey{public: &public, key: key}
	runtime.AddCleanup(k, func(key *C.EVP_PKEY) { C.EVP_PKEY_free(key) }, key)
	return k, nil
}

// Public is the public key.
func (k *opensslKey) Public() crypto.PublicKey { return k.public }

// opensslHashes are the digests that XML signatures and certificates of ours have.
var opensslHashes = map[crypto.Hash]string{crypto.SHA256: "SHA256", crypto.SHA384: "SHA384", crypto.SHA512: "SHA512"}

// Sign makes an RSASSA-PKCS1-v1_5 signature. PSS, which nothing here asks for, is refused rather than made in another way than asked.
func (k *opensslKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	hash := opts.HashFunc()
	name, known := opensslHashes[hash]
	if _, pss := opts.(*rsa.PSSOptions); pss || !known {
		return nil, fmt.Errorf("sign by OpenSSL: %T with %v is not offered", opts, hash)
	}
	if len(digest) != hash.Size() {
		return nil, errors.New("sign by OpenSSL: the digest does not have its hash's length")
	}
	hashName := append([]byte(name), 0)
	out := make([]byte, k.public.Size())
	size := C.size_t(len(out))
	var reason C.ulong
	failed := C.ssobridge_sign(k.key, (*C.char)(unsafe.Pointer(unsafe.SliceData(hashName))), (*C.uchar)(unsafe.Pointer(unsafe.SliceData(digest))),
		C.size_t(len(digest)), (*C.uchar)(unsafe.Pointer(unsafe.SliceData(out))), &size, &reason)
	runtime.KeepAlive(k)
	if failed != 0 || int(size) != len(out) {
		return nil, fmt.Errorf("sign by OpenSSL: error %#x", uint64(reason))
	}
	return out, nil
}

func engine() string { return C.GoString(C.OpenSSL_version(C.OPENSSL_VERSION)) }
