// Package bypass has what the static test of the package reach must find.
package bypass

import (
	"crypto/tls"
	"net"
	web "net/http"
)

func bypass() {
	_, _ = web.Get("http://127.0.0.1/")
	_ = web.DefaultClient
	_, _ = net.Dial("tcp", "127.0.0.1:80")
	_ = net.Dialer{}
	_, _ = tls.Dial("tcp", "127.0.0.1:443", nil)
}
