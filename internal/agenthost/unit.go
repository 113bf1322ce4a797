package agenthost

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Names of the bridge, for systemd and for launchd.
const (
	UnitName   = "openmail-openclaw-bridge.service"
	LaunchName = "sh.openmail.openclaw-bridge"
)

// Service is a bridge that is to be kept running.
type Service struct {
	Program string // this program's path
	EnvFile string
	Log     string // where launchd puts what it says
}

// Unit is the bridge as a unit of systemd. It is started again after a failure,
// three times in five minutes at most.
func (s Service) Unit() ([]byte, error) {
	for _, path := range []string{s.Program, s.EnvFile} {
		if strings.ContainsAny(path, "\"'\\$*?[") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("systemd cannot be told of the path %q: move it to where its name has no quotes, $, *, ?, [ or \\", path)
		}
	}
	program, env := strings.ReplaceAll(s.Program, "%", "%%"), strings.ReplaceAll(s.EnvFile, "%", "%%")
	return []byte(`[Unit]
Description=OpenMail hands mail to OpenClaw
After=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=3

[Service]
EnvironmentFile=` + env + `
ExecStart="` + program + `" ws bridge
Restart=on-failure
RestartSec=5
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy=default.target
`), nil
}

// LaunchAgent is the bridge as a property list of launchd. It holds no key: a
// shell reads the environment file.
func (s Service) LaunchAgent() []byte {
	var arguments strings.Builder
	for _, a := range []string{"/bin/sh", "-c", `set -a; . "$0"; exec "$@"`, s.EnvFile, s.Program, "ws", "bridge"} {
		fmt.Fprintf(&arguments, "    <string>%s</string>\n", escape(a))
	}
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>` + LaunchName + `</string>
  <key>ProgramArguments</key>
  <array>
` + arguments.String() + `  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardErrorPath</key>
  <string>` + escape(s.Log) + `</string>
</dict>
</plist>
`)
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}
