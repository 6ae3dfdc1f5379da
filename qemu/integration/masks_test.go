package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// browser is the command of Debian's package chromium.
const browser = "chromium"

// TestMasksPageRendersInBrowser opens the output of slowpath masks --html in a browser
// without network access and checks the resulting DOM.
func TestMasksPageRendersInBrowser(t *testing.T) {
	page := filepath.Join(t.TempDir(), "masks.html")
	html, err := exec.Command(slowpath, "masks", "--html").Output()
	if err != nil {
		t.Fatalf("slowpath masks --html: %v", err)
	}
	if err := os.WriteFile(page, html, 0o644); err != nil {
		t.Fatal(err)
	}
	dom := rendered(t, page)
	alone := element(t, dom, "table", "alone")
	if rows := strings.Count(alone, "<tr"); rows != 1+2*13+3 {
		t.Errorf("the table of single flags has %d rows, want 30: a header, two rows for each of 13 flags, and three more", rows)
	}
	row := regexp.MustCompile(`(?s)UPROBE</td>.*?</tr>`).FindString(alone)
	if n := strings.Count(row, `<span class="was livelock">LIVELOCK</span>`); n != 4 {
		t.Errorf("UPROBE alone livelocks on %d paths, want 4: %s", n, row)
	}
	if n := strings.Count(row, `<span class="fixed served">IRET+</span>`); n != 7 {
		t.Errorf("with the fix UPROBE is served on %d paths, want 7: %s", n, row)
	}
	if findings := element(t, dom, "section", "findings"); !strings.Contains(findings, "0xe220") {
		t.Errorf("the findings do not contain the dead bits 0xe220: %s", findings)
	}
	if listing := element(t, dom, "pre", "listing"); !strings.Contains(listing, "int_with_check:\n\tedx = flags &amp; edi") {
		t.Errorf("the listing does not contain int_with_check and its mask: %.300s", listing)
	}
}

// rendered returns the DOM that the browser builds from a page.
func rendered(t *testing.T, page string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir="+t.TempDir(),
		"--dump-dom", "file://"+page).Output()
	if err != nil {
		t.Fatalf("%s: %v; if it is missing, install it with: apt-get install chromium", browser, err)
	}
	return string(out)
}

// element returns the HTML of the element with the given tag name and id.
func element(t *testing.T, dom, kind, id string) string {
	t.Helper()
	found := regexp.MustCompile(`(?s)<` + kind + ` [^>]*id="` + id + `".*?</` + kind + `>`).FindString(dom)
	if found == "" {
		t.Fatalf("the page has no %s element with the id %s", kind, id)
	}
	return found
}
