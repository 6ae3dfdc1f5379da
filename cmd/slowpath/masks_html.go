package main

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
)

// masksPage is the page's template. Its styles are inline, so that the page
// loads nothing.
//
//go:embed masks.html
var masksPage string

// printHTML writes the report as one page.
func (r *maskReport) printHTML(w io.Writer) error {
	functions := template.FuncMap{"class": cellClass, "has": hasMask}
	page, err := template.New("masks").Funcs(functions).Parse(masksPage)
	if err != nil {
		return err
	}
	return page.Execute(w, r)
}

// cellClass returns the CSS class of an outcome.
func cellClass(outcome string) string {
	switch {
	case outcome == livelocks:
		return "livelock"
	case outcome == undone:
		return "undone"
	case strings.HasSuffix(outcome, served):
		return "served"
	}
	return "plain"
}

// hasMask reports whether a flag is in a mask.
func hasMask(m namedMask, row flagRow) bool { return m.mask&row.flag != 0 }
