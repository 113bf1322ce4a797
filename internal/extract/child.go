package extract

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// Command is the argument that makes this program a child which reads files. It
// is between a Pool and its children only.
const Command = "__extract"

// order is what a child is told on its command line.
type order struct {
	CPU    uint64 `json:"cpu"`    // seconds
	Memory uint64 `json:"memory"` // bytes
	Tools  Tools  `json:"tools"`
}

// Confinement is what a child could do without. Each says that the system's
// means for it worked.
type Confinement byte

const (
	// NoNetwork: the child and its children can open no socket.
	NoNetwork Confinement = 1 << iota
	// NoFiles: they can write no file, and read none but programs and what
	// those need.
	NoFiles
)

// Child is the whole life of a child process; it returns its exit code. It
// takes its limits before it reads a byte, and reads files until its input
// ends.
func Child(args []string) int {
	answers := os.Stdout
	os.Stdout = os.Stderr // libraries print what they find in a file
	err := serve(args, os.Stdin, answers)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serve(args []string, in io.Reader, out io.Writer) error {
	var o order
	if len(args) != 1 {
		return errors.New("this is for the server's own use")
	}
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		return err
	}
	debug.SetMemoryLimit(int64(o.Memory) / 2)
	confined, err := confine(o)
	if err != nil {
		return fmt.Errorf("take the limits: %w", err)
	}
	if _, err := out.Write([]byte{byte(confined)}); err != nil {
		return err
	}
	for r := bufio.NewReader(in); ; {
		h, data, err := readFile(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := writeExtracted(out, o.Tools.Text(context.Background(), h.Filename, h.ContentType, data)); err != nil {
			return err
		}
	}
}
