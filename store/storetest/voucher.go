package storetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// Voucher is a store.Voucher for tests: its text is the key.
type Voucher string

// MAC is an HMAC over purpose and fields, kept apart by their lengths.
func (v Voucher) MAC(purpose string, fields ...[]byte) []byte {
	h := hmac.New(sha256.New, []byte(string(v)))
	for _, field := range append([][]byte{[]byte(purpose)}, fields...) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(field))))
		h.Write(field)
	}
	return h.Sum(nil)
}

// CheckMAC compares with what MAC makes.
func (v Voucher) CheckMAC(mac []byte, purpose string, fields ...[]byte) error {
	if !hmac.Equal(mac, v.MAC(purpose, fields...)) {
		return errors.New("the MAC does not hold")
	}
	return nil
}
