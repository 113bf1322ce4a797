package agenthost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// container is an object or a list whose text stays what it was but for what is
// changed: the order, the spelling of values, spaces, comments.
type container struct {
	open    byte // { or [
	members []member
	tail    string // before the end: spaces and comments
}

// member is one member, or one value of a list, as it is spelled.
type member struct {
	lead  string // before it: spaces and comments
	name  string // what the name says
	head  string // the name up to the value; "" in a list
	value string
	trail string // between the value and the comma
	comma bool
}

func (c *container) close() byte {
	if c.open == '[' {
		return ']'
	}
	return '}'
}

func (c *container) text() string {
	var b strings.Builder
	b.WriteByte(c.open)
	for _, m := range c.members {
		b.WriteString(m.lead + m.head + m.value + m.trail)
		if m.comma {
			b.WriteByte(',')
		}
	}
	b.WriteString(c.tail)
	b.WriteByte(c.close())
	return b.String()
}

// clone is the same again, to be changed by itself.
func (c *container) clone() *container {
	return &container{c.open, slices.Clone(c.members), c.tail}
}

// at is the index of a member, of the last one where there are several, as all
// readers of JSON take it; -1 for none.
func (c *container) at(name string) int {
	for i, m := range slices.Backward(c.members) {
		if m.name == name {
			return i
		}
	}
	return -1
}

// get is a member's value; "" for none, and for null.
func (c *container) get(name string) string {
	if i := c.at(name); i >= 0 && c.members[i].value != "null" {
		return c.members[i].value
	}
	return ""
}

// says is what a member that is a string says; "" for others, and for none.
func (c *container) says(name string) string {
	value := c.get(name)
	if value == "" || value[0] != '"' && value[0] != '\'' {
		return ""
	}
	return unquote(value)
}

// inner is a member that is an object, '{', or a list, '['; an empty one where
// there is none.
func (c *container) inner(name string, open byte) (*container, error) {
	value := c.get(name)
	if value == "" {
		return &container{open: open}, nil
	}
	inner, err := parse(value, open)
	if err != nil {
		return nil, fmt.Errorf("%s %w", name, err)
	}
	return inner, nil
}

// set gives a member a value, where it stands or at the end. A value that takes
// no other one's place is laid out as its neighbours are.
func (c *container) set(name, value string) {
	i := c.at(name)
	if i < 0 {
		c.add(member{name: name, head: encode(name) + ": ", value: value})
		return
	}
	if old := c.members[i].value; old[0] != '{' && old[0] != '[' || strings.TrimSpace(old[1:len(old)-1]) == "" {
		value = c.layOut(value)
	}
	c.members[i].value = value
}

func (c *container) setText(name, text string) { c.set(name, encode(text)) }

// add adds a member at the end, with a comma behind it if the last one has one.
// Comments before the end stay before it.
func (c *container) add(m member) {
	m.lead = c.place()
	if n := len(c.members); n > 0 {
		m.comma, c.members[n-1].comma = c.members[n-1].comma, true
	}
	value := m.value
	c.members = append(c.members, m)
	c.members[len(c.members)-1].value = c.layOut(value)
}

// place makes room at the end, in a line of its own where that is the manner: it
// is what stands before a new member.
func (c *container) place() (lead string) {
	end := strings.LastIndexByte(c.tail, '\n')
	indent, lines := c.indent()
	switch {
	case len(c.members) == 0 && end >= 0:
		indent = c.tail[end+1:] + "  "
	case len(c.members) == 0:
		return ""
	case !lines:
		return " "
	case end < 0:
		return "\n" + indent
	}
	lead = strings.TrimRight(c.tail[:end], " \t\r\n") + "\n" + indent
	c.tail = c.tail[end:]
	return lead
}

// indent is what the last member is indented with, if it has a line of its own.
func (c *container) indent() (indent string, lines bool) {
	if len(c.members) == 0 {
		return "", false
	}
	lead := c.members[len(c.members)-1].lead
	i := strings.LastIndexByte(lead, '\n')
	if i < 0 || strings.TrimLeft(lead[i+1:], " \t") != "" {
		return "", false
	}
	return lead[i+1:], true
}

// layOut spreads a value over lines, where the members have lines of their own.
// One with comments stays as it is.
func (c *container) layOut(value string) string {
	indent, lines := c.indent()
	if !lines {
		return value
	}
	step := "  "
	if strings.HasPrefix(indent, "\t") {
		step = "\t"
	}
	var b bytes.Buffer
	if json.Indent(&b, []byte(value), indent, step) != nil {
		return value
	}
	return b.String()
}

// remove removes a member. The comments before it stay.
func (c *container) remove(i int) {
	after := &c.tail
	if i+1 < len(c.members) {
		after = &c.members[i+1].lead
	} else if i > 0 && !c.members[i].comma {
		c.members[i-1].comma = false
	}
	if lead := c.members[i].lead; strings.Contains(lead, "/") {
		lead = strings.TrimRight(lead, " \t\r\n")
		if !strings.HasPrefix(strings.TrimLeft(*after, " \t\r"), "\n") {
			lead += "\n" // a comment may go to the end of its line
		}
		*after = lead + *after
	}
	c.members = slices.Delete(c.members, i, i+1)
}

func (c *container) drop(name string) {
	for i := c.at(name); i >= 0; i = c.at(name) {
		c.remove(i)
	}
}

// change has an inner object changed. One that is empty afterwards is left out.
func (c *container) change(name string, change func(*container) error) error {
	inner, err := c.inner(name, '{')
	if err != nil {
		return err
	}
	if err := change(inner); err != nil {
		return err
	}
	c.setInner(name, inner)
	return nil
}

// setInner gives a member the value of a container, or leaves out one that says
// nothing.
func (c *container) setInner(name string, inner *container) {
	if len(inner.members) == 0 && strings.TrimSpace(inner.tail) == "" {
		c.drop(name)
		return
	}
	c.set(name, inner.text())
}

// encode is a string or a bool as JSON, without the escapes that only HTML
// needs.
func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // of these types every value is JSON
	return strings.TrimSpace(b.String())
}
