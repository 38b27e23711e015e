package main

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"

	"ssobridge/internal/testkind"
)

// touches is the first argument when the tests start themselves as a process that touches so much memory.
const touches = "__touches"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case measured:
			os.Exit(serveMeasured(os.Args[2:], os.Stderr))
		case touches:
			size, err := strconv.Atoi(os.Args[2])
			if err != nil {
				os.Exit(1)
			}
			touch(size)
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// touch has so many megabytes in memory.
func touch(megabytes int) {
	b := bytes.Repeat([]byte{1}, megabytes<<20)
	runtime.KeepAlive(b)
}

// COST-81: the memory of a command that is measured is the command's own, however much memory this process has.
func TestMemoryOfACommand(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	testkind.Starts(t, "itself")
	touch(400)
	// The race detector keeps up to four bytes for each that is touched.
	detector := 1.0
	if raceDetector {
		detector = 4
	}
	for _, c := range []struct{ touched, least, most float64 }{{1, 1, 150}, {200, 200, 150 + 200*detector}} {
		got, err := memoryOf(t.Context(), self, touches, strconv.Itoa(int(c.touched)))
		if err != nil {
			t.Fatal(err)
		}
		if got /= 1 << 20; got < c.least || got > c.most {
			t.Errorf("a command that touches %.0f MB: got %.0f MB, want %.0f to %.0f", c.touched, got, c.least, c.most)
		}
	}
	if _, err := memoryOf(t.Context(), self, touches, "no number"); err == nil {
		t.Error("a command that fails: want an error")
	}
	if _, err := memoryOf(t.Context(), self+"-missing"); err == nil {
		t.Error("a command that is not there: want an error")
	}
}
