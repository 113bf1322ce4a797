package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"openmail/client"
)

// source tells where the key was found.
type source string

// The sources of a key, first to last.
const (
	fromFlag    source = "flag"
	fromEnv     source = "env"
	fromState   source = "state"
	fromRootKey source = "root-key"
	fromNowhere source = "none"
)

func (s source) long() string {
	switch s {
	case fromFlag:
		return "--api-key"
	case fromEnv:
		return "OPENMAIL_API_KEY"
	case fromState:
		return "the state file"
	}
	return "the file root-key of a local server"
}

// settings is what flags, environment and files say together.
type settings struct {
	base   string
	named  bool // the user named base, or nobody did: no file of the current folder
	key    string
	source source
	path   string // of the state file
	ours   bool   // the state file is the user's: no file of the current folder named it
	data   string // the data folder of a server on this machine, if one is there
	state  *state
	getenv func(string) string // the process's environment
	dotenv map[string]string   // ./.env
}

// env is the process's environment, and ./.env where that has no say.
func (s settings) env(name string) string { return cmp.Or(s.getenv(name), s.dotenv[name]) }

// resolve finds the settings: flags win over the environment, that over ./.env,
// that over the state file, that over what a local server left in its folder.
func (c *cli) resolve() (settings, error) {
	var set settings
	var err error
	set.getenv = c.Getenv
	if set.dotenv, err = readEnv(); err != nil {
		return set, err
	}
	set.path = cmp.Or(c.statePath, set.env("OPENMAIL_STATE_PATH"), filepath.Join(c.Home, ".openmail-cli", "state.json"))
	set.ours = c.statePath != "" || c.Getenv("OPENMAIL_STATE_PATH") != "" || set.dotenv["OPENMAIL_STATE_PATH"] == ""
	if set.state, err = readState(set.path); err != nil {
		return set, err
	}
	set.data = cmp.Or(set.env("OPENMAIL_DATA"), "openmail-data")
	set.base, set.named = c.findBase(set, set.data)
	if set.key, set.source = c.findKey(set, set.data); set.source == fromFlag && set.foreign() && set.key != set.dotenv["OPENMAIL_API_KEY"] {
		return set, usage("the folder that you are in names the server %s: give --base-url too, if it is to be shown the key of --api-key", set.base)
	}
	return set, nil
}

// findBase finds the server, and whether the user named it, or nobody did.
func (c *cli) findBase(set settings, data string) (base string, named bool) {
	given := cmp.Or(c.baseURL, c.Getenv("OPENMAIL_BASE_URL"), c.Getenv("OPENMAIL_API_URL"))
	found := cmp.Or(given, set.dotenv["OPENMAIL_BASE_URL"], set.dotenv["OPENMAIL_API_URL"], localURL(data))
	return strings.TrimRight(cmp.Or(found, client.DefaultBaseURL), "/"), found == given
}

// foreign reports whether only a file of the current folder names the server,
// and it is not this machine: the folder may be somebody else's repository.
func (set settings) foreign() bool { return !set.named && !isLocal(set.base) }

// saveKey remembers a key that was given, in a file that is the user's own.
func (set settings) saveKey(st *state) {
	if set.source == fromFlag && set.ours {
		st.SavedAPIKey = set.key
	}
}

// findKey finds the key for that server. One that a file of the current folder
// names, which may have come with somebody else's repository, is shown the key
// of that file and no other, unless it is this machine.
func (c *cli) findKey(set settings, data string) (string, source) {
	if c.apiKey != "" {
		return c.apiKey, fromFlag
	}
	local := isLocal(set.base)
	if set.foreign() {
		if key := set.dotenv["OPENMAIL_API_KEY"]; key != "" {
			return key, fromEnv
		}
		return "", fromNowhere
	}
	switch env := set.env("OPENMAIL_API_KEY"); {
	case env != "":
		return env, fromEnv
	case set.state.SavedAPIKey != "":
		return set.state.SavedAPIKey, fromState
	case !local:
		// A local server's key is no other server's to see.
		return "", fromNowhere
	}
	if b, err := readSmall(filepath.Join(data, "root-key")); err == nil && len(b) > 0 {
		return strings.TrimSpace(string(b)), fromRootKey
	}
	return "", fromNowhere
}

// isLocal reports whether a URL leads to this machine, by an address or a name
// that cannot lead elsewhere.
func isLocal(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost" || strings.HasSuffix(host, ".localhost")
	}
	return ip.IsLoopback() || isOurs(ip.Unmap())
}

// isOurs reports whether this machine has the address.
func isOurs(ip netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == ip
	})
}

// localURL is where the server that keeps its data there answers; "" when none
// ever ran.
func localURL(data string) string {
	b, err := readSmall(filepath.Join(data, "addresses.json"))
	if err != nil {
		return ""
	}
	var addresses struct {
		HTTP string `json:"http"`
	}
	if json.Unmarshal(b, &addresses) != nil {
		return ""
	}
	host, port, err := net.SplitHostPort(addresses.HTTP)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// readEnv reads ./.env, which need not be there.
func readEnv() (map[string]string, error) {
	b, err := readSmall(".env")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read ./.env: %w", err)
	}
	return parseEnv(b), nil
}

// parseEnv reads NAME=value lines, the value in quotes or not. What is neither
// that nor a comment is left alone: the file is shared with other programs.
func parseEnv(b []byte) map[string]string {
	vars := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxSmall)
	for lines.Scan() {
		line := strings.TrimPrefix(strings.TrimSpace(lines.Text()), "export ")
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		vars[strings.TrimSpace(name)] = unquote(strings.TrimSpace(value))
	}
	return vars
}

func unquote(value string) string {
	for _, quote := range []string{`"`, `'`} {
		if rest, ok := strings.CutPrefix(value, quote); ok {
			inner, _, _ := strings.Cut(rest, quote)
			return inner
		}
	}
	value, _, _ = strings.Cut(value, " #")
	return strings.TrimSpace(value)
}

// maxSmall bounds the files that the command line reads whole.
const maxSmall = 1 << 20

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err == nil && len(b) > maxSmall {
		return nil, fmt.Errorf("%s is larger than %d KiB", path, maxSmall>>10)
	}
	return b, err
}
