package directory

// LoginFilter is the filter by which a login is searched, for the fuzz test of its structure.
func (d *Directory) LoginFilter(login string) (string, error) { return d.loginFilter(login) }
