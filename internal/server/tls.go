package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// tlsConfig returns how the API listener speaks TLS, nil where it does not.
func (c *core) tlsConfig(ctx context.Context, host string) (*tls.Config, error) {
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	switch {
	case c.cfg.TLSCert != "":
		files := &certificateFiles{cert: c.cfg.TLSCert, key: c.cfg.TLSKey, log: c.log}
		if _, err := files.get(nil); err != nil {
			return nil, err
		}
		base.GetCertificate = files.get
	case c.cfg.TLSAuto:
		cert, err := c.localCertificate(ctx, host)
		if err != nil {
			return nil, fmt.Errorf("making a certificate: %w", err)
		}
		base.Certificates = []tls.Certificate{*cert}
	default:
		return nil, nil
	}
	return base, nil
}

// certificateFiles serves a certificate from files and follows their changes. A
// new pair that cannot be read leaves the old one in use.
type certificateFiles struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   [2]time.Time // of the files of current
	broken  [2]time.Time // of files that were logged as unreadable
	looked  time.Time
}

func (f *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.current != nil && now.Sub(f.looked) < time.Second {
		return f.current, nil
	}
	f.looked = now
	var stamp [2]time.Time
	for i, path := range []string{f.cert, f.key} {
		if info, err := os.Stat(path); err == nil {
			stamp[i] = info.ModTime()
		}
	}
	if f.current != nil && stamp == f.stamp {
		return f.current, nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		if f.current == nil {
			return nil, fmt.Errorf("reading the TLS certificate: %w", err)
		}
		if stamp != f.broken {
			f.broken = stamp
			f.log.Error("the new TLS certificate cannot be read; the old one stays in use", "file", f.cert, "error", err)
		}
		return f.current, nil
	}
	f.current, f.stamp = &pair, stamp
	return f.current, nil
}

// authority is the record of the local certificate authority of --tls-auto.
type authority struct {
	Version     int    `json:"v"`
	Certificate []byte `json:"certificate"` // DER
	Key         []byte `json:"key"`         // DER, PKCS #8
}

func (a *authority) Prepare() error {
	if a.Version != 1 {
		return fmt.Errorf("certificate authority record of version %d; this keywright knows version 1: use a newer one", a.Version)
	}
	return nil
}

var authorityPath = []byte("tls/authority")

// caName is the file in the data folder that clients take as AWS_CA_BUNDLE.
const caName = "ca.pem"

// localCertificate issues a certificate for this start from the authority, which
// is made at the first.
func (c *core) localCertificate(ctx context.Context, host string) (*tls.Certificate, error) {
	a, err := c.authority(ctx)
	if err != nil {
		return nil, err
	}
	ca, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return nil, err
	}
	caKey, err := x509.ParsePKCS8PrivateKey(a.Key)
	if err != nil {
		return nil, err
	}
	dir := c.cfg.Data
	if dir == "" {
		dir = c.tempDir
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate})
	if err := os.WriteFile(filepath.Join(dir, caName), text, 0o644); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "keywright"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     ca.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     append([]string{"localhost"}, c.cfg.Hostnames...),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		if ip.IsUnspecified() {
			template.IPAddresses = append(template.IPAddresses, interfaceAddresses()...)
		} else {
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	} else if host != "" {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.Certificate}, PrivateKey: key}, nil
}

func (c *core) authority(ctx context.Context) (*authority, error) {
	v, err := c.db.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	found, err := record.Get[authority](v, authorityPath)
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return found.Value, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "keywright local authority"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	a := &authority{Version: 1, Certificate: der, Key: pkcs8}
	tx := c.db.Tx()
	record.Put(tx, authorityPath, 0, a)
	_, err = tx.Commit(ctx)
	return a, err
}

func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b[:])
}

func interfaceAddresses() []net.IP {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var ips []net.IP
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			ips = append(ips, n.IP)
		}
	}
	return ips
}
