package system_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// trust makes the client speak TLS to servers that the PEM file vouches for.
func (c *client) trust(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("%s has no certificate", file)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	c.http = &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// TestTLSAuto: with the local authority's certificate clients reach the server,
// without it they do not, and it stays the same over restarts.
func TestTLSAuto(t *testing.T) {
	data := t.TempDir()
	ca := filepath.Join(data, "ca.pem")
	var first []byte
	for range 2 {
		p := start(t, data, "--tls-auto", "--hostname", "kms.example.com")
		c := p.client()
		if _, err := c.call(t.Context(), "ListKeys", "", m{}); err == nil {
			t.Error("a client that does not know the authority believes the certificate")
		}
		c.trust(t, ca)
		id := c.newKey(t, m{})
		c.must(t, "Encrypt", m{"KeyId": id, "Plaintext": []byte("x")})

		text, err := os.ReadFile(ca)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = text
		}
		if string(text) != string(first) {
			t.Error("the authority is another after a restart")
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(text)
		for name, good := range map[string]bool{"127.0.0.1": true, "localhost": true, "kms.example.com": true, "evil.example": false} {
			conn, err := tls.Dial("tcp", c.host, &tls.Config{RootCAs: pool, ServerName: name})
			if err == nil {
				conn.Close()
			}
			if (err == nil) != good {
				t.Errorf("the certificate for %s: %v", name, err)
			}
		}
		if conn, err := tls.Dial("tcp", c.host, &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
			conn.Close()
			t.Error("the server speaks TLS 1.1")
		}
		if resp := rawRoundTrip(t, c.host, "GET /healthz HTTP/1.1\r\nHost: "+c.host+"\r\n\r\n"); resp.StatusCode != 400 {
			t.Errorf("plain HTTP on a TLS port: got %d", resp.StatusCode)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
}

// TestTLSReload: a certificate that is replaced is used for new connections,
// and one that cannot be read changes nothing.
func TestTLSReload(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, 1)
	p := start(t, t.TempDir(), "--tls-cert", cert, "--tls-key", key)
	c := p.client()
	c.trust(t, cert)
	c.must(t, "ListKeys", m{})

	writeCertificate(t, cert, key, 2)
	awaitSerial(t, c.host, 2)
	c.trust(t, cert)
	c.must(t, "ListKeys", m{})

	if err := os.WriteFile(cert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		time.Sleep(500 * time.Millisecond)
		if got := serial(t, c.host); got != 2 {
			t.Fatalf("with a broken file the server has certificate %d, want the last good one, 2", got)
		}
	}
	if !p.logs("certificate") {
		t.Errorf("the operator is not told that the new certificate cannot be read:\n%s", p.log)
	}
	writeCertificate(t, cert, key, 3)
	awaitSerial(t, c.host, 3)
}

func awaitSerial(t *testing.T, addr string, want int64) {
	t.Helper()
	got := int64(0)
	for range 50 {
		if got = serial(t, addr); got == want {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("5 seconds after the change the server has certificate %d, want %d", got, want)
}

// serial is that of the certificate which the server shows.
func serial(t *testing.T, addr string) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
