package console

import (
	"embed"
	"fmt"
	"io/fs"

	"ssobridge/web"
	"ssobridge/web/texts"
)

//go:embed locales
var localeFiles embed.FS

// locales are the files of the console's texts, one for each area and language.
func locales() fs.FS {
	files, err := fs.Sub(localeFiles, "locales")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return files
}

// languages are those of the console. The first is for browsers that ask for none of them.
var languages = []string{"en", "es"}

// loadCatalogue reads the console's texts in one language. What is not translated yet is in English: a page must come.
func loadCatalogue(lang string) (web.Catalogue, error) {
	m, err := texts.Load(locales(), lang)
	if err != nil {
		return web.Catalogue{}, fmt.Errorf("load the texts of the console: %w", err)
	}
	if lang != languages[0] {
		english, err := texts.Load(locales(), languages[0])
		if err != nil {
			return web.Catalogue{}, fmt.Errorf("load the texts of the console: %w", err)
		}
		m = m.And(english)
	}
	c, err := web.CatalogueWith(m)
	if err != nil {
		return web.Catalogue{}, fmt.Errorf("load the texts that console and pages share: %w", err)
	}
	return c, nil
}
