package main

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// event is what a traced process did to a file, or said to a client.
type event struct {
	kind       string // write, truncate, create, rename, remove, sync, said
	path, from string // from: of a rename
	at         int64  // of a write: the offset, or -1: at the end; of a truncate: the size
	data       []byte
	empty      bool // what is created is emptied when it is there
	began      int  // of a sync: the number of events that there were when it began
}

// traced are the calls that change what lies on a disk, by their names in strace.
const traced = "pwrite64,write,ftruncate,open,openat,renameat,renameat2,rename,unlink,unlinkat,fsync,fdatasync"

// straceArgs have strace write everything that it sees in hexadecimal, whole.
func straceArgs(trace string) []string {
	return []string{"-f", "-y", "-qq", "-xx", "-s", "4000000", "--seccomp-bpf", "-e", "trace=" + traced, "-e", "signal=none", "-o", trace}
}

var (
	callLine    = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>.*= (-?\d+)`)
	endOfCall   = regexp.MustCompile(`\) += (-?\d+)[^)]*$`)
	queued      = regexp.MustCompile(`250 2\.0\.0 Ok: queued as (\S+)`)
)

// readTrace reads what strace saw happen below a folder. A write counts from the
// moment in which it began, and an fsync from that in which it returned 0.
func readTrace(r io.Reader, folder string) (events []event, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	syncing := map[string]event{} // by thread
	for lines.Scan() {
		line := lines.Text()
		if m := resumedLine.FindStringSubmatch(line); m != nil {
			if e, ok := syncing[m[1]]; ok && m[3] == "0" {
				events = append(events, e)
			}
			delete(syncing, m[1])
			continue
		}
		m := callLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		end := endOfCall.FindStringSubmatch(m[3])
		unfinished := strings.HasSuffix(m[3], "<unfinished ...>")
		if !unfinished && (end == nil || strings.HasPrefix(end[1], "-")) {
			continue // it failed
		}
		e, ok, err := asEvent(m[2], m[3], folder)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %.200s", err, line)
		case !ok:
		case e.kind == "sync":
			e.began = len(events)
			if unfinished {
				syncing[m[1]] = e
				continue
			}
			events = append(events, e)
		default:
			events = append(events, e)
		}
	}
	return events, lines.Err()
}

// asEvent is one call with its arguments. ok is false when it is of no interest.
func asEvent(call, args, folder string) (e event, ok bool, err error) {
	a := arguments(args)
	e.kind = map[string]string{"pwrite64": "write", "ftruncate": "truncate", "unlink": "remove", "unlinkat": "remove", "fsync": "sync", "fdatasync": "sync"}[call]
	switch call {
	case "write":
		e.kind, e.at = "write", -1
		if e.data = a.text(1); queued.Match(e.data) {
			return event{kind: "said", data: e.data}, true, nil
		}
		e.path = a.of(0)
	case "pwrite64":
		e.path, e.data = a.of(0), a.text(1)
		e.at, err = strconv.ParseInt(a.plain(3), 10, 64)
	case "ftruncate":
		e.path = a.of(0)
		e.at, err = strconv.ParseInt(a.plain(1), 10, 64)
	case "fsync", "fdatasync":
		e.path = a.of(0)
	case "open", "openat":
		flags := a.plain(1)
		if e.path = string(a.text(0)); call == "openat" {
			e.path, flags = a.under(0), a.plain(2)
		}
		if !strings.Contains(flags, "O_CREAT") {
			return e, false, nil
		}
		e.kind, e.empty = "create", strings.Contains(flags, "O_TRUNC")
	case "unlinkat":
		e.path = a.under(0)
	case "renameat", "renameat2":
		e.kind, e.from, e.path = "rename", a.under(0), a.under(2)
	case "rename":
		e.kind, e.from, e.path = "rename", string(a.text(0)), string(a.text(1))
	case "unlink":
		e.path = string(a.text(0))
	}
	return e, strings.HasPrefix(e.path+"/", folder+"/"), err
}

// args are the arguments of a call as strace has written them.
type args []string

func arguments(s string) args {
	var all args
	depth, from := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '<', '(', '{', '[':
			depth++
		case '>', '}', ']':
			depth--
		case ',', ')':
			if depth == 0 {
				all = append(all, strings.TrimSpace(s[from:i]))
				from = i + 1
			} else if s[i] == ')' {
				depth--
			}
		}
	}
	return append(all, strings.TrimSpace(s[from:]))
}

func (a args) plain(i int) string {
	if i >= len(a) {
		return ""
	}
	return strings.TrimSpace(strings.TrimSuffix(a[i], "<unfinished ...>"))
}

// text is a string among them.
func (a args) text(i int) []byte {
	_, s, _ := strings.Cut(a.plain(i), `"`)
	s, _, _ = strings.Cut(s, `"`)
	return unhex(s)
}

// of is the path of an open file among them.
func (a args) of(i int) string {
	_, s, _ := strings.Cut(a.plain(i), "<")
	s, _, _ = strings.Cut(s, ">")
	return string(unhex(s))
}

// under is a path that begins in an open folder.
func (a args) under(i int) string {
	path := string(a.text(i + 1))
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(a.of(i), path)
}

// unhex reads \x2f\x74…
func unhex(s string) []byte {
	b := make([]byte, 0, len(s)/4)
	for len(s) >= 4 && s[:2] == `\x` {
		n, err := strconv.ParseUint(s[2:4], 16, 8)
		if err != nil {
			return b
		}
		b, s = append(b, byte(n)), s[4:]
	}
	return b
}
