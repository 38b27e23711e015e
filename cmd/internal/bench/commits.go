package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"ssobridge/idp/directory/directorytest"
)

// commits are the durable commits in a write-ahead log, in the order in which they
// were made, since the log was begun anew. It is counted in the file itself, whatever
// the program says of it: each commit ends with a frame that tells the size of the
// database (https://www.sqlite.org/fileformat2.html, section 4), and with
// synchronous FULL each such frame was flushed to the disk.
func commits(database string) (n int, log uint64, err error) {
	f, err := os.Open(database + "-wal")
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	var head [32]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return 0, 0, fmt.Errorf("read the write-ahead log: %w", err)
	}
	page := int64(binary.BigEndian.Uint32(head[8:]))
	log = binary.BigEndian.Uint64(head[16:]) // the two salts
	for at := int64(len(head)); ; at += 24 + page {
		var frame [24]byte
		switch _, err := f.ReadAt(frame[:], at); {
		case errors.Is(err, io.EOF):
			return n, log, nil
		case err != nil:
			return 0, 0, fmt.Errorf("read the write-ahead log: %w", err)
		}
		if binary.BigEndian.Uint64(frame[8:]) != log {
			return n, log, nil // left from before the log was begun anew
		}
		if binary.BigEndian.Uint32(frame[4:]) != 0 {
			n++
		}
	}
}

// commitsOf counts the commits while something is done. It is tried again where the
// log was begun anew meanwhile.
func commitsOf(database string, do func() error) (int, error) {
	for range 10 {
		before, log, err := commits(database)
		if err != nil {
			return 0, err
		}
		if err := do(); err != nil {
			return 0, err
		}
		after, same, err := commits(database)
		if err != nil {
			return 0, err
		}
		if same == log {
			return after - before, nil
		}
	}
	return 0, errors.New("the write-ahead log is begun anew all the time")
}

// measureCommits counts with one visitor alone: under load several sign-ins share
// a commit, and the figure would flatter.
func (b *bench) measureCommits(ctx context.Context) error {
	br, err := b.mainBridge(ctx)
	if err != nil {
		return err
	}
	c, err := dial(ctx, br.address)
	if err != nil {
		return err
	}
	defer c.close()
	v := &visitor{br: br, c: c}
	if _, err := v.signIn(directorytest.LoadLogin(0)); err != nil {
		return err
	}
	const times = 40
	for _, what := range []struct {
		name   string
		figure figure
		do     func() (answer, error)
	}{
		{"a launch", launchCommits, v.launch},
		{"a fresh sign-in", freshCommits, func() (answer, error) { return v.signIn(directorytest.LoadLogin(1)) }},
	} {
		// The bridge's background work commits too, at moments of its own: it is in the mean and not in the median.
		var each []float64
		sum := 0.0
		for range times {
			n, err := commitsOf(br.database(), func() error {
				_, err := what.do()
				return err
			})
			if err != nil {
				return fmt.Errorf("count commits: %w", err)
			}
			each, sum = append(each, float64(n)), sum+float64(n)
		}
		b.report.figure(what.figure, median(each, func(n float64) float64 { return n }))
		b.report.note(fmt.Sprintf("commits %s, background work included, mean of %d", what.name, times), "%.2f", sum/times)
	}
	return nil
}
