package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// selfSignedFile holds the key and the certificate that SelfSigned made, in one
// file so that they cannot part.
const selfSignedFile = "smtp-tls.pem"

// certificateLife is how long a certificate of our own is valid. Nobody checks
// it, and no client should stop using TLS for its sake.
const certificateLife = 10 * 365 * 24 * time.Hour

// SelfSigned returns the self-signed certificate that is kept in dir, for
// hostname and localhost. It makes one when there is none, or when that one is
// for another name or expired. Its file has mode 0600.
func SelfSigned(dir, hostname string) (tls.Certificate, error) {
	file := filepath.Join(dir, selfSignedFile)
	cert, err := tls.LoadX509KeyPair(file, file)
	switch {
	case err == nil && serves(cert, hostname, time.Now()):
		return cert, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return tls.Certificate{}, fmt.Errorf("load TLS certificate %s: %w", file, err)
	}
	text, err := newCertificate(hostname, time.Now())
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := writeFile(file, text); err != nil {
		return tls.Certificate{}, fmt.Errorf("keep TLS certificate: %w", err)
	}
	return tls.X509KeyPair(text, text)
}

func serves(cert tls.Certificate, hostname string, now time.Time) bool {
	return cert.Leaf.VerifyHostname(hostname) == nil && now.Before(cert.Leaf.NotAfter)
}

// newCertificate makes a key and a certificate, in PEM.
func newCertificate(hostname string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make TLS key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make TLS serial: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: hostname},
		DNSNames:     []string{hostname, "localhost"},
		NotBefore:    now.Add(-time.Hour), // for clients whose clock is late
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign TLS certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode TLS key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...), nil
}

// writeFile writes file whole or not at all, mode 0600.
func writeFile(file string, text []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
