package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"portreeve/stats"
)

var update = flag.Bool("update", false, "write the golden files")

// rendered is the page without the library, of which no test here needs the 700 kB.
func rendered(t *testing.T, r *stats.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, r, "'library'"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDataIsAsItWas(t *testing.T) {
	got, err := json.MarshalIndent(newData(sample()), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const file = "testdata/data.json"
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the data of the page changed; go test -update writes %s anew:\n%s", file, got)
	}
}

// hostile are names as somebody would choose them who wants to run something where
// the page is looked at, or to look like another.
var hostile = []string{
	`</script><img src=x onerror="document.title='owned'">`,
	`"><svg onload=alert(1)>`,
	`' onmouseover='alert(1)`,
	`{{trusted .Charts}}`,
	"<!--<script>",
	"javascript:alert(1)",
	"\x1b]0;owned\x07\x1b[2J",
	"\xff\xfe not UTF-8 \xc3(",
	"invoice\u202efdp.exe",
	"zero\u200bwidth\u2028line\x00nul",
	"\r\nSet-Cookie: x",
	"&lt;b&gt; &amp;",
	strings.Repeat("long/\"<&", 8<<10),
}

// rename gives every text of a report another, and tells of which it had.
func rename(v reflect.Value, text func() string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text())
	case reflect.Pointer:
		if !v.IsNil() {
			rename(v.Elem(), text)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			rename(v.Index(i), text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[stats.Stamp]() {
			return
		}
		for i := range v.NumField() {
			if v.Type() != reflect.TypeFor[stats.Table]() || v.Type().Field(i).Name != "Name" {
				rename(v.Field(i), text)
			}
		}
	}
}

// shape is what elements a page has, without their attributes.
func shape(page string) []string {
	return regexp.MustCompile(`</?[a-zA-Z]+|<!`).FindAllString(page, -1)
}

func TestNamesAreInert(t *testing.T) {
	for i, name := range hostile {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			plain, r := sample(), sample()
			rename(reflect.ValueOf(plain).Elem(), func() string { return "2026-06-01" })
			rename(reflect.ValueOf(r).Elem(), func() string { return name })
			got := rendered(t, r)
			if !slices.Equal(shape(got), shape(rendered(t, plain))) {
				t.Error("the name made or ended an element")
			}
			if strings.ContainsAny(name, "<>") && strings.Contains(got, name) {
				t.Error("the name is there as it is")
			}
			if !utf8.ValidString(got) {
				t.Error("the page is no UTF-8")
			}
			for _, c := range got {
				if c != '\n' && !unicode.IsPrint(c) {
					t.Fatalf("the page has the sign %U", c)
				}
			}
		})
	}
}

func TestNamesAreShown(t *testing.T) {
	for name, want := range map[string]string{
		"été 檔案.txt":           "été 檔案.txt",
		"\x1b[31mred":          `\x1b[31mred`,
		"a\xffb":               `a\xffb`,
		"a\u202eb":             `a\u202eb`,
		"a\U000e0041b":         `a\U000e0041b`,
		`back\slash`:           `back\slash`,
		strings.Repeat("x", 9): "xxxxxxxxx",
	} {
		if got := visible(name); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
	long := visible(strings.Repeat("é", 32<<10) + ".txt")
	if !strings.HasSuffix(long, ".txt (65,540 bytes)") || len(long) > 1000 {
		t.Errorf("a name of 64 KiB is shown as %q", long)
	}
}

// leftOut are the fields of a report that the page does not show, with the reason.
var leftOut = map[string]string{
	"Total.Seconds":        "each table has the time taken of its rows",
	"Total.Last":           "the same as To",
	"Before.Seconds":       "as for Total",
	"Before.Last":          "Against has the period in words",
	"Before.Deleted":       "the headline compares what was moved",
	"Tables.Other.Key":     "is of many",
	"Tables.Other.Also":    "is of many",
	"Tables.Other.Missing": "lacks nothing",
	"Tables.Ordered":       "only of a table that is too long it chooses which rows are shown",
	"Heat.Incomplete":      "the squares are of entries and bytes",
	"Heat.Seconds":         "as Incomplete",
	"Heat.Last":            "as Incomplete",
}

// A field is a number, a text or a time of a report, by its path.
type field struct {
	path  string
	value reflect.Value
}

// fields lists those of a value; of lists the first that has it.
func fields(path string, v reflect.Value) []field {
	switch {
	case v.Type() == reflect.TypeFor[stats.Stamp]():
		return []field{{path, v}}
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return fields(path, v.Elem())
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		seen := map[string]bool{}
		var list []field
		for i := range v.Len() {
			for _, f := range fields(path, v.Index(i)) {
				if !seen[f.path] {
					seen[f.path] = true
					list = append(list, f)
				}
			}
		}
		return list
	case v.Kind() == reflect.Struct:
		var list []field
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if v.Type().Field(i).Anonymous {
				list = append(list, fields(path, v.Field(i))...)
				continue
			}
			list = append(list, fields(strings.TrimPrefix(path+"."+name, "."), v.Field(i))...)
		}
		return list
	}
	return []field{{path, v}}
}

// alter makes another value of a field.
func alter(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + " altered")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Float64:
		v.SetFloat(v.Float()*1.7 + 1)
	case reflect.Struct:
		s := v.Interface().(stats.Stamp)
		v.Set(reflect.ValueOf(stats.Stamp{Time: s.AddDate(0, 1, 3)}))
	default:
		v.SetInt(v.Int()*3 + 7)
	}
}

func TestEveryFieldOfAReportIsShown(t *testing.T) {
	plain := rendered(t, sample())
	r := sample()
	all := fields("", reflect.ValueOf(r).Elem())
	if len(all) < 120 {
		t.Fatalf("the sample has %d fields only", len(all))
	}
	for i, f := range all {
		r := sample()
		alter(fields("", reflect.ValueOf(r).Elem())[i].value)
		_, out := leftOut[f.path]
		if shown := rendered(t, r) != plain; shown == out {
			t.Errorf("%s is shown: %t, is listed as left out: %t", f.path, shown, out)
		}
	}
}

func TestNothingIsEmpty(t *testing.T) {
	got := rendered(t, &stats.Report{Zone: "UTC"})
	if strings.Contains(got, `class="chart"`) {
		t.Error("a report without anything has a chart")
	}
	if n := strings.Count(got, "<section"); n != 1 || !strings.Contains(got, "No transfers.") {
		t.Errorf("a report without anything has %d sections, want only how it was counted", n)
	}
	got = strings.ReplaceAll(got+rendered(t, sample()), script, "")
	for _, bad := range []string{"NaN", "Inf", "%!", "0001-01-01", "<no value>"} {
		if strings.Contains(got, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func TestPageAsksNothingOfAnybody(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, sample()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if !strings.Contains(page, "default-src &#39;none&#39;") || strings.Contains(page, "unsafe") {
		t.Error("the policy lets more in than it must")
	}
	markup := regexp.MustCompile(`(?s)<script>.*?</script>|<style>.*?</style>`).ReplaceAllString(page, "")
	for _, link := range regexp.MustCompile(`(?:src|href|action|srcset|data)="([^"]*)"`).FindAllStringSubmatch(markup, -1) {
		if !strings.HasPrefix(link[1], "#") {
			t.Errorf("the page refers to %s", link[1])
		}
	}
	for _, sign := range []string{`style="`, " onclick=", "@import", "url("} {
		if strings.Contains(markup, sign) || strings.Contains(style, sign) {
			t.Errorf("the page has %s, which its policy or its purpose forbids", sign)
		}
	}
	for _, licence := range []string{"Apache ECharts 6.1.0", "This product includes software developed at", "Apache License", "Mike Bostock", "Baidu"} {
		if !strings.Contains(page, licence) {
			t.Errorf("the page does not have %q of the licences of what is in it", licence)
		}
	}
}

func TestPageIsSmall(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, &stats.Report{}); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 900_000 {
		t.Errorf("a page without data has %d bytes, want at most 900,000", b.Len())
	}
}

func TestLongTablesAreCut(t *testing.T) {
	r := sample()
	keys := make([]string, mostRows+5)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%04d", i)
	}
	r.Tables = []stats.Table{sampleTable("user", "Users", false, keys...), sampleTable("week", "Weeks", true, keys...)}
	got := rendered(t, r)
	if n := strings.Count(got, "k0000"); n != 1 {
		t.Errorf("the first key is there %d times, want once: of users the first are shown, of weeks the last", n)
	}
	if n := strings.Count(got, "k1004"); n != 1 {
		t.Errorf("the last key is there %d times, want once", n)
	}
	if !strings.Contains(got, "5 rows more are not on this page.") {
		t.Error("nothing tells of rows that are left out")
	}
}

func TestWriteTellsOfErrors(t *testing.T) {
	wrong := errors.New("disk full")
	pipe, to := io.Pipe()
	pipe.CloseWithError(wrong)
	if err := Write(to, sample()); !errors.Is(err, wrong) {
		t.Errorf("Write returned %v, want %v", err, wrong)
	}
}
