package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"openmail/api"
	"openmail/client"
)

func (c *cli) attachmentCommands() *cobra.Command {
	return c.group("attachments", "Fetch the files of messages", c.attachmentGet(), c.attachmentText())
}

func (c *cli) attachmentText() *cobra.Command {
	var message, filename string
	cmd := c.command("text [message-id] [filename]", "Print the text in one file of a message", func(ctx context.Context, s *session, args []string) error {
		id, err := idOf(args, 0, message, "message-id")
		if err != nil {
			return err
		}
		name, err := idOf(args, 1, filename, "filename")
		if err != nil {
			return err
		}
		text, err := s.client.AttachmentText(ctx, id, name)
		if err != nil {
			return err
		}
		return show(s.out, text, func(t api.AttachmentText) error { return s.out.text(t.Text) })
	})
	cmd.Flags().StringVar(&message, "message-id", "", "the message")
	cmd.Flags().StringVar(&filename, "filename", "", "the file, by the name that the message gives it")
	return cmd
}

func (c *cli) attachmentGet() *cobra.Command {
	var message, filename, output string
	var force bool
	cmd := c.command("get [message-id] [filename]", "Fetch one file of a message", func(ctx context.Context, s *session, args []string) error {
		id, err := idOf(args, 0, message, "message-id")
		if err != nil {
			return err
		}
		name, err := idOf(args, 1, filename, "filename")
		if err != nil {
			return err
		}
		d, err := s.client.Attachment(ctx, id, name)
		if err != nil {
			return err
		}
		defer d.Close()
		if output == "-" {
			_, err := io.Copy(s.Stdout, d)
			return err
		}
		if output == "" {
			output = safeName(name)
		}
		return s.save(d, output, force)
	})
	f := cmd.Flags()
	f.StringVar(&message, "message-id", "", "the message")
	f.StringVar(&filename, "filename", "", "the file, by the name that the message gives it")
	f.StringVar(&output, "output", "", "where to write; - is stdout; left out: the file's own name, here")
	f.BoolVar(&force, "force", false, "write over a file that is there")
	return cmd
}

// safeName is a stranger's file name as the name of a file in this folder that
// is not hidden.
func safeName(name string) string {
	name = strings.TrimLeft(filepath.Base(filepath.Clean("/"+oneLine(strings.ReplaceAll(name, `\`, "/")))), ".")
	if name == "" || name == "/" {
		return "attachment"
	}
	return name
}

// save writes a download to a file, which appears when it is complete.
func (s *session) save(d *client.Download, path string, force bool) error {
	if _, err := os.Lstat(path); err == nil && !force {
		return fmt.Errorf("%s is there already: give --force, or another name with --output", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".download-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // nothing, once it is renamed
	n, err := s.copy(f, d)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	type saved struct {
		Path      string `json:"path"`
		SizeBytes int64  `json:"sizeBytes"`
	}
	return show(s.out, saved{path, n}, func(saved) error { return s.out.line("%s, %s", path, size(n)) })
}

// copy copies a download, with a bar on a terminal.
func (s *session) copy(to io.Writer, d *client.Download) (int64, error) {
	if !isTerminal(s.Stderr) {
		return io.Copy(to, d)
	}
	b := &bar{to: s.Stderr, total: d.Size}
	n, err := io.Copy(io.MultiWriter(to, b), d)
	b.end()
	return n, err
}

// bar draws how much of a download has come, a few times a second.
type bar struct {
	to    io.Writer
	total int64 // -1: unknown
	done  int64
	drawn time.Time
}

// Write counts.
func (b *bar) Write(p []byte) (int, error) {
	b.done += int64(len(p))
	if now := time.Now(); now.Sub(b.drawn) > 100*time.Millisecond {
		b.drawn = now
		io.WriteString(b.to, "\r\x1b[K"+b.String())
	}
	return len(p), nil
}

// String is the bar as it stands.
func (b *bar) String() string {
	const width = 30
	if b.total <= 0 {
		return size(b.done)
	}
	full := int(min(b.done, b.total) * width / b.total)
	return fmt.Sprintf("[%s%s] %s of %s", strings.Repeat("#", full), strings.Repeat(".", width-full), size(b.done), size(b.total))
}

// end takes the bar away.
func (b *bar) end() { io.WriteString(b.to, "\r\x1b[K") }
