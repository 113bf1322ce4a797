package openmail

import (
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Address is a mail address with the name that a header gave it.
type Address struct {
	Name string // decoded; "" when there is none
	Addr string // local-part@domain; case as received
}

// String is the address as a header shows it: Name <addr>, or the bare addr.
// The name is quoted where RFC 5322 section 3.2.3 demands it.
func (a Address) String() string {
	switch {
	case a.Name == "":
		return a.Addr
	case strings.ContainsAny(a.Name, "()<>[]:;@\\,.\""):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.Name) + `" <` + a.Addr + `>`
	}
	return a.Name + " <" + a.Addr + ">"
}

// Domain is the part after the last @, in lower case; "" when there is none.
func (a Address) Domain() string {
	_, domain, _ := cutLast(a.Addr, "@")
	return strings.ToLower(domain)
}

// BaseAddress is addr in lower case without a tag: what follows the first "+"
// of the local part (name+tag@domain is name@domain).
func BaseAddress(addr string) string {
	local, domain, ok := cutLast(strings.ToLower(addr), "@")
	if !ok {
		return local
	}
	if base, _, tagged := strings.Cut(local, "+"); tagged && base != "" {
		local = base
	}
	return local + "@" + domain
}

// maxPlain bounds what is made plain, in bytes: a domain takes time by the square
// of its length.
const maxPlain = 1 << 10

// PlainAddress is the one spelling of an address by which it is compared with
// others: in lower case, in composed characters (NFC), without quotes that its
// local part does not need (RFC 5322 section 3.4.1), its domain as DNS has it (RFC
// 5891) and without a dot behind. What is no address, or very long, is in lower
// case only.
func PlainAddress(addr string) string {
	if len(addr) > maxPlain {
		return strings.ToLower(addr)
	}
	local, domain, ok := cutLast(strings.ToLower(norm.NFC.String(addr)), "@")
	if !ok {
		return local
	}
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	return unquoted(local) + "@" + strings.TrimSuffix(domain, ".")
}

// unquoted is a local part without its quotes, unless it needs them.
func unquoted(local string) string {
	if len(local) < 2 || local[0] != '"' || local[len(local)-1] != '"' {
		return local
	}
	inside := strings.ReplaceAll(local[1:len(local)-1], `\`, "")
	if inside == "" || strings.ContainsAny(inside, " \t\"(),:;<>@[]") {
		return local
	}
	return inside
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Envelope is what the SMTP session said of a mail, which its headers need not
// agree with (RFC 5321 section 2.3.1).
type Envelope struct {
	MailFrom string // "" for the null reverse-path
	Rcpts    []Recipient
	RemoteIP string
	Helo     string
	TLS      bool
}

// Recipient is an address of the envelope and the inbox that it leads to.
type Recipient struct {
	Addr  string // as the sender wrote it, with a tag
	Inbox Inbox
}

// Role is how a mail came to name an inbox.
type Role string

// The roles. RoleBCC means that neither To nor Cc names the inbox.
const (
	RoleTo  Role = "to"
	RoleCC  Role = "cc"
	RoleBCC Role = "bcc"
)
