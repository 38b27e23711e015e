package admin

// Setting is one value of the effective configuration. It is read here, and changed in the file and the environment of
// the program.
type Setting struct {
	Key    string // path, such as directory.base_dn
	Value  string // as it would be written; *** for a secret that is set
	Source string // "default", "file", or the name of the environment variable or of the secret's file
	// Meaning says what the setting is for, and what its default is.
	Meaning string
}
