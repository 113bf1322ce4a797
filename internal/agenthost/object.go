package agenthost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// object is a JSON object whose members keep their order, and their values
// every byte.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

// errNoObject is the error of JSON that is something else.
var errNoObject = errors.New("is not a JSON object")

// parseObject reads one object and nothing behind it.
func parseObject(b []byte) (object, error) {
	in := json.NewDecoder(bytes.NewReader(b))
	if t, err := in.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('{') {
		return nil, errNoObject
	}
	o := object{}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			return nil, err
		}
		o = append(o, member{name.(string), value}) // of an object, nothing else is a name
	}
	if _, err := in.Token(); err != nil { // }
		return nil, err
	}
	return o, nil
}

// at is the index of a member, of the last one where there are several, as all
// readers of JSON take it; -1 for none.
func (o object) at(name string) int {
	for i, m := range slices.Backward(o) {
		if m.name == name {
			return i
		}
	}
	return -1
}

// get is a member's value; nil for none, and for null.
func (o object) get(name string) json.RawMessage {
	if i := o.at(name); i >= 0 && string(o[i].value) != "null" {
		return o[i].value
	}
	return nil
}

// set gives a member a value, where it stands or at the end.
func (o *object) set(name string, value json.RawMessage) {
	if i := o.at(name); i >= 0 {
		(*o)[i].value = value
		return
	}
	*o = append(*o, member{name, value})
}

func (o *object) setText(name, text string) { o.set(name, encode(text)) }

func (o *object) drop(name string) {
	*o = slices.DeleteFunc(*o, func(m member) bool { return m.name == name })
}

// text is a member that is a string; "" for none.
func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o.get(name), &s) != nil {
		return ""
	}
	return s
}

// object is a member that is an object; an empty one where there is none.
func (o object) object(name string) (object, error) {
	value := o.get(name)
	if value == nil {
		return object{}, nil
	}
	inner, err := parseObject(value)
	if err != nil {
		return nil, fmt.Errorf("%s %w", name, err)
	}
	return inner, nil
}

// change has an inner object changed. One that is empty afterwards is left out.
func (o *object) change(name string, change func(*object) error) error {
	inner, err := o.object(name)
	if err != nil {
		return err
	}
	if err := change(&inner); err != nil {
		return err
	}
	if len(inner) == 0 {
		o.drop(name)
		return nil
	}
	o.set(name, inner.bytes())
	return nil
}

// bytes is the object as JSON.
func (o object) bytes() json.RawMessage {
	out := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, encode(m.name)...), ':'), m.value...)
	}
	return append(out, '}')
}

// encode is a string or a bool as JSON, without the escapes that only HTML
// needs.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // of these types every value is JSON
	return bytes.TrimSpace(b.Bytes())
}
