package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit in which Linux tells the processor time of a process. It is
// a hundredth of a second on every architecture that Go knows.
const clockTick = 10 * time.Millisecond

// processorTime is what a process has used so far. Other work on the machine makes a
// program slower, yet its processor time hardly grows: so this is the steadier measure
// of what a launch costs. Where the kernel tells none it is 0, without an error.
func processorTime(pid int) (time.Duration, error) {
	own, _, err := processorTimes(pid)
	return own, err
}

// processorTimes also tells what its children had used that have ended.
func processorTimes(pid int) (own, ended time.Duration, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read processor time: %w", err)
	}
	// The name of the program is in brackets and may hold anything; the times are the
	// 12th to 15th field behind it (proc_pid_stat(5)).
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 15 {
		return 0, 0, errors.New("read processor time: /proc tells something else")
	}
	if own, err = ticks(fields[11:13]); err == nil {
		ended, err = ticks(fields[13:15])
	}
	return own, ended, err
}

func ticks(fields []string) (sum time.Duration, err error) {
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		sum += time.Duration(n) * clockTick
	}
	return sum, nil
}

// meter tells the processor time that a process uses between two readings.
type meter struct {
	pid     int
	started bool
	used    time.Duration
}

// read is called when counting begins and again when it ends.
func (m *meter) read() error {
	t, err := processorTime(m.pid)
	if m.started {
		m.used += t
	} else {
		m.used -= t
	}
	m.started = !m.started
	return err
}

// disturbance watches what other work takes of the processors meanwhile: where that is
// much, what is measured says little.
type disturbance struct {
	began           time.Time
	everybody, ours time.Duration
	known           bool
}

func watch() disturbance {
	everybody, ours, err := usage()
	return disturbance{time.Now(), everybody, ours, err == nil && everybody > 0}
}

// share is the part of all processors that others had since watch, 0 where the
// kernel does not tell.
func (d disturbance) share() float64 {
	everybody, ours, err := usage()
	all := time.Since(d.began) * time.Duration(runtime.NumCPU())
	if !d.known || err != nil || all <= 0 {
		return 0
	}
	return max(0, float64(everybody-d.everybody-(ours-d.ours))/float64(all))
}

// usage is the processor time of everybody since the machine started, and that of this
// process with its children, which are the bridges and the directory.
func usage() (everybody, ours time.Duration, err error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0, errors.New("read processor time: /proc tells something else")
	}
	// user, nice and system; then idle and waiting, which are nobody's; then
	// interrupts and what the machine below took (proc_stat(5)).
	if everybody, err = ticks(append(fields[1:4:4], fields[6:9]...)); err != nil {
		return 0, 0, err
	}
	own, ended, err := processorTimes(os.Getpid())
	if err != nil {
		return 0, 0, err
	}
	ours = own + ended
	lists, err := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, child := range strings.Fields(string(children)) {
			pid, err := strconv.Atoi(child)
			if err != nil {
				return 0, 0, fmt.Errorf("read processor time: %w", err)
			}
			t, err := processorTime(pid)
			if err != nil {
				return 0, 0, err
			}
			ours += t
		}
	}
	return everybody, ours, err
}
