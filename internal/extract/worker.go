package extract

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"openmail"
)

// worker is a child process.
type worker struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	dir    string
	killed atomic.Bool
	mu     sync.Mutex
	ended  bool // it is being waited for: its number may soon be another's
}

// startTime is how long a child may take until it is ready.
const startTime = 10 * time.Second

// start starts a child. It must be ended.
func (p *Pool) start(ctx context.Context) (*worker, error) {
	w, err := p.inNowhere(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, w.kill)
	defer stop()
	late := time.AfterFunc(startTime, w.kill)
	defer late.Stop()
	ready, err := w.out.ReadByte()
	if err != nil {
		return nil, fmt.Errorf("a child did not start: %w", errors.Join(err, w.end()))
	}
	p.ready(ctx, Confinement(ready))
	return w, nil
}

// inNowhere starts a child in a new, empty folder that is gone as soon as it
// runs: nothing can be made there, and nothing is left if we die.
func (p *Pool) inNowhere(ctx context.Context) (*worker, error) {
	dir, err := os.MkdirTemp("", "openmail-extract-")
	if err != nil {
		return nil, err
	}
	w := &worker{dir: dir}
	if err := errors.Join(os.Chmod(dir, 0o711), p.run(ctx, w)); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	if err := os.Remove(dir); err != nil {
		return nil, errors.Join(err, w.end())
	}
	return w, nil
}

// run starts the process as far apart as this system lets it.
func (p *Pool) run(ctx context.Context, w *worker) error {
	for {
		level := separation(p.level.Load())
		err := w.run(p.c, level)
		if level >= sameProcess || !refused(err) {
			return err
		}
		p.c.Logger.InfoContext(ctx, "extract.less_apart", "level", int(level), "error", err)
		p.level.CompareAndSwap(int32(level), int32(level)+1)
	}
}

// refused reports whether the system does not let us, now or ever.
func refused(err error) bool {
	for _, no := range []error{syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.ENOSPC, syscall.ENOSYS} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// ready notes what a child can do without, and logs it when that is new.
func (p *Pool) ready(ctx context.Context, c Confinement) {
	if before := p.confined.Swap(int32(c) + 1); before != int32(c)+1 {
		p.c.Logger.InfoContext(ctx, "extract.confined", "no_network", c&NoNetwork != 0, "no_files", c&NoFiles != 0)
	}
}

// run starts the process.
func (w *worker) run(c Config, level separation) error {
	told, err := json.Marshal(order{CPU: uint64(c.CPU / time.Second), Memory: c.Memory, Tools: c.Tools})
	if err != nil {
		return err
	}
	w.cmd = exec.Command(c.Program, Command, string(told))
	w.cmd.Env, w.cmd.Dir, w.cmd.SysProcAttr = []string{}, w.dir, level.attributes()
	w.cmd.WaitDelay = time.Second
	var out io.Reader
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return err
	}
	if out, err = w.cmd.StdoutPipe(); err != nil {
		return err
	}
	w.out = bufio.NewReader(out)
	return w.cmd.Start()
}

// errLate is the error of a child that was ended because its time was up.
const errLate = broken("the time is up")

// read has the child read one file, for that long. After an error it is of no
// more use.
func (w *worker) read(ctx context.Context, f File, within time.Duration) (openmail.Extracted, error) {
	stop := context.AfterFunc(ctx, w.kill)
	defer stop()
	late := time.AfterFunc(within, w.kill)
	defer late.Stop()
	e, err := w.exchange(f)
	if err != nil && w.killed.Load() {
		return e, errLate
	}
	return e, err
}

func (w *worker) exchange(f File) (openmail.Extracted, error) {
	if err := writeFile(w.in, fileHeader{f.Filename, f.ContentType, f.Size}, f.Open()); err != nil {
		return openmail.Extracted{}, err
	}
	return readExtracted(w.out)
}

func (w *worker) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killed.Store(true)
	if !w.ended {
		killAll(w.cmd.Process.Pid)
	}
}

// end ends the child and what it started, waits for it, and says how it ended.
func (w *worker) end() error {
	_ = w.in.Close() // its reader may be gone
	w.kill()
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	return w.cmd.Wait()
}

// session reads the files of one sender, one after the other, in a child that
// is replaced when it fails.
type session struct {
	p       *Pool
	account string
	w       *worker
}

// read reads one file.
func (s *session) read(ctx context.Context, f File, within time.Duration) openmail.Extracted {
	if s.w == nil {
		w, err := s.p.start(ctx)
		if err != nil {
			return s.p.notStarted(ctx, err)
		}
		s.w = w
	}
	e, err := s.w.read(ctx, f, within)
	if err == nil && f.kind.valid(e) {
		return e
	}
	ended := s.end()
	s.p.slots.blame(s.account)
	if errors.Is(err, errLate) {
		return openmail.Extracted{Method: openmail.ExtractionTimeout}
	}
	s.p.c.Logger.WarnContext(ctx, "extract.failed", "account", s.account, "method", string(f.kind.method()), "ended", fmt.Sprint(ended))
	return openmail.Extracted{Method: f.kind.fault()}
}

func (s *session) end() error {
	if s.w == nil {
		return nil
	}
	w := s.w
	s.w = nil
	return w.end()
}

// notStarted is what becomes of a file when no child starts.
func (p *Pool) notStarted(ctx context.Context, err error) openmail.Extracted {
	if ctx.Err() != nil {
		return openmail.Extracted{Method: openmail.ExtractionTimeout}
	}
	p.c.Logger.ErrorContext(ctx, "extract.no_child", "error", err)
	return openmail.Extracted{Method: openmail.ExtractionFailed}
}
