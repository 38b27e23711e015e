package idp

import (
	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// ownCanonical is what canonicalizes the trees that leave.
type ownCanonical struct{}

func (ownCanonical) Algorithm() dsig.AlgorithmID { return dsig.CanonicalXML10ExclusiveAlgorithmId }

func (ownCanonical) Canonicalize(el *etree.Element) ([]byte, error) { return writeXML(el) }

// OwnCanonical is the canonicalizer of trees that leave.
func OwnCanonical() dsig.Canonicalizer { return ownCanonical{} }
