package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// disk is what would lie on a disk: what was synced does, of the rest nobody
// knows. Folders are not kept: they come with what is in them.
type disk struct {
	names  map[string]*inode // as the process sees them
	synced map[string]*inode // that a folder's fsync has made last
	moves  []move            // of names, since
	n      int               // events so far
}

// inode is a file, whatever its name.
type inode struct {
	all    []byte
	synced []byte
	writes []write // since
}

type write struct {
	n        int // the event
	at       int64
	data     []byte
	truncate bool
}

// move is a name that came, changed or went.
type move struct {
	n          int
	from, path string
	file       *inode // nil: it went
}

func newDisk() *disk { return &disk{names: map[string]*inode{}, synced: map[string]*inode{}} }

// take has something happen.
func (d *disk) take(e event) {
	d.n++
	f := d.names[e.path]
	switch e.kind {
	case "create":
		if f == nil {
			f = &inode{}
			d.move("", e.path, f)
		}
		if e.empty {
			f.write(write{n: d.n, truncate: true})
		}
	case "rename":
		if from := d.names[e.from]; from != nil {
			d.move(e.from, e.path, from)
		}
	case "remove":
		if f != nil {
			d.move("", e.path, nil)
		}
	case "write":
		if f == nil {
			return
		}
		if e.at < 0 {
			e.at = int64(len(f.all))
		}
		f.write(write{n: d.n, at: e.at, data: e.data})
	case "truncate":
		if f != nil {
			f.write(write{n: d.n, at: e.at, truncate: true})
		}
	case "sync":
		if f != nil {
			f.sync(e.began)
		} else {
			d.syncFolder(e.path, e.began)
		}
	}
}

func (d *disk) move(from, path string, f *inode) {
	m := move{d.n, from, path, f}
	m.apply(d.names)
	d.moves = append(d.moves, m)
}

func (m move) apply(names map[string]*inode) {
	delete(names, m.from)
	if m.file == nil {
		delete(names, m.path)
		return
	}
	names[m.path] = m.file
}

// syncFolder makes the names in a folder last that it had before an fsync began.
func (d *disk) syncFolder(path string, before int) {
	d.moves = slices.DeleteFunc(d.moves, func(m move) bool {
		if filepath.Dir(m.path) != path || m.n > before {
			return false
		}
		m.apply(d.synced)
		return true
	})
}

func (f *inode) write(w write) {
	f.all = w.apply(f.all)
	f.writes = append(f.writes, w)
}

func (f *inode) sync(before int) {
	i := 0
	for i < len(f.writes) && f.writes[i].n <= before {
		f.synced = f.writes[i].apply(f.synced)
		i++
	}
	f.writes = slices.Clone(f.writes[i:])
}

func (w write) apply(b []byte) []byte {
	end := int(w.at) + len(w.data)
	if w.truncate {
		end = int(w.at)
		b = b[:min(len(b), end)]
	}
	if len(b) < end {
		b = append(b, make([]byte, end-len(b))...)
	}
	copy(b[w.at:], w.data)
	return b
}

// cut writes what a power cut could leave into a folder: what is synced, and with
// luck any part of what was written since, the last of it torn.
func (d *disk) cut(rng *rand.Rand, luck float64, from, to string) error {
	names := map[string]*inode{}
	for path, f := range d.synced {
		names[path] = f
	}
	if luck > 0 && rng.IntN(2) == 0 { // names that were not synced may last as well
		for _, m := range d.moves {
			m.apply(names)
		}
	}
	var errs []error
	for path, f := range names {
		b := slices.Clone(f.synced)
		for _, w := range f.writes {
			if rng.Float64() >= luck {
				continue
			}
			if len(w.data) > 512 && rng.IntN(8) == 0 {
				w.data = w.data[:512*(1+rng.IntN(len(w.data)/512))]
			}
			b = w.apply(b)
		}
		name := filepath.Join(to, strings.TrimPrefix(path, from))
		errs = append(errs, os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, b, 0o600))
	}
	return errors.Join(errs...)
}
