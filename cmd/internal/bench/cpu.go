package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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

func processorTimes(pid int) (own, ended time.Duration, err error) {
	st, err := readStat(pid)
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, nil
	}
	return st.own, st.ended, err
}

// stat is what /proc tells of a process.
type stat struct {
	parent     int
	kernel     bool          // a thread of the kernel
	own, ended time.Duration // processor time of the process, and of its children that have ended
}

// ofKernel is the flag of the kernel's own threads (PF_KTHREAD in linux/sched.h).
const ofKernel = 0x00200000

func readStat(pid int) (st stat, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return st, fmt.Errorf("read processor time: %w", err)
	}
	// The name of the program is in brackets and may hold anything; behind it are the state and the parent, the flags as
	// the 7th field, and the times as the 12th to the 15th (proc_pid_stat(5)).
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 15 {
		return st, errors.New("read processor time: /proc has something else")
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	if err == nil {
		st.kernel = flags&ofKernel != 0
		st.parent, err = strconv.Atoi(fields[1])
	}
	if err != nil {
		return st, fmt.Errorf("read processor time: %w", err)
	}
	if st.own, err = ticks(fields[11:13]); err == nil {
		st.ended, err = ticks(fields[13:15])
	}
	return st, err
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

// treeTime is the processor time so far of a process and its descendants, those that have ended included.
func treeTime(pid int) (sum time.Duration, err error) {
	st, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	sum = st.own + st.ended
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, child := range strings.Fields(string(children)) {
			pid, err := strconv.Atoi(child)
			if err != nil {
				return 0, fmt.Errorf("read processor time: %w", err)
			}
			t, err := treeTime(pid)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return 0, err
			}
			sum += t
		}
	}
	return sum, err
}

// bytesRead is what a process has read so far from files and connections, from memory or disk (rchar in
// proc_pid_io(5)).
func bytesRead(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, fmt.Errorf("count what is read: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "rchar: "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, errors.New("count what is read: /proc has something else")
}

// disturbance watches what other processes take of the processors meanwhile: where that is
// much, what is measured says little.
type disturbance struct {
	began   time.Time
	others  time.Duration
	helpers []int
	known   bool
}

// watch begins to watch. helpers are processes of ours that are not among our children.
func watch(helpers ...int) disturbance {
	others, err := othersTime(helpers)
	return disturbance{time.Now(), others, helpers, err == nil && others > 0}
}

func (b *bench) watch() disturbance { return watch(b.helpers...) }

// cores tells how many cores others used on average since watch, 0 where the kernel does not tell.
func (d disturbance) cores() float64 {
	others, err := othersTime(d.helpers)
	took := time.Since(d.began)
	if !d.known || err != nil || took <= 0 {
		return 0
	}
	return max(0, float64(others-d.others)/float64(took))
}

// share is the part of all processors that others had.
func (d disturbance) share() float64 { return d.cores() / float64(runtime.NumCPU()) }

// othersTime is the processor time so far of all processes but this one, its descendants, the helpers and theirs. The
// kernel's own threads don't count: what they do is mostly for us. Of a process that has ended the time is its
// parent's, so a sum over those that live loses nothing.
func othersTime(helpers []int) (sum time.Duration, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	all := map[int]stat{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // no process
		}
		if st, err := readStat(pid); err == nil && !st.kernel { // else it has ended
			all[pid] = st
		}
	}
	roots := append([]int{os.Getpid()}, helpers...)
	ours := func(pid int) bool {
		for range all { // no longer than any line of ancestors
			if slices.Contains(roots, pid) {
				return true
			}
			st, ok := all[pid]
			if !ok {
				return false
			}
			pid = st.parent
		}
		return false
	}
	for pid, st := range all {
		if !ours(pid) {
			sum += st.own + st.ended
		}
	}
	return sum, nil
}
