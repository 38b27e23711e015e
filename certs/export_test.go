package certs

import "crypto"

// Through makes a signer that passes the slots of an Engine, whatever it signs by.
func Through(e *Engine, signer crypto.Signer) crypto.Signer {
	return &slotSigner{engine: e, private: signer}
}

// SignedBefore makes an Engine one that has made n signatures in each slot.
func SignedBefore(e *Engine, n uint64) {
	for i := range e.count {
		e.count[i] = n
	}
}
