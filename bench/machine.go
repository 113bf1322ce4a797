package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is where and when a proof ran.
type machine struct {
	Time       time.Time `json:"time"`
	CPUs       int       `json:"cpus"`
	Kernel     string    `json:"kernel"`
	Fsyncs     float64   `json:"fsyncs_per_s"` // one writer that appends 4 KiB
	LoadBefore float64   `json:"load1_before"`
	LoadAfter  float64   `json:"load1_after"`
}

func (m machine) String() string {
	return fmt.Sprintf("%d CPUs, Linux %s, %s fsyncs/s, load %.1f before and %.1f after",
		m.CPUs, m.Kernel, number(m.Fsyncs), m.LoadBefore, m.LoadAfter)
}

// lookAround describes the machine and the disk that dir lies on.
func lookAround(dir string) (machine, error) {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m := machine{
		Time: time.Now().UTC().Truncate(time.Second), CPUs: runtime.NumCPU(),
		Kernel: strings.TrimSpace(string(kernel)), LoadBefore: loadAverage(),
	}
	var err error
	m.Fsyncs, err = fsyncRate(dir, time.Second)
	return m, err
}

// fsyncRate appends blocks of 4 KiB, each with its fdatasync.
func fsyncRate(dir string, during time.Duration) (float64, error) {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	start := time.Now()
	for n := 1; ; n++ {
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, os.NewSyscallError("fdatasync", err)
		}
		if took := time.Since(start); took >= during {
			return float64(n) / took.Seconds(), nil
		}
	}
}

// loadAverage is that of the last minute; 0 when the system does not tell.
func loadAverage() float64 {
	data, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(data), " ")
	v, _ := strconv.ParseFloat(one, 64)
	return v
}

// residentKB is the memory of a process.
func residentKB(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(l, "VmRSS:"); ok {
			return strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
		}
	}
	return 0, fmt.Errorf("process %d tells no VmRSS", pid)
}

func randomSeed() uint64 { return rand.Uint64N(1_000_000) }

// progress is one line that changes, on a terminal only.
type progress struct{ w io.Writer }

func newProgress(f *os.File) *progress {
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{io.Discard}
	}
	return &progress{f}
}

func (p *progress) say(format string, args ...any) {
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
}

func (p *progress) done() { fmt.Fprint(p.w, "\r\x1b[K") }
