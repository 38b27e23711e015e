package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// patience bounds every wait for a page. It is long because the machine that
// runs the tests is shared; a page that comes is not waited for.
const patience = 30 * time.Second

// screenshots is where each page that a test shows is written, for people to look at.
const screenshots = "../../../.screenshots"

// startChromium starts the one browser of this test binary; each test gets a
// profile of its own in it.
func startChromium() (context.Context, func(), error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, nil, fmt.Errorf("the browser tests need Debian's package chromium: %w", err)
	}
	profile, err := os.MkdirTemp("", "e2e-chromium-")
	if err != nil {
		return nil, nil, err
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		// No proxy of the machine may stand between the browser and loopback.
		chromedp.Flag("no-proxy-server", true))
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, stop := chromedp.NewContext(alloc)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		stop()
		stopAlloc()
		return nil, nil, fmt.Errorf("start chromium: %w", err)
	}
	return ctx, func() { stop(); stopAlloc(); _ = os.RemoveAll(profile) }, nil
}

// browser is a person's browser with cookies of its own.
type browser struct {
	t   testing.TB
	ctx context.Context
}

func newBrowser(t testing.TB) *browser {
	t.Helper()
	ctx, stop := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	b := &browser{t: t, ctx: ctx}
	// Several tests have a page open at the same time; each has the focus as if it were alone.
	focused := func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled,
			emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1000, 760), chromedp.Func(focused)); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	return b
}

func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, b.text())
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	err := chromedp.Do(ctx, chromedp.Navigate(url))
	// A download that is just beginning takes the place of a navigation: a person clicks again.
	for range 3 {
		if err == nil || !strings.Contains(err.Error(), "net::ERR_ABORTED") {
			break
		}
		err = chromedp.Do(ctx, chromedp.Navigate(url))
	}
	if err != nil {
		b.t.Fatalf("open %s: %v\n%s", url, err, b.text())
	}
}

// text is what the person reads. A page that is just being left reads as "".
func (b *browser) text() string {
	ctx, stop := context.WithTimeout(b.ctx, 5*time.Second)
	defer stop()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	if err != nil {
		return ""
	}
	return s
}

func (b *browser) location() string {
	ctx, stop := context.WithTimeout(b.ctx, 5*time.Second)
	defer stop()
	s, _ := chromedp.Run(ctx, chromedp.Location())
	return s
}

// sees waits until the page shows each of the texts.
func (b *browser) sees(texts ...string) {
	b.t.Helper()
	var last string
	if !eventually(func() bool {
		last = b.text()
		for _, s := range texts {
			if !strings.Contains(last, s) {
				return false
			}
		}
		return true
	}) {
		b.picture("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
		b.t.Fatalf("the page at %s does not show %q, but:\n%s", b.location(), texts, last)
	}
}

func (b *browser) fill(name, value string) {
	b.t.Helper()
	sel := chromedp.CSS(`[name="` + name + `"]`)
	// Not by SendKeys: it reads the attributes of an element while the browser's events write them.
	b.do("fill "+name, chromedp.WaitVisible(sel), chromedp.Clear(sel), chromedp.Focus(sel), chromedp.KeyEvent(value))
}

// press clicks the button or link with this text.
func (b *browser) press(text string) {
	b.t.Helper()
	js := fmt.Sprintf(`(() => { const e = [...document.querySelectorAll("button, a, input[type=submit]")]
		.find(e => (e.innerText || e.value || "").trim().includes(%q)); if (!e) return false; e.click(); return true })()`, text)
	if !eventually(func() bool {
		ctx, stop := context.WithTimeout(b.ctx, 5*time.Second)
		defer stop()
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](js))
		return err == nil && ok
	}) {
		b.t.Fatalf("no button or link %q at %s:\n%s", text, b.location(), b.text())
	}
}

func (b *browser) login(name, password string) {
	b.t.Helper()
	b.fill("login", name)
	b.fill("password", password)
	b.press("Sign in")
}

// shot writes the page as a picture for people to look at, who ask for it by make screenshots.
func (b *browser) shot(name string) {
	b.t.Helper()
	if os.Getenv("SSOBRIDGE_SCREENSHOTS") != "" {
		b.picture(name)
	}
}

// picture writes the page as a picture.
func (b *browser) picture(name string) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatalf("screenshot %s: %v", name, err)
	}
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screenshots, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// dark and phone change how the browser shows pages from now on.
func (b *browser) dark() {
	b.t.Helper()
	b.do("dark mode", chromedp.Func(setScheme("dark")))
}

func setScheme(scheme string) func(context.Context, *chromedp.Target) error {
	return func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}
}

func (b *browser) phone() {
	b.t.Helper()
	b.do("phone", chromedp.EmulateViewport(360, 740))
}

// eventually asks again until the answer is yes, or patience is over.
func eventually(ok func() bool) bool { return within(patience, ok) }

func within(limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); ; {
		if ok() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		<-time.After(50 * time.Millisecond)
	}
}

// back goes back one page, as the button does.
func (b *browser) back() {
	b.t.Helper()
	b.do("go back", chromedp.NavigateBack())
}

// choose selects an option of a select by its value.
func (b *browser) choose(name, value string) {
	b.t.Helper()
	b.do("choose "+name, chromedp.SetValue(chromedp.CSS(`select[name="`+name+`"]`), value))
}
