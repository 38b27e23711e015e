package directory

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// readAuthorities reads the certificates of a file: PEM with whatever stands around it, or one certificate in DER.
// unread says what can't be read; fault, what is wrong where nothing can.
func readAuthorities(name string, data []byte) (roots *x509.CertPool, unread []string, fault *Fault) {
	const write = "write the directory's CA certificate into it, from BEGIN CERTIFICATE to END CERTIFICATE"
	const negative = "the certificate in %s has a negative serial number, which RFC 5280 4.1.2.2 forbids"
	roots = x509.NewCertPool()
	rest := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // a byte order mark would hide the first BEGIN
	found, other, isNegative := 0, "", false
	for n := 1; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			other = block.Type
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			unread = append(unread, fmt.Sprintf("block %d of %s can't be read: %v", n, name, err))
			isNegative = isNegative || isNegativeSerial(err.Error())
			continue
		}
		roots.AddCert(c)
		found++
	}
	switch {
	case found > 0:
		return roots, unread, nil
	case isNegative:
		return roots, nil, &Fault{fmt.Sprintf(negative, name), negativeSerialFix}
	case len(unread) > 0:
		return roots, nil, &Fault{unread[0],
			"have the certificate issued again, or export it again: the file may have been cut"}
	case other != "":
		return roots, nil, &Fault{fmt.Sprintf("%s holds no certificate in PEM form, but a block %q", name, other), write}
	}
	c, err := x509.ParseCertificate(data)
	switch {
	case err == nil:
		roots.AddCert(c)
		return roots, nil, nil
	case isNegativeSerial(err.Error()):
		return roots, nil, &Fault{fmt.Sprintf(negative, name), negativeSerialFix}
	case len(bytes.TrimSpace(data)) == 0:
		return roots, nil, &Fault{name + " is empty", write}
	}
	return roots, nil, &Fault{name + " holds no certificate in PEM form", write}
}
