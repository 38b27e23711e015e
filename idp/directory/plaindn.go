package directory

// plainDN is NormalDN for the DNs that nearly all are: letters, digits and harmless signs, one attribute in each part,
// nothing escaped. It is many times as fast, which a walk over a large directory needs. ok is false for any other, and
// for what may be malformed.
func plainDN(dn string) (normal string, ok bool) {
	if len(dn) > maxDN {
		return "", false
	}
	out := make([]byte, 0, len(dn))
	for at := 0; ; at++ {
		start := len(out)
		if out, at, ok = plainPart(out, dn, at, '='); !ok || at == len(dn) {
			return "", false
		}
		if !foldedTypes[string(out[start:])] {
			return "", false
		}
		out = append(out, '=')
		if out, at, ok = plainPart(out, dn, at+1, ','); !ok {
			return "", false
		}
		if at == len(dn) {
			return string(out), true
		}
		out = append(out, ',')
	}
}

// plainPart appends to out what stands from at to the next end sign, or to the end of dn: names in small letters,
// values in capitals (as normalPart has it), without spaces around it, runs of spaces made one. It returns where it has
// stopped.
func plainPart(out []byte, dn string, at int, end byte) (_ []byte, stopped int, ok bool) {
	start, space := len(out), false
	for ; at < len(dn) && dn[at] != end; at++ {
		c := dn[at]
		switch {
		case c == ' ':
			space = len(out) > start
			continue
		case 'a' <= c && c <= 'z':
			if end == ',' {
				c -= 'a' - 'A'
			}
		case !plainByte(c) || end == '=' && !typeByte(c):
			return nil, 0, false
		case 'A' <= c && c <= 'Z' && end == '=':
			c += 'a' - 'A'
		}
		if space {
			if end == '=' {
				return nil, 0, false
			}
			out, space = append(out, ' '), false
		}
		out = append(out, c)
	}
	return out, at, len(out) > start
}

// plainByte tells whether a byte other than a space and a small letter stands for itself in a DN (RFC 4514 2.4, 3).
func plainByte(c byte) bool {
	switch c {
	case '-', '_', '.', '@', '(', ')', '&', '\'', '/', ':', '*', '!', '?', '|', '$', '%', '[', ']', '{', '}', '~':
		return true
	}
	return 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// typeByte tells whether a byte may stand in an attribute's name.
func typeByte(c byte) bool {
	return c == '-' || c == '.' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
