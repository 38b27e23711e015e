package fetch

// MayDial tells whether a client with these options may connect to an address and port.
func MayDial(address string, o Options) error { return o.mayDial(address) }
