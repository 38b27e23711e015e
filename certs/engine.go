package certs

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"
)

// verifyEvery is how many signatures of OpenSSL are made between two that Go verifies. The first one of each copy of a
// key is verified as well.
const verifyEvery = 10_000

// EngineOptions are what an Engine is made of.
type EngineOptions struct {
	// Off leaves OpenSSL's libcrypto alone: Go signs.
	Off bool
	// Libraries are files, or names that the dynamic linker looks up, in the order in which they are tried. None: those
	// of OpenSSL 3 and later.
	Libraries []string
	// Slots is how many signatures are made at the same time. 0: as many as there are processors for this program.
	Slots int
	// Report records that libcrypto was given up, and why. Called by the signature that found it, and again by one a
	// minute later or more where it returns an error: it may take long, and people wait for those signatures. Nil: nobody
	// is interested.
	Report func(ctx context.Context, reason string) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Engine makes the signatures of keys that are held in memory: RSA by OpenSSL's libcrypto where the machine has one,
// everything else by Go. RSASSA-PKCS1-v1_5 has no randomness, so both give the same octets; OpenSSL takes about a third
// of the time. Its code is not trusted blindly: Go verifies the first signature of each copy of a key and one in ten
// thousand, and one that is wrong ends the use of the library for good.
//
// Signatures pass slots, first come first served: with more signatures at a time than processors, each one takes longer
// and none is done sooner. A slot has its own copy of each key, so that no lock is shared between processors.
type Engine struct {
	slots  chan int
	count  []uint64 // of signatures by libcrypto in each slot, touched by who has the slot
	report func(ctx context.Context, reason string) error

	library *libcrypto // nil: Go signs
	file    string
	why     string // Go signs from the start

	now      func() time.Time
	broken   atomic.Pointer[string] // why libcrypto was given up
	reported atomic.Bool
	again    atomic.Int64 // when a report that failed is tried again, in Unix nanoseconds
}

// EngineStatus says who makes RSA signatures.
type EngineStatus struct {
	Libcrypto bool   // else it is Go
	Version   string // of OpenSSL, as it names itself
	Library   string // that was loaded
	Reason    string // why it is Go
	Failed    bool   // libcrypto was in use and was given up: Reason says why
}

// String is the status in words.
func (s EngineStatus) String() string {
	if s.Libcrypto {
		return fmt.Sprintf("%s (%s)", s.Version, s.Library)
	}
	return fmt.Sprintf("Go %s (libcrypto: %s)", runtime.Version(), s.Reason)
}

// NewEngine makes an Engine. Without a library that can be used, Go signs.
func NewEngine(o EngineOptions) *Engine {
	n := o.Slots
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	e := &Engine{slots: make(chan int, n), count: make([]uint64, n), report: o.Report, now: o.Now}
	if e.now == nil {
		e.now = time.Now
	}
	for i := range n {
		e.slots <- i
	}
	if o.Off {
		e.why = "switched off"
		return e
	}
	files := o.Libraries
	if files == nil {
		files = libcryptoFiles()
	}
	e.why = "no library named"
	for i, file := range files {
		library, err := openLibcrypto(file)
		if err == nil {
			e.library, e.file, e.why = library, file, ""
			return e
		}
		if i == 0 { // the usual one: why the others are missing says less
			e.why = err.Error()
		}
	}
	return e
}

// Status says who makes RSA signatures now.
func (e *Engine) Status() EngineStatus {
	reason := e.broken.Load()
	switch {
	case e.library == nil:
		return EngineStatus{Reason: e.why}
	case reason != nil:
		return EngineStatus{Reason: *reason, Failed: true, Version: e.library.version, Library: e.file}
	}
	return EngineStatus{Libcrypto: true, Version: e.library.version, Library: e.file}
}

// Key returns the key with a signer that passes the Engine. A key that a token holds is returned as it is. A key so
// returned does not give its private key away.
func (e *Engine) Key(k *Key) *Key {
	s := &slotSigner{engine: e, private: k.Signer}
	switch private := k.Signer.(type) {
	case *rsa.PrivateKey:
		if e.library != nil {
			s.rsa, s.copies = private, make([]*opensslKey, cap(e.slots))
			// What must be freed is kept apart from s, or it would keep s alive.
			runtime.AddCleanup(s, func(copies []*opensslKey) {
				for _, c := range copies {
					if c != nil {
						e.library.free(c)
					}
				}
			}, s.copies)
		}
	case *ecdsa.PrivateKey:
	default:
		return k
	}
	through := *k
	through.Signer = s
	return &through
}

// Sign makes a signature with any signer. Where it passes the slots of an Engine, it waits as long as ctx allows.
func Sign(ctx context.Context, signer crypto.Signer, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s, ok := signer.(*slotSigner); ok {
		return s.sign(ctx, rand.Reader, digest, opts)
	}
	return signer.Sign(rand.Reader, digest, opts)
}

// slotSigner signs with a key in memory, in a slot of its Engine.
type slotSigner struct {
	engine  *Engine
	private crypto.Signer
	rsa     *rsa.PrivateKey // the same; nil: libcrypto does not sign with it
	copies  []*opensslKey   // by slot, made when they are needed; each belongs to who has the slot
}

// Public is the public key.
func (s *slotSigner) Public() crypto.PublicKey { return s.private.Public() }

// Sign is crypto.Signer's. It waits for a slot as long as it takes.
func (s *slotSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.sign(context.Background(), random, digest, opts)
}

func (s *slotSigner) sign(ctx context.Context, random io.Reader, digest []byte,
	opts crypto.SignerOpts) ([]byte, error) {
	var slot int
	// Go serves the receivers of a channel in the order in which they came.
	select {
	case slot = <-s.engine.slots:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a slot to sign: %w", ctx.Err())
	}
	signature, fault, err := s.inSlot(slot, random, digest, opts)
	if fault != nil {
		s.engine.giveUp(fault)
	}
	s.engine.tell(ctx)
	return signature, err
}

// inSlot makes the signature, and gives the slot to the next one whatever comes of it.
func (s *slotSigner) inSlot(slot int, random io.Reader, digest []byte, opts crypto.SignerOpts) (_ []byte,
	fault, err error) {
	defer func() { s.engine.slots <- slot }()
	signature, fault := s.byLibcrypto(slot, digest, opts)
	if signature != nil {
		return signature, nil, nil
	}
	if signature, err = s.private.Sign(random, digest, opts); err != nil {
		return nil, fault, fmt.Errorf("sign: %w", err)
	}
	return signature, fault, nil
}

// byLibcrypto makes the signature by libcrypto. None and no fault: it is not one that libcrypto makes here. With a
// fault Go has to make it, and libcrypto is not to be asked again.
func (s *slotSigner) byLibcrypto(slot int, digest []byte, opts crypto.SignerOpts) (signature []byte, fault error) {
	e := s.engine
	if s.rsa == nil || e.broken.Load() != nil || len(digest) != crypto.SHA256.Size() {
		return nil, nil
	}
	// The one kind that is prepared, and that is asked for here. PSS options are of a type of their own.
	if hash, plain := opts.(crypto.Hash); !plain || hash != crypto.SHA256 {
		return nil, nil
	}
	check := e.count[slot]%verifyEvery == 0
	e.count[slot]++
	key := s.copies[slot]
	if key == nil {
		var err error
		if key, err = e.library.prepare(s.rsa); err != nil {
			return nil, err
		}
		s.copies[slot], check = key, true
	}
	signature = make([]byte, s.rsa.Size())
	err := e.library.sign(key, digest, signature)
	runtime.KeepAlive(s) // or its copies could be freed meanwhile
	if err != nil {
		return nil, err
	}
	if check && rsa.VerifyPKCS1v15(&s.rsa.PublicKey, crypto.SHA256, digest, signature) != nil {
		// It must not leave: of a faulty signature the private key can be worked out.
		return nil, errors.New("a signature of its is wrong")
	}
	return signature, nil
}

// giveUp ends the use of libcrypto for as long as the program runs. The first reason stays.
func (e *Engine) giveUp(fault error) {
	reason := fault.Error()
	e.broken.CompareAndSwap(nil, &reason)
}

// reportPause lies between a report that failed and the next one.
const reportPause = time.Minute

// tell reports once that libcrypto was given up. A report that fails is tried again with a signature after the pause.
func (e *Engine) tell(ctx context.Context) {
	reason := e.broken.Load()
	if reason == nil || e.report == nil || e.reported.Load() || e.now().UnixNano() < e.again.Load() ||
		!e.reported.CompareAndSwap(false, true) {
		return
	}
	if err := e.report(ctx, *reason); err != nil {
		e.again.Store(e.now().Add(reportPause).UnixNano())
		e.reported.Store(false)
	}
}
