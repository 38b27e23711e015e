package web_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"ssobridge/internal/testkind"
)

// TestScreenshots writes a picture of each page, on a phone and on a screen, light
// and dark, for people to look at. It proves nothing, so it runs only on request.
func TestScreenshots(t *testing.T) {
	if os.Getenv("SSOBRIDGE_SCREENSHOTS") == "" {
		t.Skip("set SSOBRIDGE_SCREENSHOTS=1 for pictures of all pages in .screenshots")
	}
	folder := filepath.Join("..", ".screenshots")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx := chromium(t)
	r := newRig(t, nil)
	for _, s := range samples() {
		url := r.srv.URL + s.prepare(r)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{360, 1280} {
				shot := fmt.Sprintf("web-%s-%s-%d", s.name, scheme, width)
				err := look(ctx, scheme, width, r.srv.URL, url)
				if err != nil {
					t.Fatalf("open %s: %v", shot, err)
				}
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatalf("picture of %s: %v", shot, err)
				}
				if err := os.WriteFile(filepath.Join(folder, shot+".png"), png, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// chromium starts a browser with a profile of its own.
func chromium(t *testing.T) context.Context {
	t.Helper()
	testkind.Starts(t, "chromium")
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("this test needs Debian's package chromium: %v", err)
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("no-proxy-server", true))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), flags...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 20*time.Minute)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

// look opens a page as a browser of this width that prefers this colour scheme.
func look(ctx context.Context, scheme string, width int64, site, url string) error {
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		return err
	}
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 720, DeviceScaleFactor: 1,
	}); err != nil {
		return err
	}
	// The auto-submit page would leave for the service provider, which is not there.
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled,
		emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		return err
	}
	secure := true
	if _, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{
		Name: "__Host-ssobridge_session", Value: sampleSession, URL: site, Path: "/", Secure: &secure,
	}); err != nil {
		return err
	}
	return chromedp.Do(ctx, chromedp.Navigate(url))
}
