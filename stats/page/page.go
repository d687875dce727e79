// Package page writes a report as one HTML file with charts. It asks nothing of
// anybody when it is opened: script, style and data are in it, and its policy lets
// nothing else run. Without scripts, and on paper, its tables tell the same.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"text/template"
	"text/template/parse"

	"portreeve/stats"
)

var (
	//go:embed page.html
	layout string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
	//go:embed charts/charts.js.gz
	charts []byte // what "make charts" built of Apache ECharts, with its licence
)

// A document is what the layout shows.
type document struct {
	view
	Policy, Style, Charts, Script, Data string
}

// Write writes a report as a page.
func Write(w io.Writer, r *stats.Report) error {
	library, err := chartLibrary()
	if err != nil {
		return err
	}
	return write(w, r, library)
}

func chartLibrary() (string, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(charts))
	if err != nil {
		return "", fmt.Errorf("unpacking the charts: %w", err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		return "", fmt.Errorf("unpacking the charts: %w", err)
	}
	return string(text), nil
}

// write writes the page with a library of charts.
func write(w io.Writer, r *stats.Report, library string) error {
	data, err := json.Marshal(newData(r)) // in which no sign is left that could end an element
	if err != nil {
		return fmt.Errorf("writing the page's data: %w", err)
	}
	page, err := parseLayout(layout)
	if err != nil {
		return fmt.Errorf("reading the page's layout: %w", err)
	}
	doc := document{newView(r), policy(style, library, script), style, library, script, string(data)}
	var b bytes.Buffer
	if err := page.Execute(&b, doc); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	_, err = b.WriteTo(w)
	return err
}

// policy lets nothing run but what has these hashes, and nothing be fetched. A page
// that is opened from a file has no headers, so that the policy is an element.
func policy(style string, scripts ...string) string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	text := "default-src 'none'; base-uri 'none'; form-action 'none'; style-src" + hash(style) + "; script-src"
	for _, script := range scripts {
		text += hash(script)
	}
	return text
}

// parseLayout reads a template of HTML in which every value is in a text or between
// quotation marks, and has each of them escaped for there. What the template calls
// trusted is left as it is. That is all that html/template would be wanted for, and
// it is the size of the charts.
func parseLayout(text string) (*template.Template, error) {
	page, err := template.New("page").Funcs(template.FuncMap{trusted: func(s string) string { return s }}).Parse(text)
	if err != nil {
		return nil, err
	}
	for _, t := range page.Templates() {
		escapeValues(t.Root)
	}
	return page, nil
}

const trusted = "trusted"

func escapeValues(list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			if first := n.Pipe.Cmds[0].Args[0].String(); len(n.Pipe.Decl) == 0 && first != trusted {
				html := &parse.CommandNode{NodeType: parse.NodeCommand, Args: []parse.Node{parse.NewIdentifier("html")}}
				n.Pipe.Cmds = append(n.Pipe.Cmds, html)
			}
		case *parse.IfNode:
			escapeValues(n.List)
			escapeValues(n.ElseList)
		case *parse.RangeNode:
			escapeValues(n.List)
			escapeValues(n.ElseList)
		case *parse.WithNode:
			escapeValues(n.List)
			escapeValues(n.ElseList)
		}
	}
}
