package app

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"openmail"
	"openmail/internal/delivery"
	"openmail/internal/reach"
	"openmail/internal/smtpout"
)

// Config is every setting of the server. Settings has their names, defaults and
// meanings; a Config comes from Load.
type Config struct {
	HTTP, HTTPS  string
	SMTP         string
	Data         string
	Domain       string
	Hostname     string
	Postmaster   string
	PublicURL    string
	Database     string
	Bell         string
	Blobs        string
	Relay        string
	WebhookAllow []string
	SMTPAllow    []string
	SMTPDNS      []string
	SPF          string
	TLSCert      string
	TLSKey       string
	ACME         bool
	Limits       bool
	Log          string
	RootKey      string

	ACMEEmail     string
	ACMEDirectory string
	ACMERoots     string

	MaxMail           int64
	SocketLimit       int
	SocketMessages    int
	RequestLimit      int
	SendsMinute       int // limitByDomain: the contract's, or none on a .localhost domain
	SendsDay          int
	InboxesDay        int
	MaxInboxes        int
	ColdInbox         int // as SendsMinute, and so are the next two
	ColdNew, Cold     int
	DomainsDay        int
	Origins           []string
	InlineAttachments bool
	NeedSendKey       bool

	ReceiptDeadline time.Duration

	// Program is started for each mail whose attachments are to be read: one
	// that calls extract.Child, hence no setting. "": they are not read.
	Program          string
	Extract          bool
	ExtractTime      time.Duration
	ExtractLater     time.Duration
	ExtractProcesses int

	RetainEvents     time.Duration
	RetainMessages   time.Duration
	RetainTrash      time.Duration
	RetainQuarantine time.Duration
	RetainAudit      time.Duration
}

// Setting is one setting: its flag (without the dashes; "" for none), its
// environment variable, its default and its meaning.
type Setting struct {
	Flag, Env, Default, Meaning string
	Secret                      bool // never printed
	set                         func(c *Config, value string) error
}

// Settings is the list of all settings, in the order in which they are shown.
func Settings() []Setting {
	return []Setting{
		{Flag: "http", Env: "OPENMAIL_HTTP", Default: "127.0.0.1:8025", Meaning: "address for REST, WebSocket and metrics; port 0 picks a free one", set: address(func(c *Config) *string { return &c.HTTP })},
		{Flag: "https", Env: "OPENMAIL_HTTPS", Default: "", Meaning: "address for the same by HTTPS, such as :443; empty: none. With it, the plain one serves this machine, and sends others here", set: optional(address(func(c *Config) *string { return &c.HTTPS }))},
		{Flag: "smtp", Env: "OPENMAIL_SMTP", Default: "127.0.0.1:2525", Meaning: "address for SMTP; port 0 picks a free one", set: address(func(c *Config) *string { return &c.SMTP })},
		{Flag: "data", Env: "OPENMAIL_DATA", Default: "./openmail-data", Meaning: "data folder", set: text(func(c *Config) *string { return &c.Data })},
		{Flag: "domain", Env: "OPENMAIL_DOMAIN", Default: "openmail.localhost", Meaning: "mail domain of new inboxes", set: domain},
		{Flag: "hostname", Env: "OPENMAIL_HOSTNAME", Default: "", Meaning: "name in the SMTP greeting and the certificate; empty: the domain", set: text(func(c *Config) *string { return &c.Hostname })},
		{Env: "OPENMAIL_POSTMASTER", Default: "", Meaning: "address of the inbox that gets mail to postmaster and abuse at the domain and the hostname, where no inbox has that name; empty: nobody takes it", set: postmaster},
		{Flag: "public-url", Env: "OPENMAIL_PUBLIC_URL", Default: "", Meaning: "URL under which clients reach the server; empty: https:// and the hostname where there is HTTPS, else http:// and the address", set: publicURL},
		{Flag: "database", Env: "OPENMAIL_DATABASE", Default: "", Meaning: "empty: SQLite in the data folder; else postgres://…", set: database},
		{Flag: "bell", Env: "OPENMAIL_BELL", Default: "", Meaning: "empty: in process (nats:// is not in this version)", set: onlyEmpty},
		{Flag: "blobs", Env: "OPENMAIL_BLOBS", Default: "", Meaning: "empty: files in the data folder (s3:// is not in this version)", set: onlyEmpty},
		{Flag: "relay", Env: "OPENMAIL_RELAY", Default: "", Meaning: "where outgoing mail goes: smtp://user:password@host:587 or smtps://user:password@host:465; none: nowhere; empty: to the server of each recipient's domain, or nowhere on a .localhost domain", set: relay},
		{Flag: "webhook-allow", Env: "OPENMAIL_WEBHOOK_ALLOW", Default: "", Meaning: "hosts or CIDRs, comma separated, that webhooks may reach though private, on any port", set: allow(func(c *Config) *[]string { return &c.WebhookAllow })},
		{Env: "OPENMAIL_SMTP_ALLOW", Default: "", Meaning: "hosts or CIDRs, comma separated, of mail servers that may be delivered to though private; a relay needs none", set: allow(func(c *Config) *[]string { return &c.SMTPAllow })},
		{Env: "OPENMAIL_SMTP_DNS", Default: "", Meaning: "name servers, host:port and comma separated, that find mail servers and the records of domains; they must validate signatures (DNSSEC), and be reached safely; empty: those of the system, whose validation is believed where they are on this machine", set: nameServers},
		{Env: "OPENMAIL_SPF", Default: "", Meaning: "the SPF mechanism that names where outgoing mail leaves from, for the records of domains that accounts bring; empty: a: and the hostname, with a relay include: and the domain", set: mechanism},
		{Flag: "tls-cert", Env: "OPENMAIL_TLS_CERT", Default: "", Meaning: "certificate file for HTTPS and STARTTLS, loaded again when it changes; empty: what ACME gets, or a self-signed one in the data folder", set: text(func(c *Config) *string { return &c.TLSCert })},
		{Flag: "tls-key", Env: "OPENMAIL_TLS_KEY", Default: "", Meaning: "key file of the certificate", set: text(func(c *Config) *string { return &c.TLSKey })},
		{Flag: "acme", Env: "OPENMAIL_ACME", Default: "off", Meaning: "on: the certificate comes from a CA by ACME, whose terms you accept by this", set: onOff(func(c *Config) *bool { return &c.ACME })},
		{Env: "OPENMAIL_ACME_EMAIL", Default: "", Meaning: "where the CA writes to you; empty: nowhere", set: email},
		{Env: "OPENMAIL_ACME_DIRECTORY", Default: "", Meaning: "directory URL of the CA; empty: Let's Encrypt", set: directory},
		{Env: "OPENMAIL_ACME_ROOTS", Default: "", Meaning: "file of the roots that vouch for the CA's own HTTPS, in PEM; empty: the system's", set: text(func(c *Config) *string { return &c.ACMERoots })},
		{Flag: "log", Env: "OPENMAIL_LOG", Default: "", Meaning: "text or json; empty: text on a terminal, else json", set: logFormat},
		{Flag: "max-mail", Env: "OPENMAIL_MAX_MAIL", Default: "36700160", Meaning: "largest mail, in bytes", set: number(func(c *Config, n int) { c.MaxMail = int64(n) }, 1024, 256<<20)},
		{Flag: "origins", Env: "OPENMAIL_ORIGINS", Default: "", Meaning: "origins, comma separated, of the pages that may open a WebSocket; empty: any (a key is always needed)", set: list(func(c *Config) *[]string { return &c.Origins })},
		{Flag: "inline-attachments", Env: "OPENMAIL_INLINE_ATTACHMENTS", Default: "off", Meaning: "on: attachments are answered with their bytes instead of a redirect to a signed link", set: onOff(func(c *Config) *bool { return &c.InlineAttachments })},
		{Env: "OPENMAIL_REQUIRE_IDEMPOTENCY_KEY", Default: "off", Meaning: "on: a send without the header Idempotency-Key is refused", set: onOff(func(c *Config) *bool { return &c.NeedSendKey })},
		{Env: "OPENMAIL_LIMITS", Default: "on", Meaning: "off lifts every rate and count limit (measuring, trusted networks)", set: onOff(func(c *Config) *bool { return &c.Limits })},
		{Env: "OPENMAIL_LIMIT_SOCKETS", Default: "10", Meaning: "WebSockets of an account at a time; 0: any number", set: number(func(c *Config, n int) { c.SocketLimit = n }, 0, 1e6)},
		{Env: "OPENMAIL_LIMIT_SOCKET_MESSAGES", Default: "30", Meaning: "messages of a WebSocket client in 10 s; 0: any number", set: number(func(c *Config, n int) { c.SocketMessages = n }, 0, 1e6)},
		{Env: "OPENMAIL_LIMIT_REQUESTS", Default: "1000", Meaning: "REST requests of an account in a minute; 0: any number", set: number(func(c *Config, n int) { c.RequestLimit = n }, 0, 1e9)},
		{Env: "OPENMAIL_LIMIT_SENDS_MINUTE", Default: "", Meaning: "mails that an inbox sends in a minute; 0: any number; empty: 10, on a .localhost domain any number", set: byDomain(func(c *Config) *int { return &c.SendsMinute })},
		{Env: "OPENMAIL_LIMIT_SENDS_DAY", Default: "", Meaning: "mails that an inbox sends in a day (UTC); 0: any number; empty: 200, on a .localhost domain any number", set: byDomain(func(c *Config) *int { return &c.SendsDay })},
		{Env: "OPENMAIL_LIMIT_COLD_INBOX", Default: "", Meaning: "people who never exchanged mail with an inbox and get one from it in a day (UTC), in its first 30 days; 0: any number; empty: 20, on a .localhost domain any number", set: byDomain(func(c *Config) *int { return &c.ColdInbox })},
		{Env: "OPENMAIL_LIMIT_COLD_ACCOUNT", Default: "", Meaning: "the same for all inboxes of an account: free (30 in its first 30 days, then 100), developer (150, then 500), launch (500, then 2000), two numbers such as 150,500, or one; 0: any number; empty: developer, on a .localhost domain any number", set: coldAccount},
		{Env: "OPENMAIL_LIMIT_INBOXES_DAY", Default: "", Meaning: "inboxes that an account creates in a day (UTC); 0: any number; empty: 100, on a .localhost domain any number", set: byDomain(func(c *Config) *int { return &c.InboxesDay })},
		{Env: "OPENMAIL_LIMIT_INBOXES", Default: "0", Meaning: "inboxes that an account may have; 0: any number", set: number(func(c *Config, n int) { c.MaxInboxes = n }, 0, 1e9)},
		{Env: "OPENMAIL_LIMIT_DOMAINS_DAY", Default: "", Meaning: "domains that an account adds in a day (UTC); 0: any number; empty: 100, on a .localhost domain any number", set: byDomain(func(c *Config) *int { return &c.DomainsDay })},
		{Env: "OPENMAIL_RECEIPT_DEADLINE", Default: "10s", Meaning: "how long a pushed event may stay without a receipt before it goes to the webhook: 3s to 2m", set: deadline},
		{Env: "OPENMAIL_EXTRACT", Default: "on", Meaning: "off: the text of attachments is not read", set: onOff(func(c *Config) *bool { return &c.Extract })},
		{Env: "OPENMAIL_EXTRACT_TIME", Default: "3s", Meaning: "how long a mail waits for the text of its attachments: 100ms to 30s; what was not read by then is read when somebody asks for it", set: between(func(c *Config) *time.Duration { return &c.ExtractTime }, 100*time.Millisecond, 30*time.Second)},
		{Env: "OPENMAIL_EXTRACT_LATER", Default: "10s", Meaning: "how long one attachment may take when somebody asks for its text: 1s to 25s", set: between(func(c *Config) *time.Duration { return &c.ExtractLater }, time.Second, 25*time.Second)},
		{Env: "OPENMAIL_EXTRACT_PROCESSES", Default: "0", Meaning: "how many attachments are read at a time, each in a process of 512 MiB at most; 0: as many as there are processors, at least 2", set: number(func(c *Config, n int) { c.ExtractProcesses = n }, 0, 256)},
		{Env: "OPENMAIL_RETAIN_EVENTS", Default: "720h", Meaning: "how long events can be replayed; 0: for ever", set: duration(func(c *Config) *time.Duration { return &c.RetainEvents })},
		{Env: "OPENMAIL_RETAIN_MESSAGES", Default: "0", Meaning: "how long messages are kept with their raw mail; 0: for ever", set: duration(func(c *Config) *time.Duration { return &c.RetainMessages })},
		{Env: "OPENMAIL_RETAIN_TRASH", Default: "720h", Meaning: "how long deleted threads are kept; 0: for ever", set: duration(func(c *Config) *time.Duration { return &c.RetainTrash })},
		{Env: "OPENMAIL_RETAIN_QUARANTINE", Default: "720h", Meaning: "how long mail is kept that a sender rule turned away; 0: for ever", set: duration(func(c *Config) *time.Duration { return &c.RetainQuarantine })},
		{Env: "OPENMAIL_RETAIN_AUDIT", Default: "2160h", Meaning: "how long it is kept what was changed of policies and what they refused; 0: for ever", set: duration(func(c *Config) *time.Duration { return &c.RetainAudit })},
		{Env: "OPENMAIL_ROOT_KEY", Default: "", Meaning: "first start only: the account key to create (om_…); empty: one is made and written to root-key in the data folder", Secret: true, set: text(func(c *Config) *string { return &c.RootKey })},
	}
}

// Value is one setting as it was given, and where.
type Value struct {
	Setting
	Value  string
	Source string // "default", "environment" or "flag"
}

// Values are all settings as they were given.
type Values []Value

// Load reads all settings: defaults, then the environment, then flags. flag
// returns the value of a flag and whether it was given; it is not asked for
// settings that have none.
func Load(getenv func(string) string, flag func(name string) (string, bool)) (Config, Values, error) {
	var c Config
	var values Values
	for _, s := range Settings() {
		v := Value{Setting: s, Value: s.Default, Source: "default"}
		if e := getenv(s.Env); e != "" {
			v.Value, v.Source = e, "environment"
		}
		if s.Flag != "" {
			if f, given := flag(s.Flag); given {
				v.Value, v.Source = f, "flag"
			}
		}
		if err := s.set(&c, v.Value); err != nil {
			return c, nil, fmt.Errorf("%s: %w", s.name(v.Source), err)
		}
		values = append(values, v)
	}
	if err := checkTLS(c); err != nil {
		return c, nil, err
	}
	return c, values, nil
}

// name is how the one who gave a value spells it.
func (s Setting) name(source string) string {
	if source == "flag" {
		return "--" + s.Flag
	}
	return s.Env
}

// Shown is the value as it may be printed.
func (v Value) Shown() string {
	if v.Value == "" {
		return ""
	}
	if v.Secret {
		return "(set)"
	}
	if u, err := url.Parse(v.Value); err == nil && u.User != nil {
		return u.Redacted()
	}
	return v.Value
}

func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error {
		*field(c) = v
		return nil
	}
}

func list(field func(*Config) *[]string) func(*Config, string) error {
	return func(c *Config, v string) error {
		*field(c) = strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	}
}

// allow is a list of destinations that are opened.
func allow(field func(*Config) *[]string) func(*Config, string) error {
	return func(c *Config, v string) error {
		if err := list(field)(c, v); err != nil {
			return err
		}
		_, err := reach.New(reach.Config{Allow: *field(c)})
		return err
	}
}

func address(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error {
		if _, port, err := net.SplitHostPort(v); err != nil || port == "" {
			return fmt.Errorf("%q is not an address: write host:port, such as 127.0.0.1:8025 (port 0 picks a free one)", v)
		}
		*field(c) = v
		return nil
	}
}

func logFormat(c *Config, v string) error {
	switch v {
	case "", "text", "json":
		c.Log = v
		return nil
	}
	return fmt.Errorf("%q is neither text nor json", v)
}

func onOff(field func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, v string) error {
		switch v {
		case "on", "true", "1":
			*field(c) = true
		case "off", "false", "0":
			*field(c) = false
		default:
			return fmt.Errorf("%q is neither on nor off", v)
		}
		return nil
	}
}

func number(put func(*Config, int), least, most int) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is not a number from %d to %d", v, least, most)
		}
		put(c, n)
		return nil
	}
}

// limitByDomain is a limit that nobody has set.
const limitByDomain = -1

// byDomain is a limit whose default depends on the domain.
func byDomain(field func(*Config) *int) func(*Config, string) error {
	return func(c *Config, v string) error {
		if *field(c) = limitByDomain; v == "" {
			return nil
		}
		return number(func(c *Config, n int) { *field(c) = n }, 0, 1e9)(c, v)
	}
}

// coldPlans are the contract's limits of first contacts, of new accounts and of
// others.
func coldPlans() map[string]string {
	return map[string]string{"free": "30,100", "developer": "150,500", "launch": "500,2000"}
}

func coldAccount(c *Config, v string) error {
	if plan, ok := coldPlans()[v]; ok {
		v = plan
	}
	first, then, two := strings.Cut(v, ",")
	if !two {
		then = first
	}
	for field, text := range map[*int]string{&c.ColdNew: first, &c.Cold: then} {
		if err := byDomain(func(*Config) *int { return field })(c, strings.TrimSpace(text)); err != nil || two && text == "" {
			return fmt.Errorf("%q is neither free, developer, launch nor one or two numbers, such as 150,500", v)
		}
	}
	return nil
}

// limit is what a setting made by byDomain comes to; 0 for none.
func (c Config) limit(set, contract int) int {
	switch {
	case !c.Limits:
		return 0
	case set != limitByDomain:
		return set
	case c.Domain == "localhost" || strings.HasSuffix(c.Domain, ".localhost"):
		return 0
	}
	return contract
}

func duration(field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a length of time: write it like 720h or 30m", v)
		}
		*field(c) = d
		return nil
	}
}

func between(field func(*Config) *time.Duration, least, most time.Duration) func(*Config, string) error {
	return func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < least || d > most {
			return fmt.Errorf("%q is not a length of time from %v to %v", v, least, most)
		}
		*field(c) = d
		return nil
	}
}

func deadline(c *Config, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < delivery.MinDeadline || d > delivery.MaxDeadline {
		return fmt.Errorf("%q is not a length of time from %v to %v", v, delivery.MinDeadline, delivery.MaxDeadline)
	}
	c.ReceiptDeadline = d
	return nil
}

func postmaster(c *Config, v string) error {
	if local, _, ok := strings.Cut(v, "@"); v != "" && (!ok || local == "") {
		return fmt.Errorf("%q is not an address, such as ops@mail.example.com", v)
	}
	c.Postmaster = openmail.BaseAddress(v)
	return nil
}

func domain(c *Config, v string) error {
	v = strings.ToLower(strings.TrimSuffix(v, "."))
	if v == "" || len(v) > 253 || strings.ContainsAny(v, "@ /:_") || strings.HasPrefix(v, ".") || strings.Contains(v, "..") {
		return fmt.Errorf("%q is not a domain name, such as mail.example.com", v)
	}
	c.Domain = v
	return nil
}

func publicURL(c *Config, v string) error {
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is not a URL such as https://mail.example.com", v)
	}
	c.PublicURL = strings.TrimSuffix(v, "/")
	return nil
}

// optional is a setting that may be empty.
func optional(set func(*Config, string) error) func(*Config, string) error {
	return func(c *Config, v string) error {
		if v == "" {
			return nil
		}
		return set(c, v)
	}
}

func email(c *Config, v string) error {
	v = strings.ToLower(v)
	if v != "" && (strings.Count(v, "@") != 1 || strings.ContainsAny(v, " ,<>?:") || len(v) > 254) {
		return errors.New("write one address, such as admin@example.com")
	}
	c.ACMEEmail = v
	return nil
}

func directory(c *Config, v string) error {
	u, err := url.Parse(v)
	if v != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		return fmt.Errorf("%q is not a URL such as https://acme-v02.api.letsencrypt.org/directory", v)
	}
	c.ACMEDirectory = v
	return nil
}

func database(c *Config, v string) error {
	if v != "" && !strings.HasPrefix(v, "postgres://") && !strings.HasPrefix(v, "postgresql://") {
		return fmt.Errorf("a database URL begins with postgres://; leave it empty for SQLite in the data folder")
	}
	c.Database = v
	return nil
}

// onlyEmpty is a setting that later versions know values of.
func onlyEmpty(_ *Config, v string) error {
	if v == "" {
		return nil
	}
	return errors.New("this version knows no value for it: leave it empty")
}

func relay(c *Config, v string) error {
	if v != "" && v != "none" {
		if _, err := smtpout.ParseRelay(v); err != nil {
			return err
		}
	}
	c.Relay = v
	return nil
}

func mechanism(c *Config, v string) error {
	term := regexp.MustCompile(`^(a|mx|ip4|ip6|include|exists):[!-~]{1,200}$`)
	if v != "" && (!term.MatchString(v) || strings.ContainsAny(v, "\"\\;")) {
		return fmt.Errorf("%q is not an SPF mechanism such as include:_spf.example.com or ip4:192.0.2.1", v)
	}
	c.SPF = v
	return nil
}

func nameServers(c *Config, v string) error {
	if err := list(func(c *Config) *[]string { return &c.SMTPDNS })(c, v); err != nil {
		return err
	}
	for _, s := range c.SMTPDNS {
		if host, port, err := net.SplitHostPort(s); err != nil || host == "" || port == "" {
			return fmt.Errorf("%q is not a name server: write host:port, such as 127.0.0.1:53", s)
		}
	}
	return nil
}
