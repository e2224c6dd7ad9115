package stream

import (
	"crypto/tls"
	"fmt"
)

// tlsConfig returns nil without a certificate. The files are read once to see
// that they are good, and then for each connection, so that a renewed
// certificate needs no restart.
func tlsConfig(cert, key string) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		return &pair, nil
	}
	if _, err := load(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: load, NextProtos: []string{"http/1.1"}}, nil
}
