// A stand-in for OpenSSL's libcrypto that does what FAULT says. It is strict about one thing: nothing is called before
// OPENSSL_init_crypto was asked to register no atexit handler, but for the version.
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#define NONE 0
#define OLD 1
#define MAJOR 2
#define MISSING 3
#define INIT 4
#define KEY 5
#define CONTEXT 6
#define DIGEST 7
#define SIGN 8
#define WRONG 9
#define SHORT 10
#define LATER 11
#define FEW 1000000 // no more than 30 keys at a time

static int ready, alive;
static void *real(const char *name) {
	static void *handle;
	if (handle == NULL) handle = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
	return handle == NULL ? NULL : dlsym(handle, name);
}

#if FAULT != OLD
unsigned OPENSSL_version_major(void) { return FAULT == MAJOR ? 2 : 3; }
#endif
const char *OpenSSL_version(int t) { return "Stand-in \xff 3.9"; }
int OPENSSL_init_crypto(uint64_t options, const void *settings) {
	ready = (options & 0x00080000) != 0;
	if (FAULT >= LATER) ((int (*)(uint64_t, const void *))real("OPENSSL_init_crypto"))(options, settings);
	return ready && FAULT != INIT;
}
void ERR_clear_error(void) {}
unsigned long ERR_peek_error(void) { return ready ? 0x1234 : 0xdead; }
void *d2i_PrivateKey(int type, void **to, const unsigned char **der, long size) {
	if (FAULT == FEW && __atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST) > 30) return NULL;
	if (FAULT >= LATER) return ((void *(*)(int, void **, const unsigned char **, long))real("d2i_PrivateKey"))(type, to, der, size);
	return FAULT == KEY || !ready ? NULL : &ready;
}
void EVP_PKEY_free(void *key) {
	if (FAULT == FEW) __atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
	if (FAULT >= LATER) ((void (*)(void *))real("EVP_PKEY_free"))(key);
}
void *EVP_PKEY_CTX_new(void *key, void *engine) {
	if (FAULT >= LATER) return ((void *(*)(void *, void *))real("EVP_PKEY_CTX_new"))(key, engine);
	return FAULT == CONTEXT ? NULL : &ready;
}
void EVP_PKEY_CTX_free(void *context) {
	if (FAULT >= LATER) ((void (*)(void *))real("EVP_PKEY_CTX_free"))(context);
}
int EVP_PKEY_sign_init(void *context) {
	return FAULT >= LATER ? ((int (*)(void *))real("EVP_PKEY_sign_init"))(context) : 1;
}
int EVP_PKEY_CTX_set_rsa_padding(void *context, int padding) {
	return FAULT >= LATER ? ((int (*)(void *, int))real("EVP_PKEY_CTX_set_rsa_padding"))(context, padding) : 1;
}
int EVP_PKEY_CTX_set_signature_md(void *context, const void *digest) {
	if (FAULT == DIGEST) return -2;
	return FAULT >= LATER ? ((int (*)(void *, const void *))real("EVP_PKEY_CTX_set_signature_md"))(context, digest) : 1;
}
const void *EVP_sha256(void) { return FAULT >= LATER ? ((const void *(*)(void))real("EVP_sha256"))() : &ready; }
#if FAULT != MISSING
// After LATER signatures that are right, each one has a wrong bit.
int EVP_PKEY_sign(void *context, unsigned char *out, size_t *size, const unsigned char *digest, size_t digest_size) {
	static int made;
	if (FAULT >= LATER) {
		int (*sign)(void *, unsigned char *, size_t *, const unsigned char *, size_t) = real("EVP_PKEY_sign");
		int done = sign(context, out, size, digest, digest_size);
		if (made++ >= FAULT) out[*size - 1] ^= 1;
		return done;
	}
	if (FAULT == SIGN) return 0;
	memset(out, 0x42, *size);
	if (FAULT == SHORT) *size -= 1;
	return 1;
}
#endif
