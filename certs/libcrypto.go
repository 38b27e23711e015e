//go:build cgo && (linux || darwin || freebsd)

package certs

/*
#cgo linux LDFLAGS: -ldl
#cgo noescape library_sign
#cgo nocallback library_sign
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Constants of OpenSSL's public headers, which are the same in every release since 3.0.
enum {
	init_load_config = 0x00000040, // OPENSSL_INIT_LOAD_CONFIG: openssl.cnf decides about providers, such as FIPS
	init_no_atexit = 0x00080000,   // OPENSSL_INIT_NO_ATEXIT
	type_rsa = 6,                  // EVP_PKEY_RSA
	pkcs1_padding = 1              // RSA_PKCS1_PADDING
};

typedef struct {
	unsigned (*version_major)(void);
	const char *(*version)(int);
	int (*init)(uint64_t, const void *);
	void (*clear)(void);
	unsigned long (*first_error)(void);
	void *(*read_key)(int, void **, const unsigned char **, long);
	void (*free_key)(void *);
	void *(*context)(void *, void *);
	void (*free_context)(void *);
	int (*sign_init)(void *);
	int (*padding)(void *, int);
	int (*digest)(void *, const void *);
	const void *(*sha256)(void);
	int (*sign)(void *, unsigned char *, size_t *, const unsigned char *, size_t);
} library;

typedef struct {
	void *key, *context;
} prepared;

// library_open loads a library and finds what is used of it. Without one of the functions it returns NULL and has
// called none of them. The library stays in memory in any case: one that has run must not be unloaded.
static library *library_open(const char *file, const char **missing) {
	*missing = NULL;
	void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) return NULL;
	library *l = calloc(1, sizeof *l);
	if (l == NULL) return NULL;
	const struct { const char *name; void *to; } all[] = {
		{"OPENSSL_version_major", &l->version_major}, // first: 1.1 and older have none
		{"OpenSSL_version", &l->version},
		{"OPENSSL_init_crypto", &l->init},
		{"ERR_clear_error", &l->clear},
		{"ERR_peek_error", &l->first_error},
		{"d2i_PrivateKey", &l->read_key},
		{"EVP_PKEY_free", &l->free_key},
		{"EVP_PKEY_CTX_new", &l->context},
		{"EVP_PKEY_CTX_free", &l->free_context},
		{"EVP_PKEY_sign_init", &l->sign_init},
		{"EVP_PKEY_CTX_set_rsa_padding", &l->padding},
		{"EVP_PKEY_CTX_set_signature_md", &l->digest},
		{"EVP_sha256", &l->sha256},
		{"EVP_PKEY_sign", &l->sign},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		void *found = dlsym(handle, all[i].name);
		if (found == NULL) {
			*missing = all[i].name;
			free(l);
			return NULL;
		}
		memcpy(all[i].to, &found, sizeof found);
	}
	return l;
}

static unsigned library_major(library *l) { return l->version_major(); }
static const char *library_version(library *l) { return l->version(0); }

// library_init must run before any function that initialises the library by itself: that one would register an atexit
// handler, which frees what other threads still sign with.
static int library_init(library *l) { return l->init(init_no_atexit | init_load_config, NULL) == 1; }

static unsigned long reason(library *l) {
	unsigned long e = l->first_error();
	l->clear();
	return e;
}

static void library_release(library *l, prepared *p) {
	if (p->context != NULL) l->free_context(p->context);
	if (p->key != NULL) l->free_key(p->key);
	p->context = p->key = NULL;
}

// library_prepare reads a PKCS #1 private key and prepares a context for RSASSA-PKCS1-v1_5 signatures of SHA-256
// digests with it. Both belong to one slot: no other thread uses them at the same time. Each function here clears the
// thread's queue of errors before, and reads it before it returns: Go may go on in another thread.
static int library_prepare(library *l, prepared *p, const unsigned char *der, long size, unsigned long *error) {
	l->clear();
	p->key = l->read_key(type_rsa, NULL, &der, size);
	if (p->key != NULL) p->context = l->context(p->key, NULL);
	if (p->context != NULL
			&& l->sign_init(p->context) == 1
			&& l->padding(p->context, pkcs1_padding) == 1
			&& l->digest(p->context, l->sha256()) == 1) return 1;
	*error = reason(l);
	library_release(l, p);
	return 0;
}

static int library_sign(library *l, prepared *p, const unsigned char *digest, size_t digest_size,
		unsigned char *out, size_t *size, unsigned long *error) {
	l->clear();
	if (l->sign(p->context, out, size, digest, digest_size) == 1) return 1;
	*error = reason(l);
	return 0;
}
*/
import "C"

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

// libcryptoFiles are the names under which the dynamic linker finds OpenSSL 3 and later.
func libcryptoFiles() []string {
	if runtime.GOOS == "darwin" {
		return []string{"libcrypto.3.dylib", "libcrypto.4.dylib"}
	}
	return []string{"libcrypto.so.3", "libcrypto.so.4"}
}

// libcrypto is OpenSSL's library, as it was found when the program runs. It is used through the EVP interface, by the
// default library context and the providers that the machine's configuration names.
type libcrypto struct {
	c       *C.library
	version string
}

// openLibcrypto loads the library from a file, or by a name that the dynamic linker looks up.
func openLibcrypto(file string) (*libcrypto, error) {
	name := C.CString(file)
	defer C.free(unsafe.Pointer(name))
	// dlerror is of the calling thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var missing *C.char
	c := C.library_open(name, &missing)
	switch {
	case c == nil && missing != nil && C.GoString(missing) == "OPENSSL_version_major":
		return nil, fmt.Errorf("%s is older than OpenSSL 3", file)
	case c == nil && missing != nil:
		return nil, fmt.Errorf("%s has no function %s", file, C.GoString(missing))
	case c == nil:
		if cause := C.dlerror(); cause != nil {
			return nil, errors.New(C.GoString(cause)) // it names the file
		}
		return nil, fmt.Errorf("%s can't be loaded", file)
	}
	if major := C.library_major(c); major < 3 {
		C.free(unsafe.Pointer(c))
		return nil, fmt.Errorf("%s is OpenSSL %d, and 3 or later is needed", file, major)
	}
	if C.library_init(c) != 1 {
		C.free(unsafe.Pointer(c))
		return nil, fmt.Errorf("%s can't be initialised: look at the machine's openssl.cnf", file)
	}
	version := strings.ToValidUTF8(C.GoString(C.library_version(c)), "?") // a metric's label has to be UTF-8
	return &libcrypto{c: c, version: fmt.Sprintf("%.80s", version)}, nil
}

// opensslKey is a copy of a private key with a context that is ready to sign. One goroutine uses it at a time.
type opensslKey struct{ c C.prepared }

// prepare makes a copy of the key, with a context.
func (l *libcrypto) prepare(private *rsa.PrivateKey) (*opensslKey, error) {
	der := x509.MarshalPKCS1PrivateKey(private)
	defer clear(der)
	k := &opensslKey{}
	var code C.ulong
	if C.library_prepare(l.c, &k.c, (*C.uchar)(unsafe.Pointer(unsafe.SliceData(der))), C.long(len(der)), &code) != 1 {
		return nil, fmt.Errorf("it does not take the key (OpenSSL error %#x)", uint64(code))
	}
	return k, nil
}

// sign makes an RSASSA-PKCS1-v1_5 signature of a SHA-256 digest. out is as long as the key's modulus.
func (l *libcrypto) sign(k *opensslKey, digest, out []byte) error {
	size := C.size_t(len(out))
	var code C.ulong
	if C.library_sign(l.c, &k.c, (*C.uchar)(unsafe.Pointer(unsafe.SliceData(digest))), C.size_t(len(digest)),
		(*C.uchar)(unsafe.Pointer(unsafe.SliceData(out))), &size, &code) != 1 {
		return fmt.Errorf("it makes no signature (OpenSSL error %#x)", uint64(code))
	}
	if int(size) != len(out) {
		return fmt.Errorf("its signature has %d bytes in place of %d", int(size), len(out))
	}
	return nil
}

// free gives the copy back. The library wipes it.
func (l *libcrypto) free(k *opensslKey) { C.library_release(l.c, &k.c) }
