package web_test

import (
	"io/fs"
	"os"
	"testing"
)

// All styles and scripts together stay small: somebody opens a sign-in page on a phone, once.
func TestAssetsAreSmall(t *testing.T) {
	const most = 200 << 10
	total := int64(0)
	err := fs.WalkDir(os.DirFS("assets"), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil || total == 0 || total > most {
		t.Errorf("%d bytes of assets, %v, want at most %d", total, err, most)
	}
}
