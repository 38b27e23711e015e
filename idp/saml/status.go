package saml

// Status is what a service provider gets when there is no assertion, or an answer to its logout (saml-core 3.2.2).
// Message is fixed text: nothing of the person, the directory or the program goes out with it.
type Status struct{ Top, Second, Message string }

// write adds the Status (saml-core 3.2.2.1).
func (st Status) write(to octets) octets {
	to.markup("<samlp:Status><samlp:StatusCode")
	to.attribute("Value", st.Top)
	to.markup(">")
	if st.Second != "" {
		to.markup("<samlp:StatusCode")
		to.attribute("Value", st.Second)
		to.markup("></samlp:StatusCode>")
	}
	to.markup("</samlp:StatusCode>")
	if st.Message != "" {
		to.markup("<samlp:StatusMessage>")
		to.text(st.Message)
		to.markup("</samlp:StatusMessage>")
	}
	to.markup("</samlp:Status>")
	return to
}
