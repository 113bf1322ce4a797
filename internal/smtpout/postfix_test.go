package smtpout_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"openmail/internal/outgoing"
	"openmail/internal/smtpout"
)

// Servers that others wrote: Postfix's smtp-sink, which can be told how to
// misbehave, and Postfix itself. Only root can start the latter, so others test
// with the former alone.

// program finds a program of Postfix.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"} {
		if path := filepath.Join(dir, name); exec.Command("test", "-x", path).Run() == nil {
			return path
		}
	}
	t.Fatalf("%s is needed for this test (Debian: apt-get install postfix)", name)
	return ""
}

// openDir is a folder that programs of other users can reach.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "openmail-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run starts a server, waits until it listens, and ends it with the test.
func run(t *testing.T, addr string, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it ends its whole group
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	eventually(t, addr+" listens", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", cmd.Path, out.String())
		default:
		}
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick, end := time.NewTicker(20*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// sink starts smtp-sink and makes a sender to it. Mails go to files in dir.
func sink(t *testing.T, flags ...string) (s *smtpout.Sender, dir string) {
	t.Helper()
	dir, p := openDir(t), port(t)
	args := append([]string{"-d", dir + "/mail."}, flags...)
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	addr := fmt.Sprintf("127.0.0.1:%d", p)
	run(t, addr, exec.Command(program(t, "smtp-sink"), append(args, addr, "100")...))
	_, dns := startNames(t, "there.test. MX 10 mx.there.test.", "mx.there.test. A 127.0.0.1")
	return sender(t, smtpout.Config{Port: p, DNS: []string{dns}}), dir
}

// dumped is what smtp-sink keeps of the one mail that it took.
func dumped(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(dir + "/mail.*")
	if err != nil || len(files) != 1 {
		t.Fatalf("%d mails were taken, %v", len(files), err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSMTPSinkTakesMailWithAndWithoutItsExtensions(t *testing.T) {
	want := strings.ReplaceAll(testMail, "\r\n", "\n")
	for name, flags := range map[string][]string{
		"everything": nil, "no pipelining": {"-p"}, "no ESMTP": {"-e"}, "no 8BITMIME": {"-8"}, "as a PIX": {"-P"}, "slowly": {"-w", "1"},
	} {
		s, dir := sink(t, flags...)
		answers := s.Send(t.Context(), parcel("a@there.test", "b@there.test"))
		for _, a := range answers {
			if a.Fate != outgoing.FateAccepted || a.Code != 250 {
				t.Errorf("%s: %+v", name, a)
			}
		}
		got := dumped(t, dir)
		if !strings.HasSuffix(strings.TrimRight(got, "\n"), strings.TrimRight(want, "\n")) ||
			!strings.Contains(got, "X-Rcpt-Args: <a@there.test>") || !strings.Contains(got, "X-Rcpt-Args: <b@there.test>") || !strings.Contains(got, "X-Mail-Args: <agent@openmail.test>") {
			t.Errorf("%s: taken %q", name, got)
		}
	}
}

func TestSMTPSinkIsUnderstoodWhereItRefuses(t *testing.T) {
	for _, c := range []struct {
		flags []string
		fate  outgoing.Fate
		code  int
	}{
		{[]string{"-f", "CONNECT"}, outgoing.FateDeferred, 500},
		{[]string{"-f", "MAIL"}, outgoing.FateRefused, 500},
		{[]string{"-f", "RCPT", "-B", "550 5.1.1 nobody"}, outgoing.FateRefused, 550},
		{[]string{"-f", "DATA"}, outgoing.FateRefused, 500},
		{[]string{"-f", "."}, outgoing.FateRefused, 500},
		{[]string{"-r", "CONNECT"}, outgoing.FateDeferred, 450},
		{[]string{"-r", "MAIL"}, outgoing.FateDeferred, 450},
		{[]string{"-r", "RCPT"}, outgoing.FateDeferred, 450},
		{[]string{"-r", "DATA"}, outgoing.FateDeferred, 450},
		{[]string{"-r", "."}, outgoing.FateDeferred, 450},
		{[]string{"-q", "CONNECT"}, outgoing.FateDeferred, 0},
		{[]string{"-q", "EHLO"}, outgoing.FateDeferred, 0},
		{[]string{"-q", "RCPT"}, outgoing.FateDeferred, 0},
		{[]string{"-q", "DATA"}, outgoing.FateDeferred, 0},
		{[]string{"-q", "."}, outgoing.FateDeferred, 0},
		{[]string{"-Q", "RCPT"}, outgoing.FateDeferred, 421},
		{[]string{"-Q", "."}, outgoing.FateDeferred, 421},
		{[]string{"-A", "0"}, outgoing.FateRefused, 550},
	} {
		s, _ := sink(t, c.flags...)
		if a := one(t, s); a.Fate != c.fate || a.Code != c.code || a.Enhanced == "" || a.Text == "" {
			t.Errorf("%q: %+v", c.flags, a)
		}
	}
}

// postfix starts Postfix with mailboxes a@there.test and b@there.test below
// mail in the folder that it returns.
func postfix(t *testing.T, p uint16, cert *tls.Config) (dir string) {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	dir = openDir(t)
	if err := os.Chmod(dir, 0o755); err != nil { // Postfix wants it so
		t.Fatal(err)
	}
	writeAll(t, dir, map[string]string{
		"main.cf": fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.there.test
mydestination =
virtual_mailbox_domains = there.test
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = inline:{{a@there.test=a/}, {b@there.test=b/}}
virtual_uid_maps = static:%[2]s
virtual_gid_maps = static:%[3]s
smtpd_tls_security_level = may
smtpd_tls_chain_files = %[1]s/tls.pem
smtpd_relay_restrictions = reject_unauth_destination
message_size_limit = 100000
`, dir, nobody.Uid, nobody.Gid),
		"master.cf": fmt.Sprintf(`127.0.0.1:%d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`, p),
		"tls.pem": pemOf(t, cert),
	})
	for _, d := range []string{"spool", "data", "mail"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	chown(t, filepath.Join(dir, "mail"), nobody)
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	chown(t, filepath.Join(dir, "data"), owner)
	run(t, fmt.Sprintf("127.0.0.1:%d", p), exec.Command(program(t, "postfix"), "-c", dir, "start-fg"))
	t.Cleanup(func() { // a signal would end the script alone
		if out, err := exec.Command(program(t, "postfix"), "-c", dir, "stop").CombinedOutput(); err != nil {
			t.Errorf("stop Postfix: %v: %s", err, out)
		}
	})
	return dir
}

func writeAll(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func chown(t *testing.T, name string, to *user.User) {
	t.Helper()
	uid, err1 := strconv.Atoi(to.Uid)
	gid, err2 := strconv.Atoi(to.Gid)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := os.Chown(name, uid, gid); err != nil {
		t.Fatal(err)
	}
}

func pemOf(t *testing.T, c *tls.Config) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	for _, der := range c.Certificates[0].Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return string(text)
}

func TestPostfixDeliversWhatIsSentOverProvenTLS(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("Postfix itself can be started by root only: smtp-sink stands for it")
		return
	}
	ca := newAuthority(t)
	p := port(t)
	dir := postfix(t, p, ca.server(t, "mx.there.test"))
	n, dns := startNames(t, "there.test. MX 10 mx.there.test.", "mx.there.test. A 127.0.0.1",
		fmt.Sprintf("_%d._tcp.mx.there.test. TLSA %s", p, tlsa(2, 0, 1, ca.cert)))
	n.change(func() { n.signed = true })
	s := sender(t, smtpout.Config{Port: p, DNS: []string{dns}})

	got := s.Send(t.Context(), parcel("a@there.test", "gone@there.test", "b@there.test", "c@elsewhere.test"))
	for _, i := range []int{0, 2} {
		if a := got[i]; a.Fate != outgoing.FateAccepted || a.Code != 250 || a.Enhanced != "2.0.0" || a.TLS != "dane" || !strings.Contains(a.Text, "queued as") {
			t.Errorf("answer %+v", a)
		}
	}
	checkAnswer(t, got[1], outgoing.FateRefused, 550, "5.1.1", "User unknown in virtual mailbox table")
	checkAnswer(t, got[3], outgoing.FateRefused, 554, "5.7.1", "Relay access denied")
	for _, box := range []string{"a", "b"} {
		mail := delivered(t, filepath.Join(dir, "mail", box, "new"))
		_, body, _ := strings.Cut(mail, "\n\n")
		if body != "hello\n.\n..two\nend\n" || !strings.Contains(mail, "with ESMTPS id") || !strings.Contains(mail, "from out.openmail.test") {
			t.Errorf("delivered %q", mail)
		}
	}

	large := parcel("a@there.test")
	large.Mail = append(large.Mail, bytes.Repeat([]byte("x\r\n"), 50_000)...)
	checkAnswer(t, s.Send(t.Context(), large)[0], outgoing.FateRefused, 0, "5.3.4", "mail of up to 100000 bytes")
}

// delivered is the one mail in a folder, as soon as it is there.
func delivered(t *testing.T, dir string) string {
	t.Helper()
	var files []os.DirEntry
	eventually(t, "a mail is in "+dir, func() bool {
		files, _ = os.ReadDir(dir)
		return len(files) == 1
	})
	b, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
