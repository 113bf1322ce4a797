package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// state is what the command line remembers from one run to the next. Fields
// that it does not know are kept.
type state struct {
	SavedAPIKey         string `json:"savedApiKey,omitempty"`
	LastEventID         string `json:"lastEventId,omitempty"`
	DefaultInboxID      string `json:"defaultInboxId,omitempty"`
	DefaultInboxAddress string `json:"defaultInboxAddress,omitempty"`
	DefaultUsageMode    string `json:"defaultUsageMode,omitempty"`
	// FromStart: there was no event yet when a bridge first connected, hence all
	// that there are without a LastEventID are new.
	FromStart bool `json:"fromStart,omitempty"`

	others map[string]json.RawMessage
}

// readState reads the file; one that is not there is an empty state.
func readState(path string) (*state, error) {
	s := &state{others: map[string]json.RawMessage{}}
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state file: %w", err)
	}
	if json.Unmarshal(b, s) != nil || json.Unmarshal(b, &s.others) != nil {
		return nil, fmt.Errorf("the state file %s is not JSON: repair or remove it", path)
	}
	return s, nil
}

// update changes what the file says now, not what it said when this run began:
// another run may have written meanwhile.
func (s *session) update(change func(*state)) error {
	now, err := readState(s.path)
	if err != nil {
		return err
	}
	change(now)
	s.state = now
	return now.write(s.path)
}

// write replaces the file at once and durably, readable by its owner only.
func (s *state) write(path string) error {
	known, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write the state file: %w", err)
	}
	all := map[string]json.RawMessage{}
	for name, value := range s.others {
		all[name] = value
	}
	for _, name := range []string{"savedApiKey", "lastEventId", "defaultInboxId", "defaultInboxAddress", "defaultUsageMode", "fromStart"} {
		delete(all, name) // an empty one is left out
	}
	if err := json.Unmarshal(known, &all); err != nil {
		return fmt.Errorf("write the state file: %w", err)
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("write the state file: %w", err)
	}
	if err := replaceFile(path, append(b, '\n')); err != nil {
		return fmt.Errorf("write the state file: %w", err)
	}
	return nil
}

// replaceFile writes a file beside path, mode 0600, and puts it in its place.
func replaceFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".state-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing, once it is renamed
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
