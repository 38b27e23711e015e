package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// install is what brings the peers by other hands.
const install = "run `make install`, which installs them"

// tool finds a program of the interop tests.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("the interop tests need %s, Debian's package xmlsec1, libxml2-utils or nodejs: %s", name, install)
	}
	return path
}

// runTool runs a program on files and returns what it writes.
func runTool(t testing.TB, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	cmd := exec.CommandContext(ctx, tool(t, name), args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// writeFile puts content into a file of the test's own folder.
func writeFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Elements by the names that xmlsec1 wants.
const (
	responseElement   = "urn:oasis:names:tc:SAML:2.0:protocol:Response"
	assertionElement  = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"
	descriptorElement = "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor"

	logoutResponseElement = "urn:oasis:names:tc:SAML:2.0:protocol:LogoutResponse"
)

// xmlsecVerify checks the enveloped signature directly below the element at this
// XPath. The certificate is the only one trusted, and the one that KeyInfo has to hold.
func xmlsecVerify(t testing.TB, xml, element, xpath string, certificate []byte) (string, error) {
	t.Helper()
	file := writeFile(t, "signed.xml", []byte(xml))
	trusted := writeFile(t, "trusted.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	args := []string{"--verify", "--trusted-pem", trusted, "--enabled-key-data", "x509", "--id-attr:ID", element}
	for _, other := range []string{responseElement, assertionElement, descriptorElement} {
		if other != element {
			args = append(args, "--id-attr:ID", other)
		}
	}
	args = append(args, "--node-xpath", xpath+"/*[local-name()='Signature']", file)
	return runTool(t, nil, "xmlsec1", args...)
}

// local is an XPath step by local name.
func local(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "/*[local-name()='%s']", n)
	}
	return b.String()
}

// mustVerify fails unless xmlsec1 takes the signature, and refuses it once the
// document is changed inside.
func mustVerify(t testing.TB, xml, element, xpath string, certificate []byte, old, changed string) {
	t.Helper()
	if out, err := xmlsecVerify(t, xml, element, xpath, certificate); err != nil {
		t.Errorf("xmlsec1 refuses the signature at %s: %v\n%s\n%s", xpath, err, out, xml)
	}
	if !strings.Contains(xml, old) {
		t.Fatalf("there is no %q to change", old)
	}
	if _, err := xmlsecVerify(t, strings.Replace(xml, old, changed, 1), element, xpath, certificate); err == nil {
		t.Errorf("xmlsec1 takes the signature at %s over a changed document", xpath)
	}
}

// mustBeValid holds a document against the OASIS schemas, as Debian packages them.
// Nothing is fetched: the catalog leads what lies elsewhere to files.
func mustBeValid(t testing.TB, xml string) {
	t.Helper()
	const opensaml, xmltooling = "file:///usr/share/xml/opensaml/", "file:///usr/share/xml/xmltooling/"
	if _, err := os.Stat("/usr/share/xml/opensaml/saml-schema-protocol-2.0.xsd"); err != nil {
		t.Fatalf("the interop tests need Debian's packages opensaml-schemas and xmltooling-schemas: %s", install)
	}
	catalog := `<catalog xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">` +
		`<system systemId="http://www.w3.org/TR/2002/REC-xmldsig-core-20020212/xmldsig-core-schema.xsd" uri="` + xmltooling +
		`xmldsig-core-schema.xsd"/>` +
		`<system systemId="http://www.w3.org/TR/2002/REC-xmlenc-core-20021210/xenc-schema.xsd" uri="` + xmltooling +
		`xenc-schema.xsd"/>` +
		`<system systemId="http://www.w3.org/2001/xml.xsd" uri="` + xmltooling + `xml.xsd"/></catalog>`
	schema := `<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:ssobridge:test">` +
		`<import namespace="urn:oasis:names:tc:SAML:2.0:assertion" schemaLocation="` + opensaml +
		`saml-schema-assertion-2.0.xsd"/>` +
		`<import namespace="urn:oasis:names:tc:SAML:2.0:protocol" schemaLocation="` + opensaml +
		`saml-schema-protocol-2.0.xsd"/>` +
		`<import namespace="urn:oasis:names:tc:SAML:2.0:metadata" schemaLocation="` + opensaml +
		`saml-schema-metadata-2.0.xsd"/>` +
		`<import namespace="http://www.w3.org/2009/xmlenc11#" schemaLocation="` + xmltooling + `xenc11-schema.xsd"/></schema>`
	check := func(xml string) (string, error) {
		return runTool(t, []string{"XML_CATALOG_FILES=" + writeFile(t, "catalog.xml", []byte(catalog))}, "xmllint",
			"--nonet", "--noout", "--schema", writeFile(t, "driver.xsd", []byte(schema)),
			writeFile(t, "document.xml", []byte(xml)))
	}
	if out, err := check(xml); err != nil {
		t.Errorf("against the schemas: %v\n%s\n%s", err, out, xml)
	}
	// The schemas are really asked: an element that does not belong there is found.
	end := strings.LastIndex(xml, "</")
	if out, err := check(xml[:end] + "<stranger/>" + xml[end:]); err == nil {
		t.Errorf("an unknown element passes the schemas:\n%s", out)
	}
}

// keyPair is an RSA key of a peer with its certificate, DER and PEM.
type keyPair struct {
	key     *rsa.PrivateKey
	der     []byte
	private string // PEM
	public  string // PEM
}

func newKeyPair(t testing.TB) keyPair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "peer"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, // for a peer that serves by TLS
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{
		key: key, der: der,
		private: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		public:  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
	}
}

// nodeSP is a peer made of a library for Node.js, in a process of its own: the service provider of @node-saml/node-saml
// in interop/sp.js, or the OpenID provider of oidc-provider in interop/op.js.
type nodeSP struct {
	t   testing.TB
	in  *json.Encoder
	out *bufio.Scanner
}

func startNode(t testing.TB) *nodeSP {
	t.Helper()
	return startScript(t, "sp.js", filepath.Join("@node-saml", "node-saml"))
}

// startScript starts a peer of the interop folder that is made of a library.
func startScript(t testing.TB, script, library string) *nodeSP {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(root, ".tools", "interop", "node_modules")
	if _, err := os.Stat(filepath.Join(modules, library)); err != nil {
		t.Fatalf("the interop tests need %s in %s: %s", library, modules, install)
	}
	cmd := exec.Command(tool(t, "node"), filepath.Join("interop", script))
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends with its input
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("node ended: %v\n%s", err, complaints.String())
		}
	})
	n := &nodeSP{t: t, in: json.NewEncoder(in), out: bufio.NewScanner(out)}
	n.out.Buffer(nil, 4<<20)
	return n
}

// try gives one command and reads its answer.
func (n *nodeSP) try(name string, arguments map[string]any) (map[string]any, error) {
	n.t.Helper()
	request := map[string]any{"do": name}
	for k, v := range arguments {
		request[k] = v
	}
	if err := n.in.Encode(request); err != nil {
		n.t.Fatalf("node: %s: %v", name, err)
	}
	if !n.out.Scan() {
		n.t.Fatalf("node: %s: no answer: %v", name, n.out.Err())
	}
	var answer struct {
		OK    map[string]any `json:"ok"`
		Error *string        `json:"error"`
	}
	if err := json.Unmarshal(n.out.Bytes(), &answer); err != nil {
		n.t.Fatalf("node: %s: %v: %s", name, err, n.out.Text())
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("node: %s", *answer.Error)
	}
	return answer.OK, nil
}

// ask is try for what must work.
func (n *nodeSP) ask(name string, arguments map[string]any) map[string]any {
	n.t.Helper()
	answer, err := n.try(name, arguments)
	if err != nil {
		n.t.Fatalf("%s: %v", name, err)
	}
	return answer
}
