package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"portreeve/stats"
)

// A browser is a Chromium that shows one page, and is spoken to through pipes as the
// DevTools protocol has it: messages of JSON, each with a NUL at its end.
type browser struct {
	t       *testing.T
	to      io.Writer
	in      <-chan message
	session string
	id      int
	told    []message // what it told unasked
}

type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Sess   string          `json:"sessionId,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

// open shows a report. What the page is not to do, the caller finds in told.
func open(t *testing.T, r *stats.Report) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium opens the page, and is not installed; make clients installs it")
	}
	file := filepath.Join(t.TempDir(), "report.html")
	var page bytes.Buffer
	if err := Write(&page, r); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, page.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, program)
	var made struct {
		TargetID  string `json:"targetId"`
		SessionID string `json:"sessionId"`
	}
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &made)
	b.call("Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &made)
	b.session = made.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil, nil)
	}
	b.size(1280)
	b.call("Page.navigate", map[string]any{"url": (&url.URL{Scheme: "file", Path: file}).String()}, nil)
	b.waitFor("Page.loadEventFired")
	return b
}

func start(t *testing.T, program string) *browser {
	t.Helper()
	theirIn, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	// The sandbox wants what root in a container does not have; the page is ours.
	cmd := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir())
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	in := make(chan message, 1024)
	go read(from, in)
	b := &browser{t: t, to: to, in: in}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			b.session = ""
			b.call("Browser.close", nil, nil)
		}
		for range in { // until it has ended
		}
		_ = cmd.Wait() // how it ends is its own affair
		cancel()
		to.Close()
		from.Close()
	})
	return b
}

// read hands messages on until there are no more.
func read(from io.Reader, in chan<- message) {
	defer close(in)
	var rest []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		rest = append(rest, buf[:n]...)
		for {
			text, after, ok := bytes.Cut(rest, []byte{0})
			if !ok {
				break
			}
			var m message
			if json.Unmarshal(text, &m) == nil {
				in <- m
			}
			rest = after
		}
		if err != nil {
			return
		}
	}
}

// next waits for a message that is wanted, and keeps the others.
func (b *browser) next(wanted func(message) bool) message {
	b.t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case m, ok := <-b.in:
			switch {
			case !ok:
				b.t.Fatal("Chromium has ended")
			case wanted(m):
				return m
			case m.ID == 0:
				b.told = append(b.told, m)
			}
		case <-late:
			b.t.Fatal("Chromium says nothing")
		}
	}
}

func (b *browser) waitFor(event string) {
	b.t.Helper()
	b.next(func(m message) bool { return m.Method == event })
}

func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.id++
	text, err := json.Marshal(params)
	if err == nil {
		text, err = json.Marshal(message{ID: b.id, Method: method, Sess: b.session, Params: text})
	}
	if params == nil && err == nil {
		text, err = json.Marshal(message{ID: b.id, Method: method, Sess: b.session})
	}
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	m := b.next(func(m message) bool { return m.ID == b.id })
	if m.Error != nil {
		b.t.Fatalf("%s: %s", method, m.Error)
	}
	if result != nil {
		if err := json.Unmarshal(m.Result, result); err != nil {
			b.t.Fatal(err)
		}
	}
}

// eval returns what an expression is on the page, as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var got struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		Failed json.RawMessage `json:"exceptionDetails"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &got)
	if got.Failed != nil {
		b.t.Fatalf("%s: %s", expression, got.Failed)
	}
	return fmt.Sprint(got.Result.Value)
}

func (b *browser) want(expression, want string) {
	b.t.Helper()
	if got := b.eval(expression); got != want {
		b.t.Errorf("%s\nis   %s\nwant %s", expression, got, want)
	}
}

func (b *browser) size(width int) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
}

// wantQuiet fails if the page asked for anything or complained.
func (b *browser) wantQuiet() {
	b.t.Helper()
	requests := 0
	for _, m := range b.told {
		switch m.Method {
		case "Network.requestWillBeSent":
			requests++
			if requests > 1 || !bytes.Contains(m.Params, []byte(`report.html"`)) {
				b.t.Errorf("the page asked for something: %s", m.Params)
			}
		case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening":
			b.t.Errorf("%s: %s", m.Method, m.Params)
		}
	}
	if requests != 1 {
		b.t.Errorf("the page made %d requests, want one: itself", requests)
	}
}

// undrawn are the charts without anything in them.
const undrawn = `[...document.querySelectorAll('.chart')].filter((c) => c.querySelectorAll('svg path').length < 3).map((c) => c.dataset.chart).join()`

func TestPageInABrowser(t *testing.T) {
	b := open(t, sample())
	charts := []string{"calendar", "crowd", "days", "directories", "heat", "lengths", "rates", "sizes"}
	b.want(`[...document.querySelectorAll('.chart')].map((c) => c.dataset.chart).sort().join()`, strings.Join(charts, ","))
	b.want(undrawn, "")
	for _, width := range []int{1280, 390} {
		b.size(width)
		b.eval(`dispatchEvent(new Event('resize'))`)
		b.want(`document.documentElement.scrollWidth <= innerWidth`, "true")
		b.want(`[...document.querySelectorAll('.chart svg')].filter((s) => s.getBoundingClientRect().right > innerWidth).length`, "0")
	}
	b.size(1280)

	const user = `[...document.querySelectorAll('table')].find((t) => t.caption.textContent === 'Users')`
	const first = user + `.tBodies[0].rows[0].cells[0].textContent`
	b.want(first, "alice")
	b.want(user+`.querySelectorAll('tbody tr:not(.rest)').length`, "10")
	heading := func(i int) string { return fmt.Sprintf("%s.tHead.rows[0].cells[%d]", user, i) }
	b.eval(heading(1) + `.querySelector('button').focus()`)
	for _, want := range []string{"descending", "ascending"} {
		b.key("Enter", 13)
		b.want(heading(1)+`.getAttribute('aria-sort')`, want)
	}
	b.want(first, "lena")
	b.eval(heading(0) + `.querySelector('button').click()`)
	b.want(first, "alice")
	b.want(heading(1)+`.hasAttribute('aria-sort')`, "false")
	b.eval(`{ const f = document.querySelector('[aria-label="Filter Users"]'); f.value = 'IV'; f.dispatchEvent(new Event('input')); }`)
	b.want(`[...`+user+`.querySelectorAll('tbody tr:not(.rest)')].map((r) => r.cells[0].textContent).join()`, "ivan")

	light := b.eval(`getComputedStyle(document.body).backgroundColor`)
	b.eval(`document.getElementById('theme').click()`)
	if dark := b.eval(`getComputedStyle(document.body).backgroundColor`); dark == light {
		t.Errorf("dark is %s as light is", dark)
	}
	b.want(undrawn, "")
	b.want(`[...document.querySelectorAll('.chart')].filter((c) => !c.getAttribute('aria-label')).length`, "0")
	b.want(`[...document.querySelectorAll('table')].filter((t) => !t.caption.textContent || !t.querySelector('th[scope=col]')).length`, "0")

	var pdf struct {
		Data []byte `json:"data"`
	}
	b.call("Page.printToPDF", map[string]any{"printBackground": true}, &pdf)
	if !bytes.HasPrefix(pdf.Data, []byte("%PDF")) {
		t.Error("the page cannot be printed")
	}
	b.wantQuiet()
}

func (b *browser) key(name string, code int) {
	b.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		params := map[string]any{"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code}
		if kind == "keyDown" {
			params["text"] = "\r"
		}
		b.call("Input.dispatchKeyEvent", params, nil)
	}
}

func TestHostileNamesInABrowser(t *testing.T) {
	r := sample()
	n := 0
	rename(reflect.ValueOf(r).Elem(), func() string { n++; return hostile[n%len(hostile)] })
	b := open(t, r)
	b.want(`document.title`, "File transfers: 1 May 2026 to 29 June 2026")
	b.want(`document.querySelectorAll('img, iframe, object, embed, link, form, [onerror], [onload], [onmouseover]').length`, "0")
	b.want(`document.querySelectorAll('script').length`, "3")
	for i := range hostile {
		if shown := strings.TrimSpace(visible(hostile[i])); i%3 == 0 && shown != "" {
			quoted, err := json.Marshal(shown)
			if err != nil {
				t.Fatal(err)
			}
			b.want(fmt.Sprintf(`document.body.innerText.includes(%s) || document.body.textContent.includes(%[1]s)`, quoted), "true")
		}
	}
	b.wantQuiet()
}

func TestPageWithoutScripts(t *testing.T) {
	b := open(t, sample())
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.call("Page.reload", nil, nil)
	b.waitFor("Page.loadEventFired")
	b.want(`document.querySelectorAll('.chart svg, input, thead button').length`, "0")
	b.want(`[...document.querySelectorAll('table')].find((t) => t.caption.textContent === 'Users').tBodies[0].rows.length`, "13")
	b.want(`document.getElementById('theme').hidden`, "true")
}
