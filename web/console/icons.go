package console

import (
	_ "embed"
	"encoding/xml"
	"fmt"
	"html/template"
)

// The icons of the console: a part of Lucide, drawn into the page, so that no page asks for them. Its licence stands
// with those of all that the program contains.
//
//go:embed icons/lucide.svg
var lucide []byte

// loadIcons reads the icons by their names.
func loadIcons() (map[string]template.HTML, error) {
	var sprite struct {
		Symbols []struct {
			ID    string `xml:"id,attr"`
			Inner string `xml:",innerxml"`
		} `xml:"symbol"`
	}
	if err := xml.Unmarshal(lucide, &sprite); err != nil {
		return nil, fmt.Errorf("read the icons: %w", err)
	}
	all := make(map[string]template.HTML, len(sprite.Symbols))
	for _, s := range sprite.Symbols {
		all[s.ID] = template.HTML( // #nosec G203: a file of ours
			`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">` + s.Inner + `</svg>`)
	}
	return all, nil
}
