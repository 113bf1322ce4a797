// Package bypass has what the static test of the package webhook must find.
package bypass

import (
	"net"
	web "net/http"
)

func bypass() {
	_, _ = web.Get("http://127.0.0.1/")
	_ = web.DefaultClient
	_, _ = net.Dial("tcp", "127.0.0.1:80")
}
