package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// bar is what a figure is held against. The zero bar holds nothing.
type bar struct {
	set     bool
	atLeast bool // else at most
	limit   float64
}

func atMost(limit float64) bar  { return bar{set: true, limit: limit} }
func atLeast(limit float64) bar { return bar{set: true, atLeast: true, limit: limit} }

func (b bar) holds(v float64) bool {
	switch {
	case !b.set:
		return true
	case math.IsNaN(v):
		return false
	case b.atLeast:
		return v >= b.limit
	}
	return v <= b.limit
}

func (b bar) String() string {
	switch {
	case !b.set:
		return ""
	case b.atLeast:
		return "≥ " + number(b.limit)
	}
	return "≤ " + number(b.limit)
}

// figure is one result: the median where there were several runs.
type figure struct {
	name  string
	value float64
	unit  string
	bar   bar
	all   []float64 // of every run
}

// report collects the figures of one proof.
type report struct {
	proof, about string
	machine      machine
	figures      []figure
	notes        []string
}

// add takes the median of the runs.
func (r *report) add(name, unit string, bar bar, runs ...float64) {
	r.figures = append(r.figures, figure{name: name, value: median(runs), unit: unit, bar: bar, all: runs})
}

func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *report) missed() (n int) {
	for _, f := range r.figures {
		if !f.bar.holds(f.value) {
			n++
		}
	}
	return n
}

// print writes the table.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s — %s\n%s\n", r.proof, r.about, r.machine)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range r.figures {
		verdict := ""
		if f.bar.set {
			verdict = map[bool]string{true: "ok", false: "MISSED"}[f.bar.holds(f.value)]
		}
		fmt.Fprintf(t, "  %s\t%s %s\t%s\t%s\t%s\n", f.name, number(f.value), f.unit, f.bar, verdict, spread(f.all))
	}
	_ = t.Flush()
	for _, n := range r.notes {
		fmt.Fprintln(w, " ", n)
	}
}

// spread shows the single runs of a median.
func spread(all []float64) string {
	if len(all) < 2 {
		return ""
	}
	s := make([]string, len(all))
	for i, v := range all {
		s[i] = number(v)
	}
	return "of " + strings.Join(s, ", ")
}

// line is a figure as it stands in the file that OUT names.
type line struct {
	Proof  string    `json:"proof"`
	Figure string    `json:"figure"`
	Value  float64   `json:"value"`
	Unit   string    `json:"unit"`
	Bar    string    `json:"bar,omitempty"`
	OK     bool      `json:"ok"`
	Runs   []float64 `json:"runs"`
	machine
}

// appendTo adds a line for each figure to a file; "" is none.
func (r *report) appendTo(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	e := json.NewEncoder(f)
	for _, x := range r.figures {
		if err = e.Encode(line{r.proof, x.name, x.value, x.unit, x.bar.String(), x.bar.holds(x.value), x.all, r.machine}); err != nil {
			break
		}
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// median is the middle one; the lower of two. NaN when there is none.
func median(runs []float64) float64 {
	if len(runs) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(runs))
	return sorted[(len(sorted)-1)/2]
}

// number writes a figure with three digits that count.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100 || v == math.Trunc(v):
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

func thousands(digits string) string {
	sign := ""
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "-", rest
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
