package extract

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"

	"openmail"
	"openmail/internal/mime"
)

// Config is what a Pool needs.
type Config struct {
	Program   string        // the program to start: one that calls Child
	Processes int           // at a time; 0: as many as there are processors, but two at least
	Memory    uint64        // bytes that a child may use; 0: DefaultMemory
	CPU       time.Duration // of processor time for a child, in whole seconds; 0: DefaultCPU
	Tools     Tools
	Logger    *slog.Logger
	// Observe is told of every file that was, or was not, read, and how long
	// that took; nil for nobody.
	Observe func(openmail.Extraction, time.Duration)
}

// What a child may use.
const (
	DefaultMemory = 512 << 20
	DefaultCPU    = time.Minute
)

// Itself is this program, for one that calls Child. Any other must not start
// itself as its own child.
func Itself() (string, error) {
	if itself != "" {
		return itself, nil
	}
	return os.Executable()
}

// FindTools looks for the programs of others where this process finds programs.
func FindTools() Tools {
	find := func(name string) string {
		path, err := exec.LookPath(name)
		if err != nil {
			return ""
		}
		return path
	}
	return Tools{PDFToText: find("pdftotext"), Tesseract: find("tesseract")}
}

// Pool reads files in child processes, a few at a time. Its methods may be
// called by any number of goroutines.
type Pool struct {
	c        Config
	slots    *slots
	level    atomic.Int32 // the separation that works here
	confined atomic.Int32 // the Confinement of the newest child, + 1
}

// NewPool returns a Pool. It starts nothing yet.
func NewPool(c Config) *Pool {
	if c.Processes <= 0 {
		c.Processes = max(runtime.GOMAXPROCS(0), 2)
	}
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	if c.CPU < time.Second {
		c.CPU = DefaultCPU
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Pool{c: c, slots: newSlots(c.Processes)}
}

// Tools are the programs of others that its children use.
func (p *Pool) Tools() Tools { return p.c.Tools }

// Confined is what the newest child can do without; nothing before the first.
func (p *Pool) Confined() Confinement { return Confinement(max(p.confined.Load()-1, 0)) }

// File is one file to be read.
type File struct {
	Filename, ContentType string
	Size                  int64
	Open                  func() io.Reader // its Size bytes, from the first, each time

	kind kind
}

// Read reads one file for an account, until the deadline of ctx. held is how
// many bytes its owner keeps in memory meanwhile.
func (p *Pool) Read(ctx context.Context, account string, f File, held int64) openmail.Extracted {
	return p.read(ctx, account, []File{f}, held)[0]
}

// maxFiles is how many files of one mail are read when it comes in.
const maxFiles = 32

// Mail reads the files of one mail, which are attachments of raw, until the
// deadline of ctx: what is not read by then is openmail.ExtractionTimeout. It
// returns the attachments with what was read of them.
func (p *Pool) Mail(ctx context.Context, account string, raw []byte, files []openmail.Attachment) []openmail.Attachment {
	list := make([]File, len(files))
	for i, a := range files {
		list[i] = File{
			Filename: a.Filename, ContentType: a.ContentType, Size: a.SizeBytes,
			Open: func() io.Reader { return mime.Open(raw, a) },
		}
	}
	out := make([]openmail.Attachment, len(files))
	for i, e := range p.read(ctx, account, list, int64(len(raw))) {
		out[i] = files[i]
		out[i].Extracted = e
	}
	return out
}

// read reads files in one session. What can be said without a child is.
func (p *Pool) read(ctx context.Context, account string, files []File, held int64) []openmail.Extracted {
	out := make([]openmail.Extracted, len(files))
	var todo []int
	for i := range files {
		out[i].Method = files[i].look()
		if out[i].Method == "" {
			todo = append(todo, i)
		}
	}
	if len(todo) > maxFiles {
		mark(out, todo[maxFiles:], openmail.ExtractionTooMany)
		todo = todo[:maxFiles]
	}
	if len(todo) > 0 {
		p.readAll(ctx, account, files, todo, held, out)
	}
	return out
}

// look finds out the kind of a file, and says what its size and kind say
// already: the reason why it is not read, or "".
func (f *File) look() openmail.Extraction {
	head := make([]byte, min(f.Size, headSize))
	n, _ := io.ReadFull(f.Open(), head) // less is less to look at
	f.kind = kindOf(head[:n], f.Filename, f.ContentType)
	switch {
	case f.kind == kindNone:
		return openmail.ExtractionUnsupported
	case f.Size > openmail.MaxExtracted:
		return openmail.ExtractionTooLarge
	}
	return ""
}

func mark(out []openmail.Extracted, which []int, e openmail.Extraction) {
	for _, i := range which {
		out[i] = openmail.Extracted{Method: e}
	}
}

// readAll reads those files that need a child.
func (p *Pool) readAll(ctx context.Context, account string, files []File, todo []int, held int64, out []openmail.Extracted) {
	waiting := time.Now()
	if !p.slots.take(ctx, account, held) {
		mark(out, todo, openmail.ExtractionTimeout)
		for range todo {
			p.observe(openmail.ExtractionTimeout, waiting)
		}
		return
	}
	defer p.slots.give(account)
	s := session{p: p, account: account}
	defer s.end() // how it ends says nothing more
	left := openmail.MaxExtractedMail
	for n, i := range todo {
		start := time.Now()
		out[i] = s.read(ctx, files[i], share(ctx, len(todo)-n))
		p.observe(out[i].Method, start)
		if left -= len(out[i].Text); left < 0 {
			left += len(out[i].Text)
			out[i] = openmail.Extracted{Method: openmail.ExtractionTooMany}
		}
	}
}

func (p *Pool) observe(e openmail.Extraction, since time.Time) {
	if p.c.Observe != nil {
		p.c.Observe(e, time.Since(since))
	}
}

// noDeadline is how long a file may take where ctx has no deadline.
const noDeadline = time.Minute

// share is how long the next of n files may take: the last all that is left,
// one before others half of it, so that one bomb does not take the time of all.
func share(ctx context.Context, n int) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return noDeadline
	}
	left := time.Until(deadline)
	if n > 1 {
		left /= 2
	}
	return max(left, 0)
}
