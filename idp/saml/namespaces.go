package saml

import (
	"encoding/xml"
	"errors"
	"slices"
)

// xmlNamespace is what the prefix xml always stands for.
const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

// Namespaces are the declarations in scope while a document is read: a stack, the
// innermost last.
type Namespaces struct {
	all   []namespace
	depth int
}

type namespace struct {
	prefix, uri string
	depth       int
}

// maxNamespaces bounds the declarations in scope at one place. Federations' files
// come to about twenty.
const maxNamespaces = 256

// Open enters an element and takes its declarations.
func (n *Namespaces) Open(el xml.StartElement) error {
	n.depth++
	for _, a := range el.Attr {
		prefix, ok := Declares(a)
		if !ok {
			continue
		}
		switch {
		case prefix == "xmlns", prefix == "xml" && a.Value != xmlNamespace, prefix != "xml" && a.Value == xmlNamespace:
			return errors.New("a namespace declaration touches xml or xmlns")
		case prefix != "" && a.Value == "":
			return errors.New("a namespace prefix is declared as nothing") // Namespaces in XML 1.0, section 5
		case len(n.all) == maxNamespaces:
			return errors.New("too many namespace declarations are in scope")
		}
		n.all = append(n.all, namespace{prefix, a.Value, n.depth})
	}
	return nil
}

// Close leaves an element.
func (n *Namespaces) Close() {
	for len(n.all) > 0 && n.all[len(n.all)-1].depth == n.depth {
		n.all = n.all[:len(n.all)-1]
	}
	n.depth--
}

// URI returns what a prefix stands for; ok is false for one that is not declared.
// No prefix and no default namespace is the empty one, which is fine.
func (n *Namespaces) URI(prefix string) (uri string, ok bool) {
	if prefix == "xml" {
		return xmlNamespace, true
	}
	for i := len(n.all) - 1; i >= 0; i-- {
		if n.all[i].prefix == prefix {
			return n.all[i].uri, true
		}
	}
	return "", prefix == ""
}

// InScope calls do for each prefix that is declared, with its innermost meaning.
func (n *Namespaces) InScope(do func(prefix, uri string)) {
	for i := len(n.all) - 1; i >= 0; i-- {
		hidden := slices.ContainsFunc(n.all[i+1:], func(in namespace) bool { return in.prefix == n.all[i].prefix })
		if !hidden {
			do(n.all[i].prefix, n.all[i].uri)
		}
	}
}

// Declares reports whether an attribute is a namespace declaration, and of which prefix.
func Declares(a xml.Attr) (prefix string, ok bool) {
	switch {
	case a.Name.Space == "xmlns":
		return a.Name.Local, true
	case a.Name.Space == "" && a.Name.Local == "xmlns":
		return "", true
	}
	return "", false
}
