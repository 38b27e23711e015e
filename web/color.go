package web

import (
	"fmt"
	"math"
	"strconv"
)

// rgb is a colour of sRGB.
type rgb struct{ r, g, b uint8 }

// The grounds that text stands on, as in app.css. Links are made readable on the
// darker of the light ones and the lighter of the dark ones.
var (
	black       = rgb{0, 0, 0}
	white       = rgb{255, 255, 255}
	lightGround = rgb{0xf3, 0xf4, 0xf7}
	darkGround  = rgb{0x21, 0x25, 0x2c}
)

// readable is the least contrast of text to its ground (WCAG 2.2, 1.4.3).
const readable = 4.5

func parseColor(text string) (rgb, error) {
	if len(text) == 7 && text[0] == '#' {
		if n, err := strconv.ParseUint(text[1:], 16, 32); err == nil {
			return rgb{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil // #nosec G115: cut to a byte on purpose
		}
	}
	return rgb{}, fmt.Errorf("%.20q: want #rrggbb, six hexadecimal digits", text)
}

func (c rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// luminance is the relative luminance of WCAG 2.2.
func (c rgb) luminance() float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.r) + 0.7152*linear(c.g) + 0.0722*linear(c.b)
}

// contrast of two colours, from 1 (the same) to 21 (black and white).
func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

// textOn picks black or white, whichever stands out more; one of them always
// reaches 4.5.
func textOn(ground rgb) rgb {
	if contrast(ground, white) >= contrast(ground, black) {
		return white
	}
	return black
}

// readableOn moves c towards black or white, as little as needed to be read on the ground.
func readableOn(c, ground rgb) rgb {
	towards := textOn(ground)
	for step := range 21 {
		if m := mix(c, towards, float64(step)/20); contrast(m, ground) >= readable {
			return m
		}
	}
	return towards
}

// mix goes part of the way from a to b.
func mix(a, b rgb, part float64) rgb {
	one := func(x, y uint8) uint8 { return uint8(math.Round(float64(x) + (float64(y)-float64(x))*part)) }
	return rgb{one(a.r, b.r), one(a.g, b.g), one(a.b, b.b)}
}

// brandStyle is the stylesheet that carries the partner's colour. It is a file of
// its own because the content security policy allows no inline style. Only
// colours that we printed ourselves get into it.
func brandStyle(color, background string) (string, error) {
	brand, err := parseColor(color)
	if err != nil {
		return "", fmt.Errorf("web: brand colour: %w", err)
	}
	on := textOn(brand)
	style := fmt.Sprintf(`:root {
  --brand: %s;
  --brand-hover: %s;
  --on-brand: %s;
  --link: %s;
}
@media (prefers-color-scheme: dark) {
  :root {
    --link: %s;
  }
}
`, brand, hover(brand, on), on, readableOn(brand, lightGround), readableOn(brand, darkGround))
	if background == "" {
		return style, nil
	}
	ground, err := parseColor(background)
	if err != nil {
		return "", fmt.Errorf("web: background: %w", err)
	}
	return style + fmt.Sprintf(`:root {
  --ground: %s;
  --on-ground: %s;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: initial;
    --on-ground: initial;
  }
}
`, ground, textOn(ground)), nil
}

// hover moves a little away from the text's colour, so that the text stays readable.
func hover(brand, text rgb) rgb {
	if text == white {
		return mix(brand, black, 0.14)
	}
	return mix(brand, white, 0.25)
}

// Contrast is one pair of colours of the pages, and how well the one stands out on the other by WCAG 2.2.
type Contrast struct {
	What          string // names it: "button", "link", "link-dark", "ground", "edge", "edge-dark"
	Front, Behind string // #rrggbb
	Ratio, Wants  float64
	Changed       bool // the brand's colour was made readable for this, and Front is another
}

// OK tells whether it stands out enough.
func (c Contrast) OK() bool { return c.Ratio >= c.Wants }

// visible is the least contrast of the edge of what can be pressed (WCAG 2.2, 1.4.11).
const visible = 3

// Contrasts are the pairs that depend on the branding.
func (b Branding) Contrasts() ([]Contrast, error) {
	b = b.withDefaults()
	brand, err := parseColor(b.Color)
	if err != nil {
		return nil, fmt.Errorf("web: brand colour: %w", err)
	}
	light, dark := readableOn(brand, lightGround), readableOn(brand, darkGround)
	pair := func(what string, front, behind rgb, wants float64) Contrast {
		return Contrast{what, front.String(), behind.String(), contrast(front, behind), wants,
			front != brand && what != "button" && what != "ground"}
	}
	all := []Contrast{
		pair("button", textOn(brand), brand, readable),
		pair("link", light, white, readable), pair("link-dark", dark, darkGround, readable),
		pair("edge", light, white, visible), pair("edge-dark", dark, darkGround, visible),
	}
	if b.Background != "" {
		ground, err := parseColor(b.Background)
		if err != nil {
			return nil, fmt.Errorf("web: background: %w", err)
		}
		all = append(all, pair("ground", textOn(ground), ground, readable))
	}
	return all, nil
}
