package backups

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
)

// Backups are sealed by age rather than by HPKE of the standard library: HPKE has no format for files, so that a backup
// could be opened by this program alone. age has a published one that other programs write and read, in pieces that are
// authenticated one by one and in their order, and the private key can be kept where this program never runs.

// maxIdentities bounds what is read of a file with private keys.
const maxIdentities = 64 << 10

// sealer seals to public keys.
type sealer struct{ to []age.Recipient }

// newSealer reads recipients such as age1…; nil without any.
func newSealer(texts []string) (*sealer, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	s := &sealer{}
	for _, text := range texts {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			// The text is not shown: it may be the private key.
			return nil, &RecipientError{}
		}
		s.to = append(s.to, r)
	}
	return s, nil
}

// RecipientError says that a text is no public key of age.
type RecipientError struct{}

func (*RecipientError) Error() string {
	return "that is no public key of age: it begins with age1, and age-keygen prints it"
}

// CheckRecipients tells whether these can be sealed to.
func CheckRecipients(texts []string) error {
	_, err := newSealer(texts)
	return err
}

func (s *sealer) seal(into io.Writer, from io.Reader) error {
	w, err := age.Encrypt(into, s.to...)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if _, err := io.Copy(w, from); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return w.Close()
}

// Unseal opens a sealed backup into a new file, for its owner alone. identities is a file of age-keygen. A file that
// was cut off or changed is an error, and nothing is left of it.
func Unseal(from, identities, into string) (err error) {
	keys, err := os.Open(identities)
	if err != nil {
		return fmt.Errorf("read the private key: %w", err)
	}
	all, err := age.ParseIdentities(io.LimitReader(keys, maxIdentities))
	if err := errors.Join(err, keys.Close()); err != nil {
		return fmt.Errorf("read the private key in %s: it is no file of age-keygen", identities)
	}
	sealed, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	defer func() { err = errors.Join(err, sealed.Close()) }()
	plain, err := age.Decrypt(bufio.NewReader(sealed), all...)
	if err != nil {
		return fmt.Errorf("open the sealed backup %s: %w", from, err)
	}
	out, err := os.OpenFile(into, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the opened backup: %w", err)
	}
	_, err = io.Copy(out, plain)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(fmt.Errorf("open the sealed backup %s: %w", from, err), os.Remove(into))
	}
	return nil
}
